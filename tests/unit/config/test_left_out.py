"""What an entry may leave out: its key is then the model's, its timestamp the pipeline's default column."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, PrimaryKeyConstraint, Table, Text, func, select
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

from sentinel_etl.config.event_type import EventType
from sentinel_etl.config.parse_config import parse_event_config
from sentinel_etl.config.source_models import Remark
from sentinel_etl.errors import ConfigurationError
from sentinel_etl.pipeline import SENTINEL

TIME = DateTime(timezone=True)


class Base(DeclarativeBase):
    pass


class Stay(Base):
    __tablename__ = "stays"
    number: Mapped[int] = mapped_column("Stay No", primary_key=True)
    created_at: Mapped[Any] = mapped_column("Begun", TIME)
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "stay"}  # noqa: RUF012


class DayStay(Stay):
    __mapper_args__ = {"polymorphic_identity": "day"}  # noqa: RUF012


class NightStay(Stay):
    woken_at: Mapped[Any] = mapped_column(TIME)
    __mapper_args__ = {"polymorphic_identity": "night"}  # noqa: RUF012


class Report(Base):
    """A class over a view, which names its key itself."""

    __table__ = Table("reports", Base.metadata, Column("id", Integer), Column("day", Text), Column("made", DateTime))
    __mapper_args__ = {"primary_key": [__table__.c.day, __table__.c.id]}  # noqa: RUF012

    @hybrid_property
    def created_at(self) -> Any:
        return func.timezone("UTC", self.made)


TABLES = MetaData()
BEDS = Table(
    "beds",
    TABLES,
    Column("bed", Integer),
    Column("ward", Text),
    Column("created_at", TIME, key="since"),
    PrimaryKeyConstraint("ward", "bed"),
)
LOG = Table("log", TABLES, Column("n", BigInteger), Column("created_at", TIME))
CLOCK = Table("clocks", TABLES, Column("n", BigInteger, primary_key=True), Column("created_at", DateTime))
BED, STAYED = BEDS.alias("b"), aliased(Stay, name="s")


def parse(model: Any, column: Any, default: str = "created_at", **more: Any) -> EventType:
    return parse_event_config({"SEEN": {"model": model, "columns": [column], **more}}, (), default)["SEEN"]


def refusal(*given: Any, **more: Any) -> str:
    with pytest.raises(ConfigurationError) as refused:
        parse(*given, **more)
    return str(refused.value).removeprefix("EVENT_CONFIG: ")


@pytest.mark.parametrize(
    ("model", "column", "key", "timestamp"),
    [
        pytest.param(Remark, Remark.latitude, ["remarks.remark_id"], "remarks.created_at", id="mapped class"),
        pytest.param(Remark.__table__, Remark.latitude, ["remarks.remark_id"], "remarks.created_at", id="table"),
        pytest.param(Stay, Stay.kind, ["stays.Stay No"], "stays.Begun", id="an attribute of another name"),
        pytest.param(DayStay, Stay.kind, ["stays.Stay No"], "stays.Begun", id="subclass of one table"),
        pytest.param(STAYED, STAYED.kind, ["s.Stay No"], "s.Begun", id="alias of a class"),
        pytest.param(BEDS, BEDS.c.bed, ["beds.ward", "beds.bed"], "beds.created_at", id="composite, in its order"),
        pytest.param(BED, BED.c.bed, ["b.ward", "b.bed"], "b.created_at", id="alias of a table"),
        pytest.param(
            Report, Report.day, ["reports.day", "reports.id"], "timezone(:timezone_1, reports.made)", id="class's own"
        ),
    ],
)
def test_what_is_left_out_is_found_in_the_model(model: Any, column: Any, key: list[str], timestamp: str) -> None:
    kind = parse(model, column)
    assert [str(part) for part in kind.key] == key
    assert str(kind.timestamp) == timestamp


def test_what_an_entry_says_counts() -> None:
    kind = parse(BEDS, BEDS.c.ward, key=BEDS.c.bed, timestamp=func.timezone("UTC", BEDS.c.bed, type_=TIME))
    assert [str(part) for part in kind.key] == ["beds.bed"]
    assert str(kind.timestamp) == "timezone(:timezone_1, beds.bed)"


@pytest.mark.parametrize("default", ["since", "created_at"])
def test_the_default_is_found_by_the_columns_key_and_by_its_name(default: str) -> None:
    assert str(parse(BEDS, BEDS.c.ward, default).timestamp) == "beds.created_at"


def test_a_pipeline_names_its_own_default() -> None:
    entry = {"model": Remark, "columns": [Remark.remark_text]}
    pipeline = replace(SENTINEL, event_config={"REMARK": entry}, default_timestamp="received_at")
    assert str(pipeline.event_types["REMARK"].timestamp) == "remarks.received_at"


@pytest.mark.parametrize(
    ("model", "column", "message"),
    [
        pytest.param(
            LOG,
            LOG.c.n,
            "SEEN.key: left out, so expected log to have a primary key; it has n, created_at. "
            "Name the columns that identify a row as 'key'",
            id="table without a key",
        ),
        pytest.param(
            (rows := select(BEDS).subquery("rows")),
            rows.c.ward,
            "SEEN.key: left out, so expected rows to have a primary key; it has bed, ward, since. "
            "Name the columns that identify a row as 'key'",
            id="subquery",
        ),
    ],
)
def test_an_entry_without_a_key_that_can_be_found_is_told_so(model: Any, column: Any, message: str) -> None:
    assert refusal(model, column, "since" if model is not LOG else "created_at") == message


def test_an_entry_without_a_timestamp_that_can_be_found_is_told_so() -> None:
    assert refusal(Stay, Stay.kind, "begun_at") == (
        "SEEN.timestamp: left out, so expected Stay to have a column begun_at, the pipeline's default_timestamp; "
        "it has number, created_at, kind. Name the column that says when the event happened as 'timestamp'"
    )


def test_a_column_of_another_class_of_the_table_is_not_the_models() -> None:
    assert str(parse(NightStay, Stay.kind, "woken_at").timestamp) == "stays.woken_at"
    assert refusal(DayStay, Stay.kind, "woken_at").startswith("SEEN.timestamp: left out, so expected DayStay")


def test_a_default_without_a_time_zone_is_refused_as_one_that_is_named() -> None:
    assert refusal(CLOCK, CLOCK.c.n) == (
        "SEEN.timestamp: expected a column of type timestamp with time zone, found clocks.created_at of type "
        "DATETIME; for a column without a zone write func.timezone('Asia/Kolkata', column)"
    )


def test_a_model_that_is_none_is_the_only_problem_told() -> None:
    assert refusal(3, Remark.remark_text) == "SEEN.model: expected a mapped class or a Table, found 3"


@pytest.mark.parametrize("name", ["key", "timestamp"])
def test_none_is_not_the_same_as_left_out(name: str) -> None:
    assert refusal(Remark, Remark.remark_text, **{name: None}) == (
        f"SEEN.{name}: expected columns or expressions, found None"
    )
