"""Attempts to get out of the local warehouse, written from the engine's own lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

# Asks the engine; gives the lines of its answer.
Ask = Callable[[str], list[str]]

SETTINGS = (
    "SET http_max_tries = 1, http_connection_timeout = 2, http_receive_timeout = 2, http_send_timeout = 2, "
    "max_execution_time = 5, external_storage_connect_timeout_sec = 1, connect_timeout = 1, receive_timeout = 2, "
    "connections_with_failover_max_tries = 1, s3_connect_timeout_ms = 500, s3_request_timeout_ms = 1000, "
    "postgresql_connection_attempt_timeout = 1, postgresql_connection_pool_retries = 1, "
    "allow_experimental_eval_table_function = 1, output_format_parallel_formatting = 0"
)


@dataclass(frozen=True)
class Attempt:
    """Statements that try to read, write or connect. In them stand the names of what is outside.

    ``{secret}`` is a file to read, ``{prepared}`` a folder with a file to read in each format, ``{loot}``
    a file to write, ``{folder}`` where both stand, ``{port}`` where a listener waits. ``settings`` go into the
    URL of a request; the bare engine is given them by SET, and a format as a clause of the statement.
    """

    kind: str
    name: str
    statements: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)

    def filled(self, **outside: str) -> tuple[tuple[str, ...], dict[str, str]]:
        def fill(text: str) -> str:
            for name, value in outside.items():
                text = text.replace(f"{{{name}}}", value)
            return text

        return tuple(map(fill, self.statements)), {name: fill(value) for name, value in self.settings.items()}


def preparations(ask: Ask) -> Iterator[str]:
    """Give statements that write a file with a secret in each format, for the attempts to read."""
    for name in ask("SELECT name FROM system.formats WHERE is_input AND is_output"):
        yield f"INSERT INTO FUNCTION file('{{prepared}}/{name}', '{name}', 'a String') SELECT '{{token}}'"


def all_attempts(ask: Ask) -> list[Attempt]:
    return [*_by_function(ask), *_by_format(ask), *_by_table_function(ask), *_by_engine(ask), *_by_setting(ask)]


def _by_function(ask: Ask) -> Iterator[Attempt]:
    yield from (
        Attempt("functions", name, (sql,))
        for name, sql in {
            "file": "SELECT file('{secret}')",
            "file, quoted": "SELECT `fi\\x6ce`('{secret}')",
            "file of VALUES": "SELECT * FROM VALUES('a String', (file('{secret}')))",
            "lambda": "SELECT arrayMap(p -> file(p), ['{secret}'])",
            "fold": "SELECT arrayFold((a, p) -> concat(a, file(p)), ['{secret}'], '')",
            "eval": "SELECT * FROM eval('SELECT file(''{secret}'')')",
            "view": "SELECT * FROM view(SELECT file('{secret}'))",
            "with": "WITH file('{secret}') AS s SELECT s",
            "condition": "SELECT '{secret}' AS p WHERE throwIf(length(file(p)) > 0, file('{secret}'))",
        }.items()
    )
    yield Attempt(
        "functions",
        "data of VALUES",
        (
            "CREATE TABLE texts (t String) ENGINE = Memory",
            "INSERT INTO texts VALUES (file('{secret}'))",
            "SELECT t FROM texts",
            "DROP TABLE texts",
        ),
    )
    # What each function makes of a file that no guard sees being read.
    for name in ask("SELECT name FROM system.functions WHERE NOT is_aggregate ORDER BY name"):
        if not name.startswith("__") and name not in ("sleep", "sleepEachRow", "file"):
            yield Attempt("functions", name, (f"SELECT * APPLY(file) APPLY({name}) FROM (SELECT '{{secret}}' AS p)",))
    for name in ask("SELECT name FROM system.functions WHERE NOT is_aggregate AND name LIKE 'array%' ORDER BY name"):
        yield Attempt("functions", f"{name}(file, …)", (f"SELECT {name}(file, ['{{secret}}'])",))
    for name in ask("SELECT name FROM system.functions WHERE is_aggregate ORDER BY name"):
        sql = f"SELECT {name}(s) FROM (SELECT * APPLY(file) FROM (SELECT '{{secret}}' AS p)) AS t(s)"
        yield Attempt("functions", f"{name}, aggregate", (sql,))


def _by_format(ask: Ask) -> Iterator[Attempt]:
    for name in ask("SELECT name FROM system.formats WHERE is_output ORDER BY name"):
        write = f"INSERT INTO FUNCTION file('{{loot}}', '{name}', 'a String') SELECT 'x'"
        yield Attempt("formats", f"{name}, insert into file()", (write,))
        yield Attempt("formats", f"{name}, into outfile", (f"SELECT 'x' AS a INTO OUTFILE '{{loot}}' FORMAT {name}",))
        pasted = {"default_format": f"{name}; SELECT 'x' INTO OUTFILE '{{loot}}'"}
        yield Attempt("formats", f"{name}, pasted", ("SELECT 'x' AS a",), pasted)
        made = (
            f"CREATE TABLE made (a String) ENGINE = File({name}, '{{loot}}')",
            "INSERT INTO made SELECT 'x'",
            "DROP TABLE made",
        )
        yield Attempt("formats", f"{name}, engine File", made)
    for name in ask("SELECT name FROM system.formats WHERE is_input ORDER BY name"):
        read = f"SELECT * FROM file('{{prepared}}/{name}', '{name}', 'a String')"
        yield Attempt("formats", f"{name}, read", (read,))
        evaluated = read.replace("'", "''")
        yield Attempt("formats", f"{name}, read by eval", (f"SELECT * FROM eval('{evaluated}')",))
        infile = (
            "CREATE TABLE texts (a String) ENGINE = Memory",
            f"INSERT INTO texts FROM INFILE '{{prepared}}/{name}' FORMAT {name}",
            "SELECT a FROM texts",
            "DROP TABLE texts",
        )
        yield Attempt("formats", f"{name}, from infile", infile)


# Arguments of table functions and engines, as one or another of them takes them.
ARGUMENTS = (
    "'{secret}'",
    "'{secret}', 'LineAsString'",
    "'{secret}', 'LineAsString', 'a String'",
    "'{loot}'",
    "'{loot}', 't'",
    "'http://127.0.0.1:{port}/a/b', 'CSV', 'a String'",
    "'http://127.0.0.1:{port}/a/b', 'k', 's', 'CSV', 'a String'",
    "'127.0.0.1:{port}', 'd', 't', 'u', 'p'",
    "'127.0.0.1:{port}', 'd', 't', 'u', 'p', 'a String'",
    "'127.0.0.1:{port}', system, one",
    "'127.0.0.1:{port}', 'k', 'a String'",
    "'hdfs://127.0.0.1:{port}/a', 'CSV', 'a String'",
    "'http://127.0.0.1:{port}', 'c', 'b', 'CSV'",
    "'AccountName=a;AccountKey=aa==;BlobEndpoint=http://127.0.0.1:{port}/a;', 'c', 'b', 'CSV'",
    "'mongodb://127.0.0.1:{port}/d', 't', 'a String'",
    "'http://127.0.0.1:{port}', '//a', 't', 'a String'",
)


def arguments_for(name: str, *more: str) -> list[tuple[int, str]]:
    """Choose arguments. Azure's client tries each host for seconds, the bridges of JDBC and ODBC for longer."""
    if name.lower() in ("jdbc", "odbc"):
        return []
    numbered = list(enumerate((*ARGUMENTS, *more)))
    return [one for one in numbered if "azure" not in name.lower() or "BlobEndpoint" in one[1]]


def _by_table_function(ask: Ask) -> Iterator[Attempt]:
    for name in ask("SELECT name FROM system.table_functions ORDER BY name"):
        for number, arguments in arguments_for(name):
            yield Attempt("table functions", f"{name}, {number}", (f"SELECT * FROM {name}({arguments}) LIMIT 1",))
            into = f"INSERT INTO FUNCTION {name}({arguments}) VALUES ('x')"
            yield Attempt("table functions", f"into {name}, {number}", (into,))


def _by_engine(ask: Ask) -> Iterator[Attempt]:
    for name in ask("SELECT name FROM system.table_engines ORDER BY name"):
        for number, arguments in arguments_for(name, "0, '{loot}'", "'LineAsString', '{secret}'", "CSV, '{loot}'"):
            made = (
                f"CREATE TABLE made (a String) ENGINE = {name}({arguments}) PRIMARY KEY a",
                f"CREATE TABLE made (a String) ENGINE = {name}({arguments})",
                "SELECT * FROM made LIMIT 1",
                "INSERT INTO made SELECT 'x'",
                "DROP TABLE made",
            )
            yield Attempt("table engines", f"{name}, {number}", made)
    for name in ask("SELECT name FROM system.database_engines ORDER BY name"):
        for number, arguments in enumerate(("'{folder}'", "'{loot}'", "'127.0.0.1:{port}', 'd', 'u', 'p'")):
            made = (
                f"CREATE DATABASE made ENGINE = {name}({arguments})",
                "SELECT * FROM made.`secret.txt`",
                "SHOW TABLES FROM made",
                "DROP DATABASE made",
            )
            yield Attempt("table engines", f"database {name}, {number}", made)
    disk = "disk(type = local, path = '{loot}/')"
    yield Attempt(
        "table engines",
        "disk of its own",
        (f"CREATE TABLE made (a String) ENGINE = MergeTree ORDER BY a SETTINGS disk = {disk}", "DROP TABLE made"),
    )
    yield Attempt("table engines", "name of a file", ("SELECT * FROM `default`.`{secret}`",))
    backup = ("CREATE TABLE made (a String) ENGINE = Log", "BACKUP TABLE made TO File('{loot}')", "DROP TABLE made")
    yield Attempt("table engines", "backup", backup)


# Statements that formats and readers with settings of their own have a part in.
USES = (
    "SELECT 'x' AS a FORMAT CapnProto",
    "SELECT 'x' AS a FORMAT Protobuf",
    "SELECT 'x' AS a FORMAT Template",
    "SELECT * FROM format('CSV', 'a Int32', 'no number') SETTINGS input_format_allow_errors_num = 1",
)
CONFLUENT = "SELECT * FROM format('AvroConfluent', 'a String', unhex('000000000102'))"


def _by_setting(ask: Ask) -> Iterator[Attempt]:
    sql = "SELECT name FROM system.settings WHERE type IN ('String', 'URI') AND NOT is_obsolete ORDER BY name"
    for name in ask(sql):
        for number, value in enumerate(("{loot}", "{secret}", "file('{secret}')")):
            for use, statement in enumerate((*USES, "SELECT '{secret}' AS p")):
                yield Attempt("settings", f"{name}, {number}, {use}", (statement,), {name: value})
        yield Attempt("settings", f"{name}, a host", (CONFLUENT,), {name: "http://127.0.0.1:{port}"})
