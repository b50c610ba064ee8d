"""What a statement may name at the local warehouse: formats, settings, engines, functions, memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import brotli
import httpx
import pytest
from local_warehouse import LocalWarehouse, serving

UNKNOWN_FORMAT = 73
ACCESS_DENIED = 497
SETTING_CONSTRAINT_VIOLATION = 452


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWarehouse]:
    with serving(tmp_path_factory.mktemp("warehouse")) as one:
        yield one


def code_of(answer: httpx.Response) -> int:
    return int(answer.headers.get("X-ClickHouse-Exception-Code", "0"))


# --- formats --------------------------------------------------------------------------------------

NO_FORMATS = ["TSV; SELECT 1 INTO OUTFILE '{file}'", "TSV SETTINGS max_threads = 1", "TSV\n", "TSV'", "T SV", "../TSV"]


@pytest.mark.parametrize("name", NO_FORMATS)
def test_a_format_is_a_name_wherever_it_comes_from(warehouse: LocalWarehouse, tmp_path: Path, name: str) -> None:
    file = tmp_path / "written"
    text = name.format(file=file)
    quoted = text.replace("`", "\\`")
    insert = b"INSERT INTO nowhere FORMAT `" + quoted.encode() + b"`\n1"
    answers = [
        warehouse.http.post("/", params={"default_format": text}, content="SELECT 1"),
        warehouse.http.post("/", params={"default_format": text}, content="SHOW TABLES"),
        warehouse.http.post("/", content=f"SELECT 1 FORMAT `{quoted}`"),
        warehouse.http.post("/", content=insert),
        warehouse.http.post(
            "/",
            params={"query": "SELECT * FROM ids", "ids_structure": "id Int32", "ids_format": text},
            files={"ids": ("ids", b"1")},
        ),
    ]
    if "\n" not in text:
        answers.append(warehouse.http.post("/", headers={"X-ClickHouse-Format": text}, content="SELECT 1"))
    assert [code_of(answer) for answer in answers] == [UNKNOWN_FORMAT] * len(answers)
    assert not file.exists()


def test_every_format_of_the_engine_is_taken_for_a_name(warehouse: LocalWarehouse) -> None:
    names = warehouse.run("SELECT name FROM system.formats WHERE is_output").split()
    assert len(names) > 50
    for name in names:
        answer = warehouse.http.post("/", params={"default_format": name}, content="SET max_threads = 1")
        assert code_of(answer) != UNKNOWN_FORMAT, name


def test_a_query_id_with_control_characters_is_refused_in_a_sentence(warehouse: LocalWarehouse) -> None:
    answer = warehouse.http.post("/?query_id=a%0d%0aX-More:%20b", content="SELECT 1")
    assert (answer.status_code, code_of(answer)) == (400, 36)
    assert warehouse.http.post("/?query_id=%C3%A9%20b", content="SELECT 1").text == "1\n"


# --- settings -------------------------------------------------------------------------------------

DANGEROUS = {
    "output_format_schema": "{file}",
    "input_format_record_errors_file_path": "{file}",
    "format_schema": "{file}:Message",
    "format_schema_source": "string",
    "format_template_resultset": "{file}",
    "rename_files_after_processing": "{file}",
    "format_avro_schema_registry_url": "http://127.0.0.1:1/",
    "select": "file('/etc/passwd')",
    "order": "file('/etc/passwd')",
    "sort": "file('/etc/passwd')",
    "implicit_table_at_top_level": "system.users",
    "dialect": "kusto",
    "allow_experimental_eval_table_function": "1",
    "allow_introspection_functions": "1",
    "dynamic_disk_allow_from_env": "1",
    "ai_function_text_default_credentials": "mine",
}


@pytest.mark.parametrize("name", DANGEROUS)
def test_a_setting_that_names_files_hosts_or_sql_cannot_be_changed(
    warehouse: LocalWarehouse, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "written"
    value = DANGEROUS[name].format(file=file)
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    assert warehouse.code("SELECT 1", **{name: value}) == SETTING_CONSTRAINT_VIOLATION
    assert warehouse.code(f"SET {name} = '{quoted}'") == SETTING_CONSTRAINT_VIOLATION
    assert warehouse.code(f"SELECT 1 SETTINGS {name} = '{quoted}'") == SETTING_CONSTRAINT_VIOLATION
    assert code_of(warehouse.http.get("/", params={"query": "SELECT 1", name: value})) == SETTING_CONSTRAINT_VIOLATION
    assert not file.exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../../../../../../etc/passwd"])
def test_sql_in_a_setting_that_stays_open_is_kept_in_by_the_kernel(warehouse: LocalWarehouse, path: str) -> None:
    warehouse.run("CREATE OR REPLACE TABLE seen (a Int8) ENGINE = MergeTree ORDER BY a")
    warehouse.run("INSERT INTO seen SELECT number FROM numbers(3)")
    assert warehouse.run("SELECT a FROM seen", additional_table_filters="{'seen': 'a = 1'}") == "1\n"
    if not warehouse.confined:
        pytest.skip("this kernel has no Landlock")
    reads = f"length(file('{path}')) > 0"
    by_table = "{'seen': '" + reads.replace("'", "\\'") + "'}"
    for name, value in {
        "additional_table_filters": by_table,
        "additional_result_filter": reads,
        "filter": reads,
    }.items():
        assert warehouse.code("SELECT a FROM seen", **{name: value}) in (ACCESS_DENIED, 291), name


# --- engines and functions ------------------------------------------------------------------------

OWN_ENGINES = {"MergeTree": "ORDER BY a", "Memory": "", "Null": "", "Log": "", "ReplacingMergeTree": "ORDER BY a"}


def test_only_engines_that_keep_their_data_here_make_tables(warehouse: LocalWarehouse) -> None:
    engines = warehouse.run("SELECT name FROM system.table_engines").split()
    assert set(OWN_ENGINES) < set(engines)
    own = {
        *("AggregatingMergeTree", "Buffer", "CoalescingMergeTree", "CollapsingMergeTree", "GenerateRandom", "Join"),
        *("Log", "MaterializedView", "Memory", "Merge", "MergeTree", "Null", "ReplacingMergeTree", "Set", "StripeLog"),
        *("SummingMergeTree", "TinyLog", "VersionedCollapsingMergeTree", "View"),
    }
    for engine in set(engines) - own:
        for spelling in (f"ENGINE = {engine}", f"engine {engine.upper()}('a', 'b')", f"ENGINE/**/=/**/`{engine}`"):
            assert warehouse.code(f"CREATE TABLE made (a String) {spelling}") == ACCESS_DENIED, spelling
    for engine in set(warehouse.run("SELECT name FROM system.database_engines").split()) - {
        "Atomic",
        "Memory",
        "Ordinary",
    }:
        assert warehouse.code(f"CREATE DATABASE made ENGINE = {engine}('a')") == ACCESS_DENIED, engine
    assert warehouse.code("ATTACH TABLE made (a String) ENGINE = Executable('a.sh', TSV)") == ACCESS_DENIED
    for engine, more in OWN_ENGINES.items():
        warehouse.run(f"CREATE TABLE made (a String) ENGINE = {engine} {more}")
        warehouse.run("DROP TABLE made SYNC")


def test_columns_and_tables_may_be_called_engine(warehouse: LocalWarehouse) -> None:
    warehouse.run("CREATE TABLE engine (engine String, file String) ENGINE = MergeTree ORDER BY engine")
    warehouse.run("CREATE VIEW engines AS SELECT engine FROM system.tables WHERE engine = name OR engine = 'View'")
    assert warehouse.run("SELECT engine FROM engines LIMIT 1") != ""
    warehouse.run("DROP VIEW engines")
    warehouse.run("DROP TABLE engine SYNC")


OWN_FUNCTIONS = {
    *("dictionary", "format", "fuzzJSON", "generateRandom", "generateSeries", "generate_series", "input", "loop"),
    *("merge", "null", "numbers", "numbers_mt", "primes", "SQLStandardValues", "values", "view", "viewExplain"),
    *("viewIfPermitted", "zeros", "zeros_mt"),
}


def test_only_table_functions_that_read_tables_or_make_rows_are_called(warehouse: LocalWarehouse) -> None:
    functions = set(warehouse.run("SELECT name FROM system.table_functions").split())
    assert functions > OWN_FUNCTIONS
    reaching = {name for name in functions - OWN_FUNCTIONS if not name.startswith(("timeSeries", "mergeTree"))}
    assert reaching > {"file", "url", "eval", "python", "sqlite", "bigquery", "filesystem", "icebergLocal"}
    for name in reaching:
        for spelling in (name, name.upper(), f"`{name}`"):
            assert warehouse.code(f"SELECT * FROM {spelling}('a', 'b')") == ACCESS_DENIED, spelling
    assert warehouse.run("SELECT * FROM values('a Int32', 1)") == "1\n"


# --- memory ---------------------------------------------------------------------------------------


def test_a_query_has_a_limit_of_memory_that_it_can_lower_and_not_raise(warehouse: LocalWarehouse) -> None:
    sql = "SELECT getSetting('max_memory_usage')"
    most = int(warehouse.run(sql))
    assert most > 0
    assert warehouse.run(sql, max_memory_usage=10_000_000) == "10000000\n"
    for more in (most + 1, 0):
        assert warehouse.code("SELECT 1", max_memory_usage=more) == SETTING_CONSTRAINT_VIOLATION
    # The engine's own default is no limit.
    assert warehouse.code("SET max_memory_usage = DEFAULT") == SETTING_CONSTRAINT_VIOLATION
    assert warehouse.run(sql, session_id="lowered", max_memory_usage=10_000_000) == "10000000\n"
    assert warehouse.run(sql, session_id="lowered") == f"{most}\n"


def test_a_query_that_needs_more_memory_than_it_may_have_ends_with_a_sentence(warehouse: LocalWarehouse) -> None:
    sql = "SELECT length(arrayMap(x -> toString(x), range(20000000)))"
    assert warehouse.code(sql, max_memory_usage=50_000_000) == 241
    assert int(warehouse.run("SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'")) > 0
    assert warehouse.run("SELECT 1") == "1\n"


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=cut"])
def test_a_body_of_2_kb_that_stands_for_2_gib_is_refused_and_takes_no_memory(tmp_path: Path, kind: str) -> None:
    compressor = brotli.Compressor(quality=9, lgwin=24)
    body = b"".join(compressor.process(bytes(1024 * 1024)) for _ in range(2048)) + compressor.finish()
    assert len(body) < 2_000
    with serving(tmp_path) as warehouse:
        assert warehouse.run("SELECT 1") == "1\n"
        before = peak_mib(warehouse)
        answer = warehouse.http.post("/", content=body, headers={"Content-Encoding": "br", "Content-Type": kind})
        assert (answer.status_code, code_of(answer)) == (413, 229)
        # The limit is 64 MiB, held as bytes and as text.
        assert peak_mib(warehouse) - before < 300


def peak_mib(warehouse: LocalWarehouse) -> float:
    status = Path(f"/proc/{warehouse.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def test_more_parameters_than_anybody_needs_are_refused(warehouse: LocalWarehouse) -> None:
    answer = warehouse.http.post("/?" + "a&" * 10_000, content="SELECT 1")
    assert (answer.status_code, code_of(answer)) == (400, 36)
    assert "expected at most 10000" in answer.text
