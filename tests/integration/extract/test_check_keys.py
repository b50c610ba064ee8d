"""What `check` says of keys: each entry's, and the models', against the live source's unique indexes."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Engine,
    ForeignKey,
    MetaData,
    Table,
    Text,
    and_,
    cast,
    func,
    select,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from sentinel_etl.city import create_source_tables
from sentinel_etl.cli.main import cli
from sentinel_etl.config.event_config import EVENT_CONFIG
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.config.source_models import Patrol, Remark
from sentinel_etl.extract.check_keys import check_keys
from sentinel_etl.settings import Settings

MODELS = MetaData()
PAYMENTS = Table(
    "payments",
    MODELS,
    Column("payment_id", BigInteger, primary_key=True),
    Column("till", BigInteger),
    Column("number", BigInteger),
    Column("status", Text),
    Column("voided", Boolean),
    Column("paid_at", DateTime(timezone=True)),
)
LINES = Table(
    "lines",
    MODELS,
    Column("payment_id", BigInteger, ForeignKey("payments.payment_id"), primary_key=True),
    Column("line_no", BigInteger, primary_key=True),
    Column("line_id", BigInteger),
)
COLUMNS = (
    "payment_id bigint NOT NULL, till bigint, number bigint, status text, voided boolean, paid_at timestamptz NOT NULL"
)
PAY, LINE = PAYMENTS.c, LINES.c


def entry(*key: Any, **more: Any) -> dict[str, Any]:
    return {"model": PAYMENTS, "timestamp": PAY.paid_at, "key": key, "columns": [PAY.status], **more}


def told(source: Engine, given: dict[str, Any], *statements: str) -> list[str]:
    with source.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    found = check_keys(parse_event_config({"PAYMENT": given}, ()).values(), source)
    assert not any(difference.blocking for difference in found)
    return [difference.message for difference in found]


def not_unique(messages: list[str]) -> list[str]:
    return [message for message in messages if message.startswith("expected `key`")]


def test_the_sample_config_and_the_sample_source_agree(source_engine: Engine) -> None:
    create_source_tables(source_engine)
    assert check_keys(parse_event_config(EVENT_CONFIG).values(), source_engine) == []


def test_a_key_that_is_part_of_the_primary_key_is_told_with_what_is_missing(source_engine: Engine) -> None:
    create = f"CREATE TABLE payments ({COLUMNS}, PRIMARY KEY (payment_id, paid_at))"
    assert told(source_engine, entry(PAY.payment_id), create) == [
        "expected `key` (payments.payment_id) to cover a unique key of payments; the source has (payment_id, paid_at), "
        "so two rows may be taken for one event. Put paid_at into `key`, or add a unique constraint on NOT NULL "
        "columns of `key`",
        "expected payments to have the unique key (payment_id), which its model declares; the source has "
        "(payment_id, paid_at), so a join on it may repeat events. Correct the model, or add the constraint",
    ]
    assert not_unique(told(source_engine, entry(PAY.payment_id, PAY.paid_at))) == []


def test_a_table_without_a_unique_key_is_told(source_engine: Engine) -> None:
    [message, _] = told(source_engine, entry(PAY.payment_id), f"CREATE TABLE payments ({COLUMNS})")
    assert message == (
        "expected `key` (payments.payment_id) to cover a unique key of payments; the source has none, so two rows may "
        "be taken for one event. Add a unique constraint on NOT NULL columns of `key`"
    )


PLAIN = f"CREATE TABLE payments ({COLUMNS})"


@pytest.mark.parametrize(
    ("index", "filters", "unique"),
    [
        pytest.param("CREATE UNIQUE INDEX ON payments (payment_id)", [], True, id="index"),
        pytest.param("ALTER TABLE payments ADD UNIQUE (payment_id)", [], True, id="constraint"),
        pytest.param("ALTER TABLE payments ADD UNIQUE (payment_id) DEFERRABLE", [], True, id="deferrable constraint"),
        pytest.param("CREATE UNIQUE INDEX ON payments (payment_id) INCLUDE (status)", [], True, id="included column"),
        pytest.param("CREATE INDEX ON payments (payment_id)", [], False, id="not unique"),
        pytest.param("CREATE UNIQUE INDEX ON payments (payment_id, number)", [], False, id="another column"),
        pytest.param("CREATE UNIQUE INDEX ON payments ((payment_id + 0))", [], False, id="expression"),
        pytest.param("CREATE UNIQUE INDEX ON payments (payment_id) WHERE NOT voided", [], False, id="partial"),
        pytest.param(
            "CREATE UNIQUE INDEX ON payments (payment_id) WHERE NOT voided",
            [PAY.voided.is_(False)],
            True,
            id="partial, filtered alike",
        ),
        pytest.param(
            "CREATE UNIQUE INDEX ON payments (payment_id) WHERE number IS NOT NULL AND status = 'Paid (a AND b)'",
            [PAY.status == "Paid (a AND b)", PAY.number.is_not(None), PAY.till > 3],
            True,
            id="partial, both conditions filtered",
        ),
        pytest.param(
            "CREATE UNIQUE INDEX ON payments (payment_id) WHERE number IS NOT NULL AND status = 'Paid'",
            [PAY.status == "paid", PAY.number.is_not(None)],
            False,
            id="partial, another literal",
        ),
        pytest.param(
            "CREATE UNIQUE INDEX ON payments (payment_id) WHERE voided AND (till = 1 OR number = 2)",
            [(PAY.voided & (PAY.till == 1)) | (PAY.number == 2)],
            False,
            id="partial, other brackets",
        ),
    ],
)
def test_a_key_is_one_where_a_unique_index_speaks_for_each_row(
    source_engine: Engine, index: str, filters: list[Any], unique: bool
) -> None:
    messages = told(source_engine, entry(PAY.payment_id, filters=filters), PLAIN, index)
    assert (not_unique(messages) == []) is unique


@pytest.mark.parametrize(
    ("index", "filters", "advice", "null"),
    [
        pytest.param("(till, number)", [], "Make till, number NOT NULL", True, id="NULLs are distinct"),
        pytest.param("(till, number) NULLS NOT DISTINCT", [], "", True, id="NULLs are not distinct"),
        pytest.param(
            "(till, number)", [PAY.till.is_not(None), PAY.number.is_not(None)], "", False, id="NULLs are filtered out"
        ),
        pytest.param("(till, number)", [PAY.till == 7], "Make number NOT NULL", True, id="one is filtered out"),
        pytest.param("(number)", [PAY.number > 0], "Make number NOT NULL", True, id="a comparison that is not read"),
    ],
)
def test_columns_of_a_key_that_may_be_null_are_told(
    source_engine: Engine, index: str, filters: list[Any], advice: str, null: bool
) -> None:
    messages = told(
        source_engine, entry(PAY.till, PAY.number, filters=filters), PLAIN, f"CREATE UNIQUE INDEX ON payments {index}"
    )
    assert [message for message in not_unique(messages) if advice not in message] == []
    assert bool(not_unique(messages)) is bool(advice)
    nulls = [message for message in messages if message.startswith("expected the columns of `key` to be NOT NULL")]
    assert len(nulls) == null


def test_an_index_that_is_not_valid_counts_as_none(source_engine: Engine) -> None:
    rows = "INSERT INTO payments (payment_id, paid_at) SELECT 1, now() FROM generate_series(1, 2)"
    told(source_engine, entry(PAY.payment_id), PLAIN, rows)
    with (
        source_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        pytest.raises(IntegrityError),
    ):
        connection.exec_driver_sql("CREATE UNIQUE INDEX CONCURRENTLY half ON payments (payment_id)")
    assert len(not_unique(told(source_engine, entry(PAY.payment_id)))) == 1
    assert told(source_engine, entry(PAY.payment_id), "TRUNCATE payments", "REINDEX INDEX half") == []


def test_a_partitioned_tables_index_counts_once_each_partition_has_it(source_engine: Engine) -> None:
    create = f"CREATE TABLE payments ({COLUMNS}) PARTITION BY LIST (payment_id)"
    part = "CREATE TABLE payments_1 PARTITION OF payments FOR VALUES IN (1)"
    given = entry(PAY.payment_id)
    half = "CREATE UNIQUE INDEX whole ON ONLY payments (payment_id)"
    assert len(not_unique(told(source_engine, given, create, part, half))) == 1
    whole = ("CREATE UNIQUE INDEX part ON payments_1 (payment_id)", "ALTER INDEX whole ATTACH PARTITION part")
    assert told(source_engine, given, *whole) == []


def test_a_tables_key_says_nothing_of_the_tables_that_inherit_from_it(source_engine: Engine) -> None:
    create = f"CREATE TABLE payments ({COLUMNS}, PRIMARY KEY (payment_id))"
    assert told(source_engine, entry(PAY.payment_id), create) == []
    [message, _] = told(source_engine, entry(PAY.payment_id), "CREATE TABLE old_payments () INHERITS (payments)")
    assert "the source has none" in message


def test_a_view_and_a_subquery_cannot_be_judged(source_engine: Engine) -> None:
    view = f"CREATE TABLE t ({COLUMNS})", "CREATE VIEW payments AS SELECT * FROM t"
    assert told(source_engine, entry(PAY.payment_id), *view) == []
    some = select(PAYMENTS).subquery("some")
    given = {"model": some, "timestamp": some.c.paid_at, "key": some.c.payment_id, "columns": [some.c.status]}
    assert told(source_engine, given) == []


def test_a_table_that_is_not_there_is_not_told_twice(source_engine: Engine) -> None:
    assert told(source_engine, entry(PAY.payment_id)) == []


PARENT = f"CREATE TABLE payments ({COLUMNS}, PRIMARY KEY (payment_id))"
CHILD = "CREATE TABLE lines (payment_id bigint NOT NULL, line_no bigint NOT NULL, line_id bigint NOT NULL"
EACH_LINE = [(LINES, LINE.payment_id == PAY.payment_id, {"one_to_many": True})]
EACH_LINE_OR_NONE = [(LINES, LINE.payment_id == PAY.payment_id, {"one_to_many": True, "outer": True})]


@pytest.mark.parametrize(
    ("key", "joins", "unnamed"),
    [
        pytest.param((PAY.payment_id, LINE.line_no), EACH_LINE, [], id="the parent's key and the line"),
        pytest.param((LINE.payment_id, LINE.line_no), EACH_LINE, [], id="the line's own key"),
        pytest.param((LINE.line_id,), EACH_LINE, [], id="another key of the line"),
        pytest.param((PAY.payment_id, LINE.line_no), EACH_LINE_OR_NONE, [], id="a line or none"),
        pytest.param((LINE.line_id,), EACH_LINE_OR_NONE, ["payments"], id="a line's key, where there may be no line"),
        pytest.param((PAY.payment_id,), EACH_LINE, ["lines"], id="the parent's alone"),
        pytest.param((LINE.line_no,), EACH_LINE, ["payments", "lines"], id="the line's number alone"),
    ],
)
def test_an_entry_with_many_rows_for_each_needs_a_key_of_both_tables(
    source_engine: Engine, key: tuple[Any, ...], joins: list[Any], unnamed: list[str]
) -> None:
    tables = PARENT, f"{CHILD}, PRIMARY KEY (payment_id, line_no), UNIQUE (line_id))"
    messages = not_unique(told(source_engine, entry(*key, joins=joins), *tables))
    assert [message.partition("unique key of ")[2].partition(";")[0] for message in messages] == unnamed


def test_a_line_that_may_have_no_parent_is_still_known_by_its_join(source_engine: Engine) -> None:
    tables = PARENT, "CREATE TABLE lines (payment_id bigint, line_no bigint NOT NULL, UNIQUE (payment_id, line_no))"
    assert told(source_engine, entry(PAY.payment_id, LINE.line_no, joins=EACH_LINE), *tables) == []


def test_a_table_that_stands_twice_is_judged_under_each_name(source_engine: Engine) -> None:
    other = aliased(LINES, name="other")
    joins = [*EACH_LINE, (other, other.c.payment_id == PAY.payment_id, {"one_to_many": True})]
    tables = PARENT, f"{CHILD}, PRIMARY KEY (payment_id, line_no))"
    [message] = not_unique(told(source_engine, entry(PAY.payment_id, LINE.line_no, joins=joins), *tables))
    assert "(line_no" not in message
    assert "Put line_no into `key`" in message
    whole = entry(PAY.payment_id, LINE.line_no, other.c.line_no, joins=joins)
    assert told(source_engine, whole) == []


def test_a_constant_that_a_filter_fixes_need_not_stand_in_the_key(source_engine: Engine) -> None:
    create = f"CREATE TABLE payments ({COLUMNS}, PRIMARY KEY (payment_id), UNIQUE (till, number))"
    more = "ALTER TABLE payments ALTER number SET NOT NULL"
    assert not_unique(told(source_engine, entry(PAY.number, filters=[PAY.till == 7]), create, more)) == []
    assert len(not_unique(told(source_engine, entry(PAY.number, filters=[PAY.till > 7])))) == 1


def test_a_key_of_an_expression_is_told(source_engine: Engine) -> None:
    for part in (func.lower(PAY.status), cast(PAY.payment_id, Text)):
        [message] = told(source_engine, entry(part), "DROP TABLE IF EXISTS payments", PARENT)
        assert "Put payment_id into `key`" in message


def test_a_joined_table_whose_model_declares_a_key_that_is_none_is_told(source_engine: Engine) -> None:
    create_source_tables(source_engine)
    with source_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE patrols DROP CONSTRAINT patrols_pkey CASCADE")
        connection.exec_driver_sql("ALTER TABLE patrols ADD PRIMARY KEY (patrol_id, station_id)")
    given = {
        "model": Remark,
        "timestamp": Remark.created_at,
        "key": Remark.remark_id,
        "joins": [(Patrol, and_(Remark.patrol_id == Patrol.patrol_id))],
        "columns": [Remark.remark_text],
    }
    assert told(source_engine, given) == [
        "expected patrols to have the unique key (patrol_id), which its model declares; the source has "
        "(patrol_id, station_id), so a join on it may repeat events. Correct the model, or add the constraint"
    ]


def test_several_types_of_one_table_are_told_of_it_once_by_the_command(city: Engine, environment: Settings) -> None:
    with city.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE remarks DROP CONSTRAINT remarks_pkey CASCADE")
    done = CliRunner().invoke(cli, ["check"])
    assert done.exit_code == 0, done.output
    assert (
        "warning: REMARK, HIGH_INTEGRITY_VISITS, PRIORITY_CHANGE: expected `key` (remarks.remark_id) to cover a unique "
        "key of remarks; the source has none" in done.output
    )
