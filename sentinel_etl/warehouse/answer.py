"""Reads a SELECT's answer as the server writes it, for people: each value in its type's own spelling."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from sentinel_etl.retry import try_again
from sentinel_etl.warehouse.failures import warehouse_may_recover
from sentinel_etl.warehouse.one_select import SELECTS, first_word
from sentinel_etl.warehouse.query import READ_ONLY, open_arrow_client, query_df, refused_to_write
from sentinel_etl.warehouse.session import only_settable

__all__ = ["Answer", "read_answer"]


# Names, types, then each row as an array.
# https://clickhouse.com/docs/interfaces/formats/JSONCompactEachRowWithNamesAndTypes
FORMAT = "JSONCompactEachRowWithNamesAndTypes"

# Every digit that is kept; an error instead of half an answer.
# https://clickhouse.com/docs/operations/settings/formats
SETTINGS = {
    **READ_ONLY,
    "output_format_decimal_trailing_zeros": "1",
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_quote_decimals": "1",
    "output_format_json_quote_denormals": "1",
    "output_format_json_validate_utf8": "1",
    "wait_end_of_query": "1",
}


@dataclass(frozen=True)
class Answer:
    """The rows of a SELECT: for each column its name and its ClickHouse type, for each row JSON's values.

    What JSON has no number for is its text: decimals, instants, UUIDs, addresses, not-a-number. ``more``: whether
    there are further rows than those that were asked for.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[list[Any]]
    more: bool = False


def read_answer(engine: Engine, statement: str, limit: int = 0, *, in_utc: bool = False) -> Answer:
    """Run one SELECT and return its first ``limit`` rows; 0: all. Instants are in their column's zone, or in UTC.

    Over the native protocol, which has no formats, values and types are those of `query_df`'s frame.

    Raises: as `query_df`.
    """
    if engine.dialect.driver != "http":
        frame = query_df(engine, statement)
        rows = [[None if value is None else value for value in row] for row in frame.itertuples(index=False)]
        return cut(Answer(tuple(frame.columns), tuple(map(str, frame.dtypes)), rows), limit)
    wanted = SETTINGS | {"date_time_output_format": "iso" if in_utc else "simple"}
    if limit and first_word(statement) in SELECTS:
        wanted["limit"] = str(limit + 1)

    def read() -> Answer:
        with open_arrow_client(engine) as client:
            text = client.raw_query(statement, fmt=FORMAT, settings=only_settable(engine, wanted))
        names, types, *rows = map(json.loads, text.decode().splitlines())
        return Answer(tuple(names), tuple(types), rows)

    with refused_to_write():
        return cut(try_again(engine, warehouse_may_recover)(read), limit)


def cut(answer: Answer, limit: int) -> Answer:
    """Keep the first ``limit`` rows; 0: all."""
    if not limit or len(answer.rows) <= limit:
        return answer
    return Answer(answer.names, answer.types, answer.rows[:limit], more=True)
