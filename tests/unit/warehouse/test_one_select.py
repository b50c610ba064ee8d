"""What passes for one statement that reads, by its words alone."""

from __future__ import annotations

import pytest

from sentinel_etl.errors import ConfigurationError
from sentinel_etl.warehouse.one_select import require_one_select

READS = [
    "SELECT 1",
    "select 1;",
    "  SELECT 1 ; \n ;; ",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "WITH 1 AS x SELECT x",
    "FROM patrol_events SELECT count()",
    "EXPLAIN PIPELINE SELECT 1",
    "SHOW TABLES",
    "DESCRIBE TABLE patrol_events",
    "DESC patrol_events",
    "EXISTS TABLE patrol_events",
    "/* DROP TABLE x; */ -- DROP TABLE y;\n# shell\n#! shell\nSELECT 1 -- ; done",
    "SELECT 'DROP; FORMAT JSON'",
    r"SELECT 'it\'s; ', 'it''s; FORMAT x'",
    'SELECT ";" FROM `a;b FORMAT c`',
    "SELECT $$;$$, $tag$ ; $$ ; $tag$",
    "SELECT format('{}', 1)",
    "SELECT 1 AS format",
    "SELECT format FROM t ORDER BY format",
]

REFUSED = {
    "": "found no statement",
    " ;; ": "found no statement",
    "-- SELECT 1": "found no statement",
    "'SELECT 1'": "begins with",
    "1": "begins with '1'",
    "DROP TABLE x": "begins with 'DROP'",
    "truncate table x": "begins with 'TRUNCATE'",
    "CREATE TABLE x (a Int8) ENGINE = Memory": "begins with 'CREATE'",
    "INSERT INTO x SELECT 1": "begins with 'INSERT'",
    "SET max_threads = 1": "begins with 'SET'",
    "SYSTEM STOP MERGES": "begins with 'SYSTEM'",
    "KILL QUERY WHERE 1": "begins with 'KILL'",
    "/* SELECT */ DROP TABLE x": "begins with 'DROP'",
    "SELECTED": "begins with 'SELECTED'",
    "SELECT 1; DROP TABLE x": "found a semicolon",
    "SELECT 1;SELECT 2;": "found a semicolon",
    "SELECT 1 FORMAT Vertical": "found FORMAT Vertical",
    "SELECT 1 format JSON ;": "found format JSON",
    "SELECT 1 INTO OUTFILE 'x'": "found INTO OUTFILE",
}


@pytest.mark.parametrize("statement", READS)
def test_a_statement_that_reads_passes(statement: str) -> None:
    require_one_select(statement)


@pytest.mark.parametrize(("statement", "found"), REFUSED.items())
def test_anything_else_is_refused_with_what_was_found(statement: str, found: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^expected ") as refused:
        require_one_select(statement)
    assert found in str(refused.value)


def test_a_long_statement_takes_no_time_to_read() -> None:
    require_one_select("SELECT " + "(" * 50_000 + "'" * 50_000 + "/*" * 50_000)
