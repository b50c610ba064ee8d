"""Reads SQL text far enough to serve it: its shape, and what it names.

What a statement reaches cannot be read off its text: the kernel
(:mod:`sentinel_etl.local.clickhouse.confinement`) and the engine's access rights
(:mod:`sentinel_etl.local.clickhouse.rights`) keep it in. What is refused here gets a plain sentence before the
engine sees it; where the kernel cannot confine, it is the only guard of ``INTO OUTFILE``, ``FROM INFILE``, the
function ``file()`` and of engines that the rights do not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

from sentinel_etl.local.clickhouse.errors import Code, StatementFailed
from sentinel_etl.local.clickhouse.jobs import checked_format
from sentinel_etl.local.clickhouse.rights import ALLOWABLE, Reach
from sentinel_etl.local.clickhouse.sql_tokens import Token, tokens_of

__all__ = ["InsertHead", "Statement", "kill_by_client_id", "read_insert_head", "read_statement"]


_READING_VERBS = frozenset({"check", "desc", "describe", "exists", "explain", "set", "show", "use"})

_MAKING_VERBS = ("attach", "create", "replace")
_COPYING_VERBS = ("backup", "restore")

_FILE_CLAUSES = (("into", "outfile"), ("from", "infile"))

# Brackets of any kind: a clause's word within them is a name, as in {select:Int32}.
_DEEPER = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}

_NOTHING = Token("symbol", "", 0, 0)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement to run: its ``text`` ends at its last token, without ``;`` and comments.

    ``verb`` is its first word in lower case. ``tail`` is where ``INTO OUTFILE`` would stand: before
    a FORMAT clause that ends the statement, else the end. ``format`` is that clause's name.
    """

    text: str
    verb: str
    tail: int
    format: str | None
    streams: bool

    @property
    def reads_only(self) -> bool:
        return self.streams or self.verb in _READING_VERBS

    def into_file(self, path: str, format_name: str) -> str:
        """Render the statement so that the engine appends its result to ``path``, a quoted string."""
        clause = self.text[self.tail :] or f"FORMAT {format_name}"
        return f"{self.text[: self.tail]}\nINTO OUTFILE {path} APPEND {clause}"


@dataclass(frozen=True, slots=True)
class InsertHead:
    """An INSERT whose data follows: its ``target``, its ``clauses`` (SETTINGS), and where the data starts."""

    target: str
    clauses: str
    format: str
    data_start: int

    @classmethod
    def parted(cls, text: str, clauses: int | None, end: int, format_name: str, data_start: int) -> Self:
        """Part an INSERT's text up to its FORMAT or VALUES, the ``end``, where its ``clauses`` begin."""
        begin = end if clauses is None else clauses
        return cls(text[:begin], text[begin:end], format_name, data_start)


def _refuse(what: str, remedy: str = "") -> StatementFailed:
    return StatementFailed(
        Code.ACCESS_DENIED, f"{what} is refused by the local warehouse: it reaches outside it.{remedy}"
    )


def _remedy(allowable: str | None) -> str:
    return f" Start it with --allow {allowable} to allow it." if allowable else ""


def _check_reach(tokens: list[Token], reach: Reach) -> None:
    if tokens[0].text in _COPYING_VERBS:
        raise _refuse(tokens[0].text.upper())
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else _NOTHING
        if (before.kind, token.kind) == ("word", "word") and (before.text, token.text) in _FILE_CLAUSES:
            raise _refuse(f"{before.text} {token.text}".upper())
        if token.kind not in ("word", "quoted"):
            continue
        name = token.text.lower()
        after = tokens[index + 1] if index + 1 < len(tokens) else _NOTHING
        # INSERT INTO file (a, b) and CREATE TABLE url (...) name a table, db.file(...) too.
        is_call = after.text == "(" and before.text not in ("into", "table", "exists", ".")
        if is_call and name in reach.refused:
            raise _refuse(f"{name}()", _remedy(reach.refused[name]))
    if tokens[0].text in _MAKING_VERBS:
        for name in _engines_named(tokens):
            if name.lower() not in reach.engines:
                allowed = (key for key, one in ALLOWABLE.items() if one.engine.lower() == name.lower())
                raise _refuse(f"ENGINE {name}", _remedy(next(allowed, None)))


def _engines_named(tokens: list[Token]) -> Iterator[str]:
    """Find the engines that a statement gives to what it makes: before its AS SELECT, outside brackets."""
    depth = 0
    for index, token in enumerate(tokens[:-1]):
        after = tokens[index + 1]
        if token.kind == "symbol":
            depth += _DEEPER.get(token.text, 0)
        if depth or token.kind != "word":
            continue
        if token.text == "as" and after.text in ("(", "select", "with", "from", "values"):
            return
        # CREATE TABLE engine … names a table.
        if token.text == "engine" and tokens[index - 1].text not in ("table", "database", "view", "exists", "to", "."):
            found = tokens[index + 2] if after.text == "=" and index + 2 < len(tokens) else after
            if found.kind in ("word", "quoted"):
                yield found.text


def _format_clause(tokens: list[Token]) -> int | None:
    """Find the token of the FORMAT clause that ends a statement, before SETTINGS at most."""
    depth, found = 0, None
    for index, token in enumerate(tokens):
        if token.kind == "symbol":
            depth += _DEEPER.get(token.text, 0)
        elif depth == 0 and (token.kind, token.text) == ("word", "format") and index + 1 < len(tokens):
            follows = tokens[index + 2].text if index + 2 < len(tokens) else "settings"
            if tokens[index + 1].kind in ("word", "quoted") and follows == "settings":
                found = index
    return found


def _streams(tokens: list[Token]) -> bool:
    first = next((token.text for token in tokens if token.text != "("), "")
    if first == "with":
        depth = 0
        for token in tokens:
            depth += _DEEPER.get(token.text, 0) if token.kind == "symbol" else 0
            if depth == 0 and (token.kind, token.text) == ("word", "insert"):
                return False
    return first in ("select", "with", "from")


def _refuse_input(tokens: list[Token]) -> None:
    for token, after in pairwise(tokens):
        if token.kind == "word" and (token.text, after.text) == ("input", "("):
            # The embedded engine runs such an INSERT, drops its data and reports success.
            raise StatementFailed(Code.NOT_IMPLEMENTED, "input() is not supported by the local warehouse.")


def read_statement(text: str, reach: Reach) -> Statement:
    """Read one statement and check what it reaches for.

    ``streams`` tells a SELECT, whose result can be large, from the rest.

    Raises:
        StatementFailed: SYNTAX_ERROR for no statement or more than one, as ClickHouse's HTTP
            interface does; ACCESS_DENIED for what is beyond its ``reach``;
            UNKNOWN_FORMAT for a format that is no name.
    """
    tokens = list(tokens_of(text))
    if tokens and tokens[-1].kind == "unclosed":
        raise StatementFailed(
            Code.SYNTAX_ERROR, f"Syntax error: failed at position {tokens[-1].start + 1}: a quote is not closed."
        )
    _refuse_input(tokens)
    last = next((index for index, token in enumerate(tokens) if token.text == ";"), len(tokens))
    if any(token.text != ";" for token in tokens[last:]):
        raise StatementFailed(
            Code.SYNTAX_ERROR,
            f"Syntax error (Multi-statements are not allowed): failed at position {tokens[last].end} (end of query).",
        )
    tokens = tokens[:last]
    if not tokens:
        raise StatementFailed(Code.SYNTAX_ERROR, "Syntax error: failed at position 1 (end of query): Empty query.")
    _check_reach(tokens, reach)
    text = text[: tokens[-1].end]
    whole = Statement(text, tokens[0].text, len(text), None, _streams(tokens))
    if (clause := _format_clause(tokens)) is None:
        return whole
    return replace(whole, tail=tokens[clause].start, format=_format_named(text, tokens[clause + 1]))


def _format_named(text: str, token: Token) -> str:
    return checked_format(token.text if token.kind == "quoted" else text[token.start : token.end])


def kill_by_client_id(statement: Statement) -> Statement:
    """Let ``KILL QUERY WHERE query_id = …`` mean the id that the client gave.

    The engine makes query ids of its own; the client's stands in the setting ``log_comment``.
    """
    pieces, position = [], 0
    for token in tokens_of(statement.text):
        if token.kind in ("word", "quoted") and token.text.lower() == "query_id":
            pieces += [statement.text[position : token.start], "Settings['log_comment']"]
            position = token.end
    text = "".join([*pieces, statement.text[position:]])
    return replace(statement, text=text, tail=len(text))


def read_insert_head(text: str, complete: bool, reach: Reach) -> InsertHead | None:
    """Split ``INSERT INTO … FORMAT x`` or ``… VALUES`` from the data that follows it, a ``WITH`` before it or not.

    ``None`` where the text is no such INSERT, or is not ``complete`` and ends before that is known.
    Data starts after the blanks behind the format's name and at most one line break, as in
    ClickHouse's ParserInsertQuery.

    Raises:
        StatementFailed: ACCESS_DENIED, as :func:`read_statement`.
    """
    seen: list[Token] = []
    depth, inserting, clauses = 0, False, None
    for token in tokens_of(text):
        if not seen and token.text not in ("insert", "with"):
            return None
        if token.end == len(text) and not complete:
            return None
        named = bool(seen) and seen[-1].text in ("into", "table", "function", ".")
        if token.kind == "symbol":
            depth += _DEEPER.get(token.text, 0)
        elif token.kind == "word" and depth == 0 and not named:
            if token.text in ("select", "with") and seen:
                return None
            inserting = inserting or token.text == "insert"
            if token.text == "settings" and clauses is None:
                clauses = token.start
            if token.text == "values" and inserting:
                _check_reach([*seen, token], reach)
                return InsertHead.parted(text, clauses, token.start, "Values", token.end)
        if seen and inserting and depth == 0 and (seen[-1].kind, seen[-1].text) == ("word", "format"):
            before = seen[-2].text if len(seen) > 1 else ""
            if token.kind in ("word", "quoted") and before not in ("into", "table", "function", "."):
                _check_reach([*seen, token], reach)
                data = re.compile(r"[ \t\f]*\r?\n?").match(text, token.end)
                start = data.end() if data else token.end
                return InsertHead.parted(text, clauses, seen[-1].start, _format_named(text, token), start)
        seen.append(token)
    return None
