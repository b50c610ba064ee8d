"""The pipeline of a theatre whose database nobody here would design: see schema.sql."""

from enum import Enum

from clickhouse_sqlalchemy import Table as FactTable
from clickhouse_sqlalchemy import engines, types
from sqlalchemy import Column as C
from sqlalchemy import ForeignKey, MetaData, Table, and_, case, func, text
from sqlalchemy import types as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

from sentinel_etl import Pipeline

SCHEMA = "Opera House"
metadata = MetaData(schema=SCHEMA)
INSTANT = sa.DateTime(timezone=True)
MOOD = pg.ENUM("quiet", "it's loud", "RIOT", name="Mood", schema=SCHEMA, create_type=False)
SEAT = pg.DOMAIN("seat", pg.VARCHAR(6), schema=SCHEMA, create_type=False)
SHARE = pg.DOMAIN("share %", pg.NUMERIC(5, 2), schema=SCHEMA, create_type=False)

groups = Table(
    "Group", metadata, C("group", sa.Text, primary_key=True), C("User", sa.Text), C("limit", sa.SmallInteger)
)
orders = Table(
    "Order",
    metadata,
    C("season", sa.SmallInteger, primary_key=True),
    C("No.", sa.BigInteger, primary_key=True),
    C("when", INSTANT),
    C("group", sa.Text, ForeignKey(groups.c.group)),
    C("select", SEAT),
    C("discount %", pg.DOMAIN("share to pay %", SHARE, schema=SCHEMA, create_type=False)),
    C("from", sa.Text),
    C("price", pg.MONEY),
    C("returnedAt", INSTANT),
)
lines = Table(
    "Order Line",
    metadata,
    C("season", sa.SmallInteger, primary_key=True),
    C("No.", sa.BigInteger, primary_key=True),
    C("line", sa.SmallInteger, primary_key=True),
    C("at", INSTANT),
    C("table", sa.Text),
)
scans = Table(
    "scan",
    metadata,
    C("scanId", sa.BigInteger, primary_key=True),
    C("scanned at", INSTANT, primary_key=True),
    C("gate", pg.INET),
    C("seat", SEAT),
    C("ok", sa.Boolean),
)
complaints = Table("v Complaint", metadata, C("N", sa.BigInteger), C("written on", INSTANT), C("text", sa.Text))
every = Table(
    "every type",
    metadata,
    C("key", pg.UUID, primary_key=True),
    C("created_at", INSTANT),
    C("smallint", sa.SmallInteger),
    C("integer", sa.Integer),
    C("bigint", sa.BigInteger),
    C("oid", pg.OID),
    C("numeric", sa.Numeric),
    C("numeric(20,6)", sa.Numeric(20, 6)),
    C("real", pg.REAL),
    C("double", pg.DOUBLE_PRECISION),
    C("boolean", sa.Boolean),
    C("text", sa.Text),
    C("varchar", sa.String(9)),
    C("char", pg.CHAR(5)),
    C("name", sa.Text),
    C("bytea", pg.BYTEA),
    C("uuid", pg.UUID),
    C("inet", pg.INET),
    C("cidr", pg.CIDR),
    C("macaddr", pg.MACADDR),
    C("json", pg.JSON),
    C("jsonb", pg.JSONB),
    C("date", sa.Date),
    C("timestamp", sa.DateTime),
    C("timestamptz", INSTANT),
    C("time", pg.TIME),
    C("timetz", pg.TIME(timezone=True)),
    C("interval", pg.INTERVAL),
    C("money", pg.MONEY),
    C("enum", MOOD),
    C("domain", SHARE),
    C("bit", pg.BIT(8)),
    C("range", pg.TSTZRANGE),
    C("integers", pg.ARRAY(sa.Integer)),
    C("numerics", pg.ARRAY(sa.Numeric)),
    C("texts", pg.ARRAY(sa.Text)),
    C("instants", pg.ARRAY(INSTANT)),
    C("enums", pg.ARRAY(MOOD)),
    C("domains", pg.ARRAY(SEAT)),
)


class Base(DeclarativeBase):
    metadata = metadata


class Happening(Base):
    """Any happening; "Kind" tells which."""

    __tablename__ = "happening"
    id: Mapped[str] = mapped_column("Id", pg.UUID, primary_key=True)
    kind: Mapped[str] = mapped_column("Kind", pg.CHAR(4))
    at: Mapped[str] = mapped_column(sa.DateTime)
    group: Mapped[str | None] = mapped_column(sa.Text)
    mood: Mapped[str | None] = mapped_column(MOOD)
    length: Mapped[str | None] = mapped_column(pg.INTERVAL)
    cast_ids: Mapped[list[int] | None] = mapped_column(pg.ARRAY(sa.Integer))
    end: Mapped[str | None] = mapped_column(pg.TIME)
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "none"}  # noqa: RUF012


class Rehearsal(Happening):
    __mapper_args__ = {"polymorphic_identity": "rehe"}  # noqa: RUF012


class Performance(Happening):
    __mapper_args__ = {"polymorphic_identity": "perf"}  # noqa: RUF012


buyers = aliased(orders, name="bought")  # type: ignore[type-var]
optional = types.Nullable
Mood = Enum("Mood", [("quiet", 1), ("it's loud", 2), ("RIOT", 3)])

house_events = FactTable(
    "House Events",
    MetaData(),
    C("event_id", types.String),
    C("event_timestamp", types.DateTime64(6, "UTC")),
    C("event_type", types.LowCardinality(types.String)),
    C("shift_date", types.Date),
    C("group", types.LowCardinality(optional(types.String))),
    C("seat", optional(types.String)),
    C("mood", optional(types.Enum8(Mood))),
    C("price", optional(types.Decimal(19, 2))),
    C("discount", optional(types.Decimal(5, 2))),
    C("gate", optional(types.IPv6)),
    C("ok", optional(types.Boolean)),
    C("text", optional(types.String)),
    C("buyer", optional(types.String)),
    C("returned_at", optional(types.DateTime64(6, "Europe/Berlin"))),
    C("cast_ids", types.Array(optional(types.Int32))),
    C("uuid", optional(types.UUID)),
    C("day", optional(types.Date32)),
    C("exact", optional(types.Decimal(38, 20))),
    C("single", optional(types.Float32)),
    C("double", optional(types.Float64)),
    C("instants", types.Array(optional(types.DateTime64(6, "UTC")))),
    C("document", optional(types.String)),
    C("base_risk_score", types.Float64),
    C("risk_reasons", types.Array(types.String)),
    C("details_json", optional(types.String)),
    C("run_id", types.String),
    C("loaded_at", types.DateTime64(6, "UTC")),
    engines.MergeTree(partition_by=text("toMonday(shift_date)"), order_by=("shift_date", "event_type", "event_id")),
)

EVENT_CONFIG = {
    "ORDER": {
        "model": orders,
        "timestamp": orders.c.when,
        "joins": [(groups, and_(orders.c.group == groups.c.group, groups.c.limit.is_distinct_from(0)))],
        "columns": [
            orders.c.group,
            orders.c.select.label("seat"),
            orders.c["discount %"].label("discount"),
            orders.c["from"].label("buyer"),
            orders.c.price,
            orders.c.returnedAt.label("returned_at"),
            groups.c.User,
            case((groups.c.limit > 10, "large"), else_="small").label("group % size"),
        ],
    },
    "ORDER_LINE": {
        "model": lines,
        "timestamp": lines.c["at"],
        "joins": [(buyers, and_(lines.c.season == buyers.c.season, lines.c["No."] == buyers.c["No."]))],
        "columns": [lines.c.table, buyers.c.group, buyers.c.price],
    },
    "REHEARSAL": {
        "model": Rehearsal,
        "timestamp": func.timezone("Europe/Berlin", Rehearsal.at),
        "joins": [(groups, Rehearsal.group == groups.c.group, {"outer": True})],
        "columns": [Rehearsal.group, Rehearsal.mood, Rehearsal.length, Rehearsal.cast_ids, Rehearsal.end],
    },
    "PERFORMANCE": {
        "model": Performance,
        "timestamp": func.timezone("Europe/Berlin", Performance.at),
        "columns": [Performance.group, Performance.mood, Performance.cast_ids],
    },
    "SCAN": {
        "model": scans,
        "timestamp": scans.c["scanned at"],
        "filters": [scans.c.ok.is_(True)],
        "columns": [scans.c.gate, scans.c.seat, scans.c.ok],
    },
    "COMPLAINT": {
        "model": complaints,
        "timestamp": complaints.c["written on"],
        "key": complaints.c.N,
        "columns": [complaints.c.text],
    },
    "EVERY_TYPE": {
        "model": every,
        "columns": [
            every.c.smallint,
            every.c.integer,
            every.c.bigint,
            every.c.oid,
            every.c.numeric.label("exact"),
            every.c["numeric(20,6)"],
            every.c.real.label("single"),
            every.c.double,
            every.c.boolean,
            every.c.text,
            every.c.varchar,
            every.c.char,
            every.c.name,
            every.c.bytea,
            every.c.uuid,
            every.c.inet,
            every.c.cidr,
            every.c.macaddr,
            every.c.json,
            every.c.jsonb.label("document"),
            every.c.date.label("day"),
            every.c.timestamp,
            every.c.timestamptz,
            every.c.time,
            every.c.timetz,
            every.c.interval,
            every.c.money.label("price"),
            every.c.enum.label("mood"),
            every.c.domain.label("discount"),
            every.c.bit,
            every.c.range,
            every.c.integers.label("cast_ids"),
            every.c.numerics,
            every.c.texts,
            every.c.instants,
            every.c.enums,
            every.c.domains,
        ],
    },
}

OPERA = Pipeline(
    event_config=EVENT_CONFIG,
    fact_table=house_events,
    risk_weights={"mood": {"RIOT": 10.0, "it's loud": 2.5}, "event_type": {"COMPLAINT": 1.0}},
    personal={"buyer": "name", "text": "free text"},
    bounds={"discount": (0, 100)},
)
