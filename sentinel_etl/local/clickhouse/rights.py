"""What the embedded engine's one user may do: ClickHouse's own access rights, as its configuration."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

__all__ = ["ALLOWABLE", "write_engine_config"]


# What may be allowed by name, and the access rights (ClickHouse's source and engine) that go with it.
ALLOWABLE: dict[str, tuple[str, str]] = {
    "file": ("FILE", "File"),
    "mysql": ("MYSQL", "MySQL"),
    "postgresql": ("POSTGRES", "PostgreSQL"),
    "remote": ("REMOTE", "Distributed"),
    "s3": ("S3", "S3"),
    "url": ("URL", "URL"),
}

# The rights of the engine's one user. CREATE DICTIONARY is out because the embedded engine runs the
# command of a dictionary with SOURCE(EXECUTABLE(...)) without asking for any further right.
_RIGHTS = (
    "GRANT ALL ON *.*",
    "REVOKE SOURCES ON *.*",
    "REVOKE SYSTEM ON *.*",
    "GRANT SYSTEM FLUSH, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM SYNC REPLICA ON *.*",
    "REVOKE BACKUP, CREATE DICTIONARY, CREATE FUNCTION, ACCESS MANAGEMENT, INTROSPECTION ON *.*",
    "REVOKE NAMED COLLECTION ADMIN ON *",
    "REVOKE TABLE ENGINE ON *",
)
# Engines that keep their data in the warehouse's own folder, or nowhere. What a later version of the
# engine adds is out until it is named here.
_ENGINES = """
    AggregatingMergeTree Buffer CoalescingMergeTree CollapsingMergeTree GenerateRandom Join Log MaterializedView
    Memory Merge MergeTree Null ReplacingMergeTree Set StripeLog SummingMergeTree TinyLog
    VersionedCollapsingMergeTree View
"""

# These settings name files, which the embedded engine would read from anywhere.
_FROZEN_SETTINGS = ("format_schema", "format_template_resultset", "format_template_row")


def _users_xml(allow: frozenset[str]) -> str:
    rights = [*_RIGHTS, *(f"GRANT TABLE ENGINE ON {engine}" for engine in _ENGINES.split())]
    for name in sorted(allow):
        source, engine = ALLOWABLE[name]
        rights += [f"GRANT READ, WRITE ON {source}", f"GRANT TABLE ENGINE ON {engine}"]
    grants = "".join(f"<query>{escape(right)}</query>" for right in rights)
    frozen = "".join(f"<{name}><readonly/></{name}>" for name in _FROZEN_SETTINGS)
    # chdb turns implicit_select on, which makes any text a SELECT: a server has it off.
    return (
        "<clickhouse><profiles><default><implicit_select>0</implicit_select>"
        "<allow_introspection_functions>0</allow_introspection_functions>"
        f"<constraints>{frozen}</constraints></default></profiles><quotas><default/></quotas>"
        "<users><default><password/><networks><ip>::/0</ip></networks><profile>default</profile>"
        f"<quota>default</quota><grants>{grants}</grants></default></users></clickhouse>"
    )


def write_engine_config(config: Path, allow: frozenset[str]) -> None:
    """Write the engine's configuration, and its users beside it.

    ``table_engines_require_grant`` makes the engine check the right to a table engine at CREATE.
    """
    folder = config.parent
    folder.mkdir(exist_ok=True)
    (folder / "users.xml").write_text(_users_xml(allow), encoding="utf-8")
    config.write_text(
        f"<clickhouse><users_config>{escape(str(folder / 'users.xml'))}</users_config>"
        f"<user_scripts_path>{escape(str(folder / 'no-scripts'))}/</user_scripts_path>"
        "<access_control_improvements><table_engines_require_grant>true</table_engines_require_grant>"
        "</access_control_improvements></clickhouse>",
        encoding="utf-8",
    )
