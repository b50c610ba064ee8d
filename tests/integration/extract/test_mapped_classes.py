"""Entries that name mapped classes: subclasses of one table, aliases, views, and attributes that are no columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, ClassVar

import pytest
from sqlalchemy import Column, DateTime, Engine, ForeignKey, Integer, Table, func, select, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, column_property, mapped_column, with_polymorphic

from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.config.source_models import Patrol, PatrolLog
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.extract.check_source import check_source
from sentinel_etl.extract.refused import select_refused
from sentinel_etl.extract.statements import count_events, select_events
from sentinel_etl.pipeline import SENTINEL
from sentinel_etl.run.run_window import run_window
from sentinel_etl.settings import Settings
from sentinel_etl.source.snapshot import open_snapshot
from sentinel_etl.warehouse.query import run_statement
from sentinel_etl.window import Window

NIGHT = Window.night(date(2026, 11, 21))
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Base(DeclarativeBase):
    pass


class Visit(Base):
    __tablename__ = "visits"
    visit_id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    kind: Mapped[str]
    words: Mapped[str] = mapped_column("note")
    previous_id: Mapped[int | None]
    length = column_property(func.length(words))
    __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_on": "kind", "polymorphic_identity": "visit"}

    @hybrid_property
    def loud(self) -> Any:
        return func.upper(self.words)


class Raid(Visit):
    prize: Mapped[int | None]
    __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_identity": "raid"}


class BigRaid(Raid):
    __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_identity": "big raid"}


class Inspection(Visit):
    __tablename__ = "inspections"
    visit_id: Mapped[int] = mapped_column(ForeignKey("visits.visit_id"), primary_key=True)
    grade: Mapped[str]
    __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_identity": "inspection"}


class Seen(Base):
    """A class over a view."""

    __table__ = Table(
        "seen_visits",
        Base.metadata,
        Column("visit_id", Integer, primary_key=True),
        Column("at", DateTime(timezone=True)),
        info={"view": True},
    )


OF_NOTES = select(Visit.__table__.c.visit_id, Visit.__table__.c.at).where(Visit.__table__.c.note != "c").subquery("v")


class Noted(Base):
    """A class over a query."""

    __table__ = OF_NOTES
    __mapper_args__: ClassVar[dict[str, Any]] = {"primary_key": [OF_NOTES.c.visit_id]}


ROWS = [
    (1, "visit", "a", None, None),
    (2, "raid", "b", None, 10),
    (3, "big raid", "c", 2, 1000),
    (4, "raid", "d", 1, 20),
    (5, "inspection", "e", 3, None),
]


@pytest.fixture(scope="module")
def visits(make_source: Callable[[str | None], Engine]) -> Iterator[Engine]:
    engine = make_source(None)
    tables = [table for table in Base.metadata.sorted_tables if not table.info]
    Base.metadata.create_all(engine, tables)
    with engine.begin() as connection:
        connection.execute(
            Visit.__table__.insert(),
            [
                {"visit_id": key, "at": NOON, "kind": kind, "note": note, "previous_id": previous, "prize": prize}
                for key, kind, note, previous, prize in ROWS
            ],
        )
        connection.exec_driver_sql("CREATE VIEW seen_visits AS SELECT visit_id, at FROM visits WHERE kind <> 'visit'")
    yield engine
    engine.dispose()


def entry(model: Any, *columns: Any, **more: Any) -> dict[str, Any]:
    return {"model": model, "timestamp": model.at, "key": model.visit_id, "columns": list(columns), **more}


PRIZED = aliased(Raid, name="prized")
EARLIER = aliased(Raid, name="earlier")
ANY_VISIT = with_polymorphic(Visit, [Raid])
EARLIER_RAID = (EARLIER, EARLIER.visit_id == Visit.previous_id)

# An entry → its keys and what its last column is.
ENTRIES: dict[str, tuple[dict[str, Any], dict[int, Any]]] = {
    "the class at the top": (entry(Visit, Visit.words), {1: "a", 2: "b", 3: "c", 4: "d", 5: "e"}),
    "a subclass and its own": (entry(Raid, Raid.prize), {2: 10, 3: 1000, 4: 20}),
    "a subclass of a subclass": (entry(BigRaid, BigRaid.prize), {3: 1000}),
    "a subclass with a column of the table": (entry(Raid, Visit.__table__.c.note), {2: "b", 3: "c", 4: "d"}),
    "an alias of a subclass": (entry(PRIZED, PRIZED.prize), {2: 10, 3: 1000, 4: 20}),
    "a subclass with a filter": (entry(Raid, Raid.prize, filters=[Raid.prize > 15]), {3: 1000, 4: 20}),
    "the top with what its subclasses have": (
        entry(ANY_VISIT, ANY_VISIT.Raid.prize),
        {1: None, 2: 10, 3: 1000, 4: 20, 5: None},
    ),
    "a join of a subclass": (entry(Visit, EARLIER.prize, joins=[EARLIER_RAID]), {3: 10, 5: 1000}),
    "an outer join of a subclass": (
        entry(Visit, EARLIER.prize, joins=[(*EARLIER_RAID, {"outer": True})]),
        {1: None, 2: None, 3: 10, 4: None, 5: 1000},
    ),
    "a class over a view": (entry(Seen, Seen.at), {2: NOON, 3: NOON, 4: NOON, 5: NOON}),
    "a class over a query": (entry(Noted, Noted.at), {1: NOON, 2: NOON, 4: NOON, 5: NOON}),
    "a column property": (entry(Raid, Raid.length), {2: 1, 3: 1, 4: 1}),
    "a hybrid": (entry(Raid, Raid.loud), {2: "B", 3: "C", 4: "D"}),
    "a hybrid of an alias": (entry(PRIZED, PRIZED.loud), {2: "B", 3: "C", 4: "D"}),
    "a query within": (
        entry(
            Raid,
            select(func.count(EARLIER.visit_id))
            .where(EARLIER.visit_id == Raid.previous_id)
            .scalar_subquery()
            .label("raids_before"),
        ),
        {2: 0, 3: 1, 4: 0},
    ),
}


@pytest.mark.parametrize("case", ENTRIES)
def test_an_entry_reads_and_counts_the_rows_that_are_of_its_class(visits: Engine, case: str) -> None:
    declared, expected = ENTRIES[case]
    kind = parse_event_config({"SEEN": declared}, common_columns=())["SEEN"]
    with open_snapshot(visits) as snapshot:
        read = snapshot.read_whole(select_events(kind, NIGHT))
        refused = snapshot.read_whole(select_refused(kind, NIGHT)).num_rows
        counted = snapshot.count([count_events(kind, NIGHT)])["SEEN"]
    values = read[kind.labels[-1]].to_pylist()
    assert dict(zip(read["source_key"].to_pylist(), values, strict=True)) == expected
    assert counted == len(expected) + refused
    assert [str(each) for each in check_source([kind], visits) if each.blocking] == []


@pytest.mark.parametrize("model", [Visit, Raid, BigRaid])
def test_a_class_has_the_rows_that_the_orm_finds(visits: Engine, model: type[Visit]) -> None:
    kind = parse_event_config({"SEEN": entry(model, model.words)}, common_columns=())["SEEN"]
    with Session(visits) as session:
        expected = sorted(session.scalars(select(model.visit_id)))
    with open_snapshot(visits) as snapshot:
        assert sorted(snapshot.read_whole(select_events(kind, NIGHT))["source_key"].to_pylist()) == expected


@pytest.mark.parametrize(
    "declared",
    [
        pytest.param(entry(Inspection, Inspection.grade), id="as the model"),
        pytest.param(entry(aliased(Inspection), Visit.words), id="as an alias"),
        pytest.param(
            entry(Visit, Inspection.grade, joins=[(Inspection, Inspection.visit_id == Visit.visit_id)]), id="as a join"
        ),
    ],
)
def test_a_class_that_is_mapped_to_two_tables_is_refused_in_one_sentence(declared: dict[str, Any]) -> None:
    sentence = (
        "expected a class that is mapped to one table, found Inspection on visits JOIN inspections ON .*; name one"
    )
    with pytest.raises(ConfigurationError, match=sentence):
        parse_event_config({"SEEN": declared})


def test_a_class_on_two_tables_is_said_with_a_join(visits: Engine) -> None:
    graded = Inspection.__table__
    joins = [(graded, graded.c.visit_id == Visit.visit_id, {"outer": True})]
    kind = parse_event_config({"SEEN": entry(Visit, graded.c.grade, joins=joins)})["SEEN"]
    with open_snapshot(visits) as snapshot:
        assert snapshot.read_whole(select_events(kind, NIGHT)).num_rows == len(ROWS)


class CityBase(DeclarativeBase):
    pass


class Log(CityBase):
    __table__ = PatrolLog.__table__
    __mapper_args__: ClassVar[dict[str, Any]] = {
        "polymorphic_on": __table__.c.patrol_status,
        "polymorphic_identity": "started",
    }


class Finished(Log):
    __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_identity": "finished"}


def test_a_subclass_s_rows_are_published(city: Engine, warehouse: Engine) -> None:
    finished = {
        "model": Finished,
        "timestamp": Finished.created_at,
        "key": Finished.patrol_log_id,
        "joins": [(Patrol, Finished.patrol_id == Patrol.patrol_id)],
        "columns": [Finished.latitude, Finished.longitude, Patrol.hotspots_to_visit],
    }
    pipeline = replace(SENTINEL, event_config={"PATROL_STATUS": finished}, bounds={})
    result = run_window(NIGHT, source=city, warehouse=warehouse, settings=Settings(), pipeline=pipeline)
    assert result.verdict == "PUBLISHED"
    with city.connect() as connection:
        expected = connection.scalar(
            text(
                "SELECT count(*) FROM patrol_logs WHERE patrol_status = 'finished' AND created_at >= :start "
                "AND created_at < :end"
            ),
            {"start": NIGHT.start, "end": NIGHT.end},
        )
    assert run_statement(warehouse, "SELECT count() FROM patrol_events") == [(expected,)]
    assert expected > 0
