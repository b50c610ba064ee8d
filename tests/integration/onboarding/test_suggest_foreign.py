"""Suggestions for a schema that nobody here would design: each page runs, passes every check, and reads its rows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from sqlalchemy import DateTime, Engine, ForeignKey
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from suggested import NIGHT, suggest

from sentinel_etl.config.event_type import label_of
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.extract.read import extract_data
from sentinel_etl.onboarding.live import read_only
from sentinel_etl.onboarding.live.read_only import connect_read_only
from sentinel_etl.onboarding.live.read_table import read_table
from sentinel_etl.pipeline import SENTINEL, Pipeline
from sentinel_etl.source.connection import open_source
from sentinel_etl.type_mapping.fact_types import fact_type
from sentinel_etl.type_mapping.pairs import find_pair
from sentinel_etl.type_mapping.source_types import source_type

SCHEMA = Path(__file__).with_name("foreign_schema.sql").read_text(encoding="utf-8")
TABLES = [
    *("rental", "payment", "film", '"select"', "Order Lines%s", "My.Schema.dotted.table", "x\nimport os", "readings"),
    *("visits", "clinic.visits", "only_here", "unkeyed", "doubled", "nothing_yet", "only_times", "open_rentals"),
    *("rated", "flight", "a_cycle", "order_items", "payment_11", "every_type"),
]

PASSWORD = "another word"

# Another team's pipeline, with a name of its own for a table.
WARD_PIPELINE = """
from clickhouse_sqlalchemy import Table as FactTable, engines, types
from sqlalchemy import Column, DateTime, Integer, MetaData, Table
from sentinel_etl import Pipeline

stays = Table(
    "visits", MetaData(), Column("visit_id", Integer, primary_key=True), Column("visited_at", DateTime(timezone=True)),
    Column("ward", Integer),
)
NAMES = {"event_id": types.String, "event_timestamp": types.DateTime64(6, "UTC"), "event_type": types.String,
         "shift_date": types.Date, "run_id": types.String, "loaded_at": types.DateTime64(6, "UTC"),
         "ward": types.Nullable(types.Int32)}
ENTRY = {"model": stays, "timestamp": stays.c.visited_at, "key": stays.c.visit_id, "columns": [stays.c.ward],
         "filters": [stays.c.ward == 1]}
WARDS = Pipeline(
    {"VISIT_OF_WARD_1": ENTRY},
    FactTable("ward_events", MetaData(), *(Column(name, kind) for name, kind in NAMES.items()),
              engines.MergeTree(order_by=("event_id",))),
)
"""

# What stands in columns that say something about a person, and in long texts.
PERSONAL_VALUES = ("Asha", "Rao", "example.org", "words of it", "MEENA", "KIRAN")


class Base(DeclarativeBase):
    pass


class Airport(Base):
    __tablename__ = "airport"
    airport_id: Mapped[int] = mapped_column(primary_key=True)
    elevation: Mapped[int | None]


class Flight(Base):
    __tablename__ = "flight"
    flight_id: Mapped[int] = mapped_column(primary_key=True)
    left_at: Mapped[object] = mapped_column("departed_at", DateTime(timezone=True))
    origin_airport_id: Mapped[int] = mapped_column(ForeignKey("airport.airport_id"))
    target: Mapped[int | None] = mapped_column("target_airport_id", ForeignKey("airport.airport_id"))


@pytest.fixture(scope="module")
def foreign(make_source: Callable[[str | None], Engine]) -> Iterator[Engine]:
    engine = make_source(None)
    with engine.begin() as connection:
        connection.exec_driver_sql(SCHEMA.replace("%", "%%"))
    yield engine
    engine.dispose()


@pytest.mark.parametrize("table", TABLES, ids=ascii)
def test_the_page_for_a_new_fact_table_runs_passes_check_and_counts_what_is_read(foreign: Engine, table: str) -> None:
    tried = suggest(foreign, table)
    (name,) = tried.config
    night = tried.suggestion.last_night
    assert night is not None
    assert len(extract_data(name, NIGHT, foreign, tried.config, ())) == night.loaded
    assert not [value for value in PERSONAL_VALUES if value in tried.page]


@pytest.mark.parametrize("table", TABLES, ids=ascii)
def test_the_page_for_a_fact_table_that_is_there_runs_and_passes_check(foreign: Engine, table: str) -> None:
    tried = suggest(foreign, table, SENTINEL)
    extract_data(next(iter(tried.config)), NIGHT, foreign, tried.config)
    assert not [value for value in PERSONAL_VALUES if value in tried.page]


def test_an_entry_reaches_over_a_table_of_references_and_leaves_people_alone(foreign: Engine) -> None:
    tried = suggest(foreign, "rental")
    assert tried.suggestion.text.splitlines() == [
        '"RENTAL": {',
        '    "model": rental,',
        '    "timestamp": rental.c.rental_date,',
        '    "key": rental.c.rental_id,',
        '    "joins": [',
        "        (inventory, rental.c.inventory_id == inventory.c.inventory_id),",
        "        (film, inventory.c.film_id == film.c.film_id),",
        "    ],",
        '    "columns": [',
        "        rental.c.uuid,",
        "        rental.c.inventory_id,",
        "        rental.c.customer_id,",
        "        rental.c.return_date,",
        "        rental.c.staff_id,",
        "        film.c.film_id,",
        "        film.c.release_year,",
        "        film.c.rating,",
        "        film.c.rental_rate,",
        "        film.c.special_features,",
        "    ],",
        '    "changes_later": [rental.c.return_date],',
        "},",
    ]
    assert "not joined: customer (about people: first_name, last_name, email)" in tried.notes
    assert "left out: last_update (set by a trigger on each update)" in tried.notes
    assert "return_date is filled in after the event (a time after the event's)" in tried.notes
    assert tried.suggestion.fact_columns["rental_rate"] == "Nullable(Decimal(4, 2))"
    assert tried.suggestion.fact_columns["special_features"] == "Array(Nullable(String))"
    assert tried.suggestion.weights == {"rating": {"G": 0, "PG": 0, 'it\'s "R"': 0}}


def test_a_type_that_cannot_be_loaded_is_left_out_by_name(foreign: Engine) -> None:
    notes = suggest(foreign, "film").notes
    assert "left out: fulltext (tsvector)" in notes
    assert "left out: poster (bytea)" in notes
    assert "not joined: sequel_of refers to film itself" in notes
    assert "warn: last_update says when a row came or was changed, and not that something happened" in notes


def test_each_suggested_fact_column_takes_what_is_read_without_loss(foreign: Engine) -> None:
    tried = suggest(foreign, "every_type")
    (kind,) = parse_event_config(tried.config, ()).values()
    facts = {label: fact_type(each) for label, each in tried.suggestion.fact_columns.items()}
    assert [
        label_of(column) for column in kind.columns if find_pair(source_type(column), facts[label_of(column)]) is None
    ] == []
    assert "left out: composite (pair)" in tried.notes
    assert "left out: raws (bytea[])" in tried.notes


def test_a_table_with_partitions_says_where_they_end_and_a_partition_names_its_table(foreign: Engine) -> None:
    tried = suggest(foreign, "payment")
    assert '"key": (payment.c.payment_date, payment.c.payment_id),' in tried.suggestion.text
    assert (
        "partitioned by RANGE (payment_date) into 2; rows from 2027-01-01 on have none, and cannot be written"
    ) in tried.notes
    assert "it is a partition of payment: name that" in suggest(foreign, "payment_11").notes


def test_columns_that_python_reads_otherwise_are_reached_by_their_names(foreign: Engine) -> None:
    columns = suggest(foreign, "select").suggestion.text
    for written in (
        'select_table.c["class"],',
        'select_table.c["items"],',
        'select_table.c["keys"],',
        'select_table.c["50%"].label("column_50"),',
        'select_table.c["a.b"].label("a_b"),',
        'select_table.c[\'it\\\'s "so"\'].label("it_s_so"),',
        "select_table.c.MixedCase,",
        'select_table.c.event_type.label("select_event_type"),',
        'func.timezone("Asia/Kolkata", select_table.c["created At"]),',
    ):
        assert written in columns


def test_a_key_that_nothing_keeps_unique_is_told_with_its_remedy(foreign: Engine) -> None:
    assert (
        "warn: no unique key that is never NULL: device_code, which differs in each of 100 rows, is taken. Keep it "
        "unique: CREATE UNIQUE INDEX CONCURRENTLY ON unkeyed (device_code)"
    ) in suggest(foreign, "unkeyed").notes
    assert "no column that differs in each row" in suggest(foreign, "doubled").notes
    assert "no row to see one by: id is taken" in suggest(foreign, "nothing_yet").notes


def test_a_missing_index_is_told_with_the_statement_that_makes_it(foreign: Engine) -> None:
    assert "CREATE INDEX CONCURRENTLY ON clinic.only_here (seen_at)" in suggest(foreign, "only_here").notes


def test_two_references_to_one_table_get_a_name_each(foreign: Engine) -> None:
    tried = suggest(foreign, "flight")
    assert tried.suggestion.definitions == (
        'origin_airport = airport.alias("origin_airport")',
        'target_airport = airport.alias("target_airport")',
    )
    assert '(target_airport, flight.c.target_airport_id == target_airport.c.airport_id, {"outer": True}),' in tried.page
    assert {"origin_airport_category", "target_airport_category"} <= set(tried.suggestion.fact_columns)


def test_the_pipelines_own_classes_are_used_and_what_they_lack_is_told(foreign: Engine) -> None:
    tried = suggest(foreign, "flight", models={"Flight": Flight, "Airport": Airport})
    assert '"timestamp": Flight.left_at,' in tried.suggestion.text
    assert 'target_airport = aliased(Airport, name="target_airport")' in tried.page
    assert "            Flight.target,\n" in tried.page
    assert "tags, seats, born_on, phone_number, pay (the model Flight does not have it yet)" in tried.notes
    assert tried.suggestion.tables == {}


@pytest.fixture
def wards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    (tmp_path / "ward_pipeline.py").write_text(WARD_PIPELINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield import_module("ward_pipeline").WARDS
    del sys.modules["ward_pipeline"]


def test_the_pipelines_own_tables_are_imported_from_the_module_that_has_them(foreign: Engine, wards: Pipeline) -> None:
    tried = suggest(foreign, "visits", wards)
    assert "from ward_pipeline import stays" in tried.page
    assert '"timestamp": stays.c.visited_at,' in tried.page
    assert "EVENT_CONFIG has entries of this table: VISIT_OF_WARD_1" in tried.notes
    assert tried.suggestion.fact_columns == {"ward": "Nullable(Int32)"}


def test_conditions_that_look_wanted_are_suggested_as_a_comment(foreign: Engine) -> None:
    assert (
        '# "filters": [flight.c.deleted_at.is_(None), flight.c.is_test.is_not(True)],  '
        "# leaves out rows that are marked as deleted, and rows that are marked as tests"
    ) in suggest(foreign, "flight").suggestion.text


def test_a_table_without_a_time_takes_that_of_the_table_it_refers_to(foreign: Engine) -> None:
    text = suggest(foreign, "order_items").suggestion.text
    assert '"timestamp": orders.c.ordered_at,' in text
    assert "and_(order_items.c.region == orders.c.region, order_items.c.number == orders.c.number)" in text


def test_a_name_in_two_schemas_is_that_of_the_search_path_and_the_other_is_said_in_full(foreign: Engine) -> None:
    assert read_table(foreign, "visits").schema == "public"
    tried = suggest(foreign, "clinic.visits")
    assert "(public_visits, visits.c.before_id == public_visits.c.visit_id" in tried.suggestion.text
    assert tried.suggestion.weights == {"urgency": {"RED": 0, "GREEN": 0}}
    with pytest.raises(ConfigurationError, match=r"several schemas have twin.*My\.Schema\.twin, clinic\.twin"):
        read_table(foreign, "twin")


def test_a_fact_column_that_takes_no_null_and_is_not_filled_is_told(foreign: Engine) -> None:
    tried = suggest(foreign, "rental", SENTINEL)
    assert "warn: patrol_id, officer_id, station_id of patrol_events take no NULL" in tried.notes
    assert tried.suggestion.last_night is not None
    assert (tried.suggestion.last_night.loaded, tried.suggestion.last_night.rejected) == (0, 600)


def test_a_large_table_is_estimated_and_a_sample_of_it_is_read(foreign: Engine) -> None:
    live = read_table(foreign, "readings")
    assert (live.rows, live.rows_are_estimated) == (120_000, True)
    assert 5_000 < live.sampled <= 10_000
    assert live.columns["status"].keywords == ("DONE", "OPEN")
    assert live.columns["guest"].keywords == ()


def test_a_view_that_is_too_slow_to_look_at_is_suggested_by_names_alone(
    foreign: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_only, "STATEMENT_SECONDS", 1)
    tried = suggest(foreign, "slow")
    assert tried.suggestion.last_night is None
    assert "slow: a view, number of rows not known in time" in tried.notes
    assert "warn: no sample could be read in time" in tried.notes


def test_looking_around_can_write_nothing(foreign: Engine) -> None:
    with connect_read_only(foreign) as connection, pytest.raises(DBAPIError, match="read-only transaction"):
        connection.exec_driver_sql("CREATE TABLE theirs (id integer)")


@pytest.fixture
def limited(foreign: Engine) -> Iterator[Engine]:
    """The source as a role that may read three columns of film, and nothing else."""
    with foreign.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE few_columns LOGIN PASSWORD '{PASSWORD}'")
        connection.exec_driver_sql("GRANT SELECT (film_id, rating, last_update) ON film TO few_columns")
    url = foreign.url.set(username="few_columns", password=PASSWORD)
    engine = open_source(url.render_as_string(hide_password=False))
    yield engine
    engine.dispose()
    with foreign.begin() as connection:
        connection.exec_driver_sql("REVOKE ALL ON film FROM few_columns")
        connection.exec_driver_sql("DROP ROLE few_columns")


def test_a_column_that_the_role_may_not_read_is_left_out_by_name(limited: Engine) -> None:
    tried = suggest(limited, "film")
    assert tried.suggestion.fact_columns == {"rating": "LowCardinality(Nullable(String))"}
    assert "sequel_of (the role may not read it)" in tried.notes
    with pytest.raises(ConfigurationError, match=r"no right to read a column of rental\. Grant it SELECT there"):
        suggest(limited, "rental")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rentl", r"found none of the name 'rentl'\. Did you mean rental\?"),
        ("clinic.visit", r"Did you mean clinic\.visits"),
        ("pg_class", r"found none of the name 'pg_class'"),
        ("timeless", r"expected a column of type timestamp or date.*found id, word"),
        ("customer", r"expected a column of type timestamp or date"),
    ],
)
def test_a_table_that_cannot_be_is_told_in_one_sentence(foreign: Engine, name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        suggest(foreign, name)
