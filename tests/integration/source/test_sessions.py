"""What a session on the source means by a value, and which rows it sees, whatever the server has set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from content_hash import content_hash
from sqlalchemy import Engine, func, make_url, select

from sentinel_etl.errors import ConfigurationError, SchemaMismatch, SourceUnreachable
from sentinel_etl.extract.check_source import check_source
from sentinel_etl.extract.read import extract_data
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.reconcile.compare import compare_fingerprints
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.connection import connect_source, open_source
from sentinel_etl.source.session import PINNED
from sentinel_etl.source.snapshot import open_snapshot
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

FACTS = SENTINEL.fact_table
LAST = date(2026, 11, 21)
NIGHT = Window.night(LAST)

# Each changes a value's text, and with it keys, personal hashes and details.
ELSEWHERE = {
    "timezone": "America/New_York",
    "datestyle": "German",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-6",
    "lc_monetary": "C.utf8",
    "lc_numeric": "C.utf8",
    "lc_time": "C.utf8",
    "xmlbinary": "hex",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "row_security": "on",
}

# An expression, and its text in every session.
TEXTS = {
    "an instant": ("('2026-11-22 06:00:00.123456+05:30'::timestamptz)::text", "2026-11-22 00:30:00.123456+00"),
    "a date": ("('2026-11-22'::date)::text", "2026-11-22"),
    "an interval": ("('1 year 2 days 03:04:05'::interval)::text", "1 year 2 days 03:04:05"),
    "bytes": (r"('\xDEAD'::bytea)::text", r"\xdead"),
    "a double": ("(0.1::float8 + 0.2)::text", "0.30000000000000004"),
    "money": ("(1234.5::money)::text", "$1,234.50"),
    "an instant in a row": ("row('2026-11-22 06:00+05:30'::timestamptz)::text", '("2026-11-22 00:30:00+00")'),
    "an instant in JSON": ("to_jsonb('2026-11-22 06:00+05:30'::timestamptz)::text", '"2026-11-22T00:30:00+00:00"'),
    "a backslash": (r"'a\b'::text", r"a\b"),
    "a NULL compared": ("((SELECT NULL::int) = NULL)::text", None),
}


@pytest.fixture
def elsewhere(city: Engine) -> Engine:
    """The sample city in a database that has set everything otherwise."""
    with connect_source(city) as connection:
        for setting, value in ELSEWHERE.items():
            connection.exec_driver_sql(f"ALTER DATABASE {city.url.database} SET {setting} = '{value}'")
    return city


def test_everything_that_is_pinned_is_tried() -> None:
    assert set(ELSEWHERE) == set(PINNED)


@pytest.mark.parametrize("case", TEXTS)
def test_a_value_has_one_text_in_every_session_of_both_drivers(elsewhere: Engine, case: str) -> None:
    expression, expected = TEXTS[case]
    with open_snapshot(elsewhere) as snapshot:
        assert snapshot.read_whole(f"SELECT {expression} AS value")["value"].to_pylist() == [expected]
    with connect_source(elsewhere) as connection:
        driver = connection.execution_options(no_parameters=True)
        assert driver.exec_driver_sql(f"SELECT {expression}").scalar() == expected


def test_a_night_is_the_same_from_a_database_that_has_set_everything_otherwise(
    elsewhere: Engine,
    make_source: Callable[[str | None], Engine],
    city_template: str,
    make_warehouse: Callable[[], Engine],
) -> None:
    found = []
    for source in (make_source(city_template), elsewhere):
        warehouse = make_warehouse()
        result = run_window(NIGHT, source=source, warehouse=warehouse, settings=Settings())
        assert result.published
        compared = compare_fingerprints([LAST], SENTINEL, source, warehouse)
        assert compared[["keys", "content"]].all(axis=None)
        found += run_statement(warehouse, select(func.count(), content_hash(FACTS)).select_from(FACTS))
        warehouse.dispose()
    assert found[0] == found[1]
    assert found[0][0] > 0


@pytest.mark.parametrize(
    ("options", "shown", "expected"),
    [
        pytest.param("-c search_path=elsewhere", "SHOW search_path", "elsewhere", id="the user's is obeyed"),
        pytest.param("-c datestyle=German", "SHOW datestyle", "ISO, YMD", id="what changes values is ours"),
        pytest.param("-c timezone=Asia/Kolkata -c geqo=off", "SHOW geqo", "off", id="of several, the user's"),
    ],
)
def test_the_url_s_options_are_obeyed_by_both_drivers_alike(
    source_engine: Engine, options: str, shown: str, expected: str
) -> None:
    url = source_engine.url.update_query_dict({"options": options})
    engine = open_source(url.render_as_string(hide_password=False))
    with connect_source(engine) as connection:
        assert connection.exec_driver_sql(shown).scalar() == expected
    setting = shown.removeprefix("SHOW ")
    with open_snapshot(engine) as snapshot:
        asked = snapshot.read_whole(f"SELECT current_setting('{setting}') AS value")
    assert asked["value"].to_pylist() == [expected]
    engine.dispose()


@pytest.fixture
def make_reader(city: Engine, new_role: Callable[[], str]) -> Iterator[Callable[[], Engine]]:
    """Make a role that may read the city's tables, and open the source as it."""
    roles: list[str] = []

    def make() -> Engine:
        role = new_role()
        with connect_source(city) as connection:
            connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD 'word'")
            connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        roles.append(role)
        url = make_url(city.url).set(username=role, password="word")
        return open_source(url.render_as_string(hide_password=False))

    yield make
    with connect_source(city) as connection:
        for role in roles:
            connection.exec_driver_sql(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
            connection.exec_driver_sql(f"REVOKE ALL (feedback_id) ON feedback FROM {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")


def hide_feedback(city: Engine) -> None:
    """Let a policy show others than the owner a part of the feedback only."""
    with connect_source(city) as connection:
        connection.exec_driver_sql("ALTER TABLE feedback ENABLE ROW LEVEL SECURITY")
        connection.exec_driver_sql("CREATE POLICY a_quarter ON feedback FOR SELECT USING (mod(feedback_id, 4) = 0)")


def blocking(source: Engine) -> list[tuple[str, str]]:
    found = check_source(SENTINEL.event_types.values(), source)
    return [(difference.event_type, difference.message) for difference in found if difference.blocking]


def test_a_policy_that_hides_rows_is_an_error_by_name_and_not_a_smaller_night(
    city: Engine, make_reader: Callable[[], Engine], warehouse: Engine
) -> None:
    hide_feedback(city)
    reader = make_reader()
    [(kind, message)] = blocking(reader)
    assert kind == "FEEDBACK"
    assert 'row-level security policy for table "feedback"' in message
    assert "BYPASSRLS" in message
    with pytest.raises(SchemaMismatch, match='policy for table "feedback"'):
        run_window(NIGHT, source=reader, warehouse=warehouse, settings=Settings())
    with pytest.raises(ConfigurationError, match='policy for table "feedback"') as caught:
        extract_data("FEEDBACK", NIGHT, reader)
    assert caught.value.exit_code == 2


def test_a_policy_of_a_table_behind_a_view_is_an_error_too(city: Engine, make_reader: Callable[[], Engine]) -> None:
    hide_feedback(city)
    with connect_source(city) as connection:
        connection.exec_driver_sql("ALTER TABLE feedback RENAME TO all_feedback")
        connection.exec_driver_sql("CREATE VIEW feedback WITH (security_invoker = on) AS SELECT * FROM all_feedback")
    [(kind, message)] = blocking(make_reader())
    assert (kind, 'policy for table "all_feedback"' in message) == ("FEEDBACK", True)


def test_a_role_that_no_policy_binds_loads_every_row(city: Engine, warehouse: Engine) -> None:
    everything = len(extract_data("FEEDBACK", NIGHT, city))
    hide_feedback(city)  # which does not bind the owner, as it would not bind a role with BYPASSRLS
    assert blocking(city) == []
    assert len(extract_data("FEEDBACK", NIGHT, city)) == everything
    assert run_window(NIGHT, source=city, warehouse=warehouse, settings=Settings()).published


def test_an_owner_whom_a_policy_binds_by_force_is_told_as_others_are(city: Engine) -> None:
    hide_feedback(city)
    with connect_source(city) as connection:
        if connection.exec_driver_sql("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").scalar_one():
            pytest.skip("no policy binds a superuser")
        connection.exec_driver_sql("ALTER TABLE feedback FORCE ROW LEVEL SECURITY")
    assert [kind for kind, _ in blocking(city)] == ["FEEDBACK"]


MISSING_RIGHTS: dict[str, tuple[str, str]] = {
    "the table": ("REVOKE SELECT ON feedback FROM {role}", "permission denied for table feedback"),
    "a column": (
        "REVOKE SELECT ON feedback FROM {role}; GRANT SELECT (feedback_id) ON feedback TO {role}",
        "permission denied for table feedback",
    ),
}


@pytest.mark.parametrize("case", MISSING_RIGHTS)
def test_a_right_that_is_missing_is_named_before_a_run_and_in_it(
    city: Engine, make_reader: Callable[[], Engine], case: str
) -> None:
    reader = make_reader()
    statement, words = MISSING_RIGHTS[case]
    with connect_source(city) as connection:
        for part in statement.format(role=reader.url.username).split("; "):
            connection.exec_driver_sql(part)
    found: list[Any] = blocking(reader)
    assert [kind for kind, _ in found] == ["FEEDBACK"]
    assert words in found[0][1]
    with pytest.raises(ConfigurationError, match=words) as caught:
        extract_data("FEEDBACK", NIGHT, reader)
    assert caught.value.exit_code == 2


def test_columns_that_the_role_may_not_read_are_named(city: Engine, make_reader: Callable[[], Engine]) -> None:
    reader = make_reader()
    role, allowed = reader.url.username, "(feedback_id, created_at, patrol_id)"
    with connect_source(city) as connection:
        connection.exec_driver_sql(f"REVOKE SELECT ON feedback FROM {role}")
        connection.exec_driver_sql(f"GRANT SELECT {allowed} ON feedback TO {role}")
    [(_, message)] = blocking(reader)
    assert (
        "(its columns accuracy, assigned_to_officer_id, feedback_text, latitude, longitude, received_at of feedback)"
        in message
    )
    with connect_source(city) as connection:
        connection.exec_driver_sql(f"REVOKE ALL {allowed} ON feedback FROM {role}")


# What stands where the feedback's table did → what PostgreSQL says of it to a role without the right.
OTHER_RIGHTS: dict[str, tuple[tuple[str, ...], str]] = {
    "a table under a view of the reader's rights": (
        (
            "ALTER TABLE feedback RENAME TO all_feedback",
            "REVOKE SELECT ON all_feedback FROM {role}",
            "CREATE VIEW feedback WITH (security_invoker = on) AS SELECT * FROM all_feedback",
            "GRANT SELECT ON feedback TO {role}",
        ),
        "permission denied for table all_feedback",
    ),
    "a view": (
        (
            "ALTER TABLE feedback RENAME TO all_feedback",
            "CREATE VIEW feedback AS SELECT * FROM all_feedback",
        ),
        "permission denied for view feedback",
    ),
    "a function of a view": (
        (
            "ALTER TABLE feedback RENAME TO all_feedback",
            "CREATE FUNCTION quiet(words text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN lower(words); END'",
            "REVOKE EXECUTE ON FUNCTION quiet FROM PUBLIC",
            "CREATE VIEW feedback WITH (security_invoker = on) AS SELECT feedback_id, patrol_id, created_at, "
            "received_at, assigned_to_officer_id, latitude, longitude, accuracy, "
            "quiet(feedback_text) AS feedback_text FROM all_feedback",
            "GRANT SELECT ON feedback TO {role}",
        ),
        "permission denied for function quiet",
    ),
    "a materialized view": (
        (
            "ALTER TABLE feedback RENAME TO all_feedback",
            "CREATE MATERIALIZED VIEW feedback AS SELECT * FROM all_feedback",
        ),
        "permission denied for materialized view feedback",
    ),
}


@pytest.mark.parametrize("case", OTHER_RIGHTS)
def test_a_right_on_what_is_no_table_is_named_too(city: Engine, make_reader: Callable[[], Engine], case: str) -> None:
    statements, words = OTHER_RIGHTS[case]
    reader = make_reader()
    with connect_source(city) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.format(role=reader.url.username))
    found = blocking(reader)
    assert [kind for kind, _ in found] == ["FEEDBACK"]
    assert words in found[0][1]
    with pytest.raises(ConfigurationError, match=words):
        extract_data("FEEDBACK", NIGHT, reader)


def test_a_url_that_names_no_driver_is_opened_by_ours(source_engine: Engine) -> None:
    url = source_engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    assert url.startswith("postgresql://")
    engine = open_source(url)
    with connect_source(engine) as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    with open_snapshot(engine) as snapshot:
        assert snapshot.read_whole("SELECT 1 AS one")["one"].to_pylist() == [1]
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        pytest.param("postgresql:///city", "at a local socket, port 5432, database city", id="the usual socket"),
        pytest.param("postgresql://etl@/city?host=/nowhere", "at /nowhere:5432, database city", id="a socket's folder"),
        pytest.param("postgresql://etl@127.0.0.1:1/city", "at 127.0.0.1:1, database city", id="a host"),
    ],
)
def test_a_source_that_does_not_answer_is_named_by_where_it_was_looked_for(url: str, place: str) -> None:
    with pytest.raises(SourceUnreachable) as caught:
        open_source(url)
    assert str(caught.value).startswith(f"expected PostgreSQL {place}; found: ")
