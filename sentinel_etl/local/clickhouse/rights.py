"""What a statement may do and name: the engine's own rights, settings and limits, and lists of names.

The lists say what may be named, not what may not: what a later engine adds is out until it is named here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

__all__ = ["ALLOWABLE", "Allowable", "Reach", "reach_of", "write_engine_config"]


@dataclass(frozen=True, slots=True)
class Allowable:
    """What may be allowed by name: the access right to a source, its engine and its functions."""

    source: str
    engine: str
    functions: tuple[str, ...]


ALLOWABLE: Final[Mapping[str, Allowable]] = {
    "file": Allowable("FILE", "File", ("file",)),
    "mysql": Allowable("MYSQL", "MySQL", ("mysql",)),
    "postgresql": Allowable("POSTGRES", "PostgreSQL", ("postgresql",)),
    "remote": Allowable("REMOTE", "Distributed", ("remote", "remotesecure")),
    "s3": Allowable("S3", "S3", ("s3",)),
    "url": Allowable("URL", "URL", ("url",)),
}

# Engines of tables that keep their data in the warehouse's own folder, or nowhere.
_ENGINES = """
    AggregatingMergeTree Buffer CoalescingMergeTree CollapsingMergeTree GenerateRandom Join Log MaterializedView
    Memory Merge MergeTree Null ReplacingMergeTree Set StripeLog SummingMergeTree TinyLog
    VersionedCollapsingMergeTree View
"""
_DATABASE_ENGINES = "Atomic Memory Ordinary"

# The rights of the engine's one user. CREATE DICTIONARY is out because the embedded engine runs the
# command of a dictionary with SOURCE(EXECUTABLE(...)) without asking for any further right.
_RIGHTS = (
    "GRANT ALL ON *.*",
    "REVOKE SOURCES ON *.*",
    "REVOKE SYSTEM ON *.*",
    "GRANT SYSTEM FLUSH, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM SYNC REPLICA ON *.*",
    "REVOKE BACKUP, CREATE DICTIONARY, CREATE FUNCTION, ACCESS MANAGEMENT, INTROSPECTION ON *.*",
    "REVOKE CREATE HANDLER, CREATE WORKLOAD, CREATE RESOURCE ON *.*",
    "REVOKE NAMED COLLECTION ADMIN ON *",
    "REVOKE TABLE ENGINE ON *",
    *(f"GRANT TABLE ENGINE ON {engine}" for engine in _ENGINES.split()),
)

# Table functions that read tables, or make their rows themselves. The engine lists all that it has.
_TABLE_FUNCTIONS = """
    dictionary format fuzzJSON generateRandom generateSeries generate_series input loop merge
    mergeTreeAnalyzeIndexes mergeTreeAnalyzeIndexesUUID mergeTreeCodecBlockCounts mergeTreeIndex
    mergeTreeProjection mergeTreeTextIndex null numbers numbers_mt primes SQLStandardValues timeSeriesData
    timeSeriesMetricFamilies timeSeriesMetrics timeSeriesSamples timeSeriesSelector timeSeriesTags values view
    viewExplain viewIfPermitted zeros zeros_mt
"""
# Other functions that reach files or the network, as far as they are known: of 1,885, none says so itself.
_REACHING_FUNCTIONS = """
    file disk aiClassify aiEmbed aiExtract aiFilter aiGenerate aiRedact aiSimilarity aiTranslate
    catboostEvaluate
"""

# Settings that nobody may change. They name files or hosts, hold SQL that nobody reads, or open doors. Three that hold
# SQL stay open, because a run sets them: additional_table_filters, additional_result_filter and filter. The kernel
# keeps in what they name.
_FROZEN_SETTINGS = """
    format_schema format_schema_source output_format_schema format_template_resultset format_template_row
    input_format_record_errors_file_path rename_files_after_processing into_outfile_create_parent_directories

    format_avro_schema_registry_url s3_allow_server_credentials_in_user_queries
    ai_function_text_default_credentials ai_function_embedding_default_credentials

    select order sort implicit_table_at_top_level
    implicit_select parallel_replicas_custom_key dialect polyglot_dialect

    allow_experimental_eval_table_function allow_fuzz_query_functions allow_introspection_functions
    ast_fuzzer_runs ast_fuzzer_any_query
    dynamic_disk_allow_from_env dynamic_disk_allow_include dynamic_disk_allow_from_zk
"""
# chdb turns these on, which a server has off: any text is a SELECT, this process's own objects are tables.
_SWITCHED_OFF = ("implicit_select", "allow_introspection_functions", "allow_python_table_function")

# Shares of the machine's memory: for one query, and for all of the engine. PostgreSQL, the notebook's
# kernel and the run itself stand beside it.
_QUERY_MEMORY: Final = 0.4
_ENGINE_MEMORY: Final = 0.6


@dataclass(frozen=True, slots=True)
class Reach:
    """What a statement may name, in lower case.

    ``refused`` are functions, each with the name to allow it by, if any; ``engines`` are those of
    tables and databases that may be made.
    """

    refused: Mapping[str, str | None]
    engines: frozenset[str]


def reach_of(table_functions: Iterable[str], allow: frozenset[str]) -> Reach:
    """Say what may be named, from all ``table_functions`` of the engine and what is allowed besides."""
    by_function = {function: name for name, one in ALLOWABLE.items() for function in one.functions}
    known = {name.lower() for name in (*table_functions, *_REACHING_FUNCTIONS.split())}
    known -= {name.lower() for name in _TABLE_FUNCTIONS.split()}
    engines = [*_ENGINES.split(), *_DATABASE_ENGINES.split(), *(ALLOWABLE[name].engine for name in allow)]
    return Reach(
        refused={name: by_function.get(name) for name in known if by_function.get(name) not in allow},
        engines=frozenset(name.lower() for name in engines),
    )


def _memory_bytes() -> int:
    """Find how much memory the machine has, or the container: https://docs.kernel.org/admin-guide/cgroup-v2.html."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # no such limit, or the word "max"
            most = min(most, int((Path("/sys/fs/cgroup") / name).read_text()))
    return most


def _users_xml(allow: frozenset[str], query_bytes: int) -> str:
    rights = [*_RIGHTS]
    for name in sorted(allow):
        one = ALLOWABLE[name]
        rights += [f"GRANT READ, WRITE ON {one.source}", f"GRANT TABLE ENGINE ON {one.engine}"]
    grants = "".join(f"<query>{escape(right)}</query>" for right in rights)
    off = "".join(f"<{name}>0</{name}>" for name in _SWITCHED_OFF)
    frozen = "".join(f"<{name}><readonly/></{name}>" for name in _FROZEN_SETTINGS.split())
    # 0 would be no limit at all.
    limited = f"<max_memory_usage><min>1</min><max>{query_bytes}</max></max_memory_usage>"
    return (
        f"<clickhouse><profiles><default>{off}<max_memory_usage>{query_bytes}</max_memory_usage>"
        f"<constraints>{frozen}{limited}</constraints></default></profiles><quotas><default/></quotas>"
        "<users><default><password/><networks><ip>::/0</ip></networks><profile>default</profile>"
        f"<quota>default</quota><grants>{grants}</grants></default></users></clickhouse>"
    )


def write_engine_config(config: Path, allow: frozenset[str]) -> None:
    """Write the engine's configuration, and its users beside it.

    ``table_engines_require_grant`` makes the engine check the right to a table engine at CREATE, for
    engines that read sources.
    """
    memory = _memory_bytes()
    folder = config.parent
    folder.mkdir(exist_ok=True)
    (folder / "users.xml").write_text(_users_xml(allow, int(memory * _QUERY_MEMORY)), encoding="utf-8")
    config.write_text(
        f"<clickhouse><users_config>{escape(str(folder / 'users.xml'))}</users_config>"
        f"<user_scripts_path>{escape(str(folder / 'no-scripts'))}/</user_scripts_path>"
        f"<max_server_memory_usage>{int(memory * _ENGINE_MEMORY)}</max_server_memory_usage>"
        "<access_control_improvements><table_engines_require_grant>true</table_engines_require_grant>"
        "</access_control_improvements></clickhouse>",
        encoding="utf-8",
    )
