"""Put the sample city into PostgreSQL: the schema, the static tables and night after night."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Column, Engine, Select, Table, select

from sentinel_etl.city.night import night_tables
from sentinel_etl.city.places import City, city_tables
from sentinel_etl.city.shift import IDS_PER_NIGHT, first_id
from sentinel_etl.config.source_models import SourceBase
from sentinel_etl.errors import ConfigurationError, SourceUnreachable
from sentinel_etl.loopback import without_libpq_variables
from sentinel_etl.source.connection import host_of
from sentinel_etl.source.snapshot import libpq_string
from sentinel_etl.source.sql import compile_sql

__all__ = ["create_source_tables", "load_city", "load_night", "load_nights"]


def create_source_tables(engine: Engine) -> None:
    """Create the source's tables that do not exist yet; those that do are left as they are."""
    SourceBase.metadata.create_all(engine)


def load_city(engine: Engine, city: City) -> None:
    """Write the static tables, in one transaction: an interruption leaves none of its rows.

    Rows whose ids are already there are left as they are, so running it again is safe.

    Raises:
        SourceUnreachable: PostgreSQL does not answer.
    """
    with _connection(engine) as connection, _transaction(connection) as cursor:
        for name, rows in city_tables(city).items():
            table = SourceBase.metadata.tables[name]
            key = _key(table)
            _append(cursor, table, _absent(rows, key.name, _present(cursor, select(key))))


def load_night(
    engine: Engine,
    city: City,
    shift_date: date,
    events: int = 5_000,
    received_before: datetime | None = None,
) -> dict[str, int]:
    """Write one night's rows; return the rows written per table.

    With ``received_before`` only the rows that the server had by then are written, and the
    night's patrols with the first of them; without it, all. Rows already there stay, so calling
    again later adds what came late and nothing else. A night that stands there with other
    parameters is left as it is. The night is one transaction: an interruption leaves none of it,
    and running it again is safe.

    Raises:
        ConfigurationError: ``received_before`` without a time zone, the city is not loaded, or
            as `night_tables`.
        SourceUnreachable: PostgreSQL does not answer.
    """
    _check_aware(received_before)
    with _connection(engine) as connection:
        _check_city_stands(connection, city)
        return _write_night(connection, night_tables(city, shift_date, events), shift_date, received_before)


def load_nights(
    engine: Engine,
    city: City,
    last: date,
    nights: int,
    events: int = 5_000,
    received_before: datetime | None = None,
    progress: Callable[[date, int], None] | None = None,
) -> int:
    """Write the ``nights`` nights that end with ``last``, oldest first; return the rows written.

    Each night is a transaction of its own, as in `load_night`; after each, ``progress`` is called
    with the date and its rows. An interruption leaves the nights before it whole, and running it
    again goes on from there.

    Raises:
        ConfigurationError, SourceUnreachable: as `load_night`.
    """
    _check_aware(received_before)
    written = 0
    with _connection(engine) as connection:
        _check_city_stands(connection, city)
        for back in range(nights - 1, -1, -1):
            shift_date = last - timedelta(days=back)
            tables = night_tables(city, shift_date, events)
            rows = sum(_write_night(connection, tables, shift_date, received_before).values())
            written += rows
            if progress is not None:
                progress(shift_date, rows)
    return written


def _write_night(
    connection: adbc.Connection,
    tables: dict[str, pa.Table],
    shift_date: date,
    received_before: datetime | None,
) -> dict[str, int]:
    """Write what is missing of a night, in one transaction; return the rows written per table."""
    received = {name: _received(rows, received_before) for name, rows in tables.items()}
    written = dict.fromkeys(tables, 0)
    if not any(rows.num_rows for name, rows in received.items() if name != "patrols"):
        return written
    with _transaction(connection) as cursor:
        standing = _present(cursor, _of_night(SourceBase.metadata.tables["patrols"], shift_date))
        if not _same_patrols(standing, tables["patrols"]):
            return written
        for name, rows in received.items():
            table = SourceBase.metadata.tables[name]
            missing = rows
            if standing.num_rows:
                missing = _absent(rows, _key(table).name, _present(cursor, _of_night(table, shift_date)))
            _append(cursor, table, missing)
            written[name] = missing.num_rows
    return written


@contextmanager
def _connection(engine: Engine) -> Iterator[adbc.Connection]:
    """Connect by ADBC to the engine's database: its binary COPY is what makes a night load fast."""
    url = engine.url.set(drivername="postgresql")
    try:
        with without_libpq_variables(host_of(engine.url)):
            connection = adbc.connect(libpq_string(engine))
    except adbc.Error as error:
        raise SourceUnreachable(
            f"expected PostgreSQL at {url!r}, found: {error}; check that it runs, then load again",
            stage="city",
        ) from None
    with connection:
        yield connection


@contextmanager
def _transaction(connection: adbc.Connection) -> Iterator[adbc.Cursor]:
    """Open a cursor whose work is committed at the end, or rolled back on an error."""
    with connection.cursor() as cursor:
        try:
            _spare_key_checks(cursor)
            yield cursor
        except BaseException:
            connection.rollback()
            raise
        connection.commit()


def _check_city_stands(connection: adbc.Connection, city: City) -> None:
    with _transaction(connection) as cursor:
        for name, rows in city_tables(city).items():
            key = _key(SourceBase.metadata.tables[name])
            absent = _absent(rows, key.name, _present(cursor, select(key))).num_rows
            if absent:
                raise ConfigurationError(
                    f"expected the city's {rows.num_rows} {name} in the database, found {absent} missing; "
                    "call load_city first, with the same City"
                )


def _spare_key_checks(cursor: adbc.Cursor) -> None:
    # A million crossings make three million single-row look-ups of keys that the generator has
    # just made, which costs more than writing the rows. Superusers may skip them, and roles with
    # GRANT SET ON PARAMETER, which PostgreSQL has since 15; anyone else pays for the look-ups.
    cursor.execute("SELECT current_setting('server_version_num')::int")
    (version,) = cursor.fetchone()
    if version < 150_000:
        return
    cursor.execute("SELECT has_parameter_privilege('session_replication_role', 'SET')")
    if cursor.fetchone() == (True,):
        cursor.execute("SET LOCAL session_replication_role = replica")


def _present(cursor: adbc.Cursor, statement: Select[tuple[int]]) -> pa.Table:
    """Read the keys (and for patrols the start times) that already stand in a table."""
    cursor.execute(compile_sql(statement))
    return cursor.fetch_arrow_table()


def _of_night(table: Table, shift_date: date) -> Select[tuple[int]]:
    key, lowest = _key(table), first_id(shift_date)
    columns = [key, table.c.start_time] if table.name == "patrols" else [key]
    return select(*columns).where(key >= lowest, key < lowest + IDS_PER_NIGHT)


def _key(table: Table) -> Column[int]:
    (key,) = table.primary_key.columns
    return key


def _same_patrols(standing: pa.Table, generated: pa.Table) -> bool:
    """Say whether what stands in the database is this night: ids and microseconds of the starts agree."""
    pairs = generated.select(["patrol_id", "start_time"])
    found = pairs.join(standing, ["patrol_id", "start_time"], join_type="inner")
    return bool(found.num_rows == standing.num_rows)


def _received(rows: pa.Table, before: datetime | None) -> pa.Table:
    if before is None or "received_at" not in rows.column_names:
        return rows
    limit = pa.scalar(before.astimezone(UTC), rows.schema.field("received_at").type)
    return rows.filter(pc.less(rows["received_at"], limit))


def _absent(rows: pa.Table, key: str, present: pa.Table) -> pa.Table:
    if not present.num_rows:
        return rows
    return rows.filter(pc.invert(pc.is_in(rows[key], value_set=present[key])))


def _append(cursor: adbc.Cursor, table: Table, rows: pa.Table) -> None:
    """Write rows by binary COPY."""
    if rows.num_rows:
        cursor.adbc_ingest(table.name, rows, mode="append")


def _check_aware(moment: datetime | None) -> None:
    if moment is not None and moment.utcoffset() is None:
        raise ConfigurationError(
            f"received_before: expected a time with its zone, found {moment.isoformat()}; add one, such as +05:30"
        )
