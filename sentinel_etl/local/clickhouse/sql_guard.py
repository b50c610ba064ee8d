"""Reads SQL text far enough to serve it: its tokens, its shape, and what it must not reach.

The engine's own access rights (:mod:`sentinel_etl.local.clickhouse.engine`) keep a statement from files
and the network. Left to this module are the few things that the embedded engine does not check:
``INTO OUTFILE``, ``FROM INFILE``, the scalar function ``file()`` and the names in
:mod:`sentinel_etl.local.clickhouse.sql_denied`.

Statements are held as Latin-1 text made from their bytes: one character is one byte, so that a
position in the text is a position in the body, and binary data after an INSERT does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from sentinel_etl.local.clickhouse.errors import Code, StatementFailed
from sentinel_etl.local.clickhouse.sql_denied import DENIED_ENGINES, DENIED_FUNCTIONS, DENIED_STATEMENTS

__all__ = ["InsertHead", "Statement", "Token", "kill_by_client_id", "read_insert_head", "read_statement", "tokens_of"]


_READING_VERBS = frozenset({"check", "desc", "describe", "exists", "explain", "set", "show", "use"})

Kind = Literal["word", "quoted", "string", "symbol"]

_FILE_CLAUSES = (("into", "outfile"), ("from", "infile"))

# After ClickHouse's src/Parsers/Lexer.cpp. A number keeps no dollar sign and a word does, because
# there ``1$a$`` opens a here-document and ``x$a$`` does not.
_TOKEN = re.compile(
    r"""
      (?P<blank>[ \t\n\r\f\v]+ | --[^\n]* | //[^\n]* | \#[ !][^\n]*)
    | (?P<comment>/\*)
    | (?P<string>'(?:[^'\\]|\\.|'')*' | [xXbB]'[^']*')
    | (?P<quoted>"(?:[^"\\]|\\.|"")*" | `(?:[^`\\]|\\.|``)*`)
    | (?P<number>[0-9][0-9A-Za-z_]*)
    | (?P<word>[A-Za-z_][0-9A-Za-z_$]*)
    | (?P<heredoc>\$[^$]*\$)
    | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ESCAPED = re.compile(r"\\x([0-9A-Fa-f]{2})|\\(.)|([\"`])\3", re.DOTALL)
# The bytes of the typographic quotes, which ClickHouse reads as quotes.
_TYPOGRAPHIC_QUOTES = ("\xe2\x80\x98", "\xe2\x80\x99", "\xe2\x80\x9c", "\xe2\x80\x9d")


@dataclass(frozen=True, slots=True)
class Token:
    """One significant token: ``text`` is lower case for a word, unquoted for a quoted identifier."""

    kind: Kind
    text: str
    start: int
    end: int


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
        """Render the statement so that the engine appends its result to ``path``."""
        clause = self.text[self.tail :] or f"FORMAT {format_name}"
        return f"{self.text[: self.tail]}\nINTO OUTFILE '{path}' APPEND {clause}"


@dataclass(frozen=True, slots=True)
class InsertHead:
    """An INSERT whose data follows: ``sql`` without FORMAT or VALUES, and where the data starts."""

    sql: str
    format: str
    data_start: int


def _comment_end(text: str, start: int) -> int:
    """Find the end of a block comment; they nest, as in the SQL standard and in ClickHouse."""
    depth, position = 0, start
    while edge := _COMMENT_EDGE.search(text, position):
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
        if depth == 0:
            return position
    return len(text)


def _unescaped(escape: re.Match[str]) -> str:
    # `fi\x6ce` is the name file: a letter may be written by its number.
    code, plain, doubled = escape.groups()
    return chr(int(code, 16)) if code else plain or doubled


def tokens_of(text: str) -> Iterator[Token]:
    """Walk through the significant tokens, as ClickHouse's lexer sees them.

    A byte outside ASCII that stands outside quotes is passed over: it is one of the Unicode blanks
    that ClickHouse skips, or an error that the engine reports.

    Raises:
        StatementFailed: SYNTAX_ERROR for typographic quotes, whose reading by the engine is not
            mirrored here and would let a statement hide its words.
    """
    position = 0
    while match := _TOKEN.match(text, position):
        start, position, kind = match.start(), match.end(), match.lastgroup
        found = match.group()
        if kind == "blank":
            continue
        if kind == "comment":
            position = _comment_end(text, start)
        elif kind == "heredoc":
            closing = text.find(found, position)
            # ClickHouse reads a dollar sign that opens no here-document as a token of its own.
            position = closing + len(found) if closing >= 0 else start + 1
            yield Token("string" if closing >= 0 else "symbol", found, start, position)
        elif kind == "quoted":
            yield Token("quoted", _ESCAPED.sub(_unescaped, found[1:-1]), start, position)
        elif kind == "string":
            yield Token("string", found, start, position)
        elif kind in ("word", "number"):
            yield Token("word", found.lower(), start, position)
        elif found < "\x80":
            yield Token("symbol", found, start, position)
        elif text.startswith(_TYPOGRAPHIC_QUOTES, start):
            raise StatementFailed(
                Code.SYNTAX_ERROR, "Syntax error: typographic quotes are not read here: use ' and \"."
            )


def _refuse(what: str, remedy: str = "") -> StatementFailed:
    return StatementFailed(
        Code.ACCESS_DENIED, f"{what} is refused by the local warehouse: it reaches outside it.{remedy}"
    )


def _remedy(allowable: str | None) -> str:
    return f" Start it with --allow {allowable} to allow it." if allowable else ""


def _check_reach(tokens: list[Token], allow: frozenset[str]) -> None:
    if tokens[0].text in DENIED_STATEMENTS:
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
        if is_call and DENIED_FUNCTIONS.get(name, name) not in allow and name in DENIED_FUNCTIONS:
            raise _refuse(f"{name}()", _remedy(DENIED_FUNCTIONS[name]))
        origin = tokens[index - 2] if before.text == "=" and index > 1 else before
        is_engine = (origin.kind, origin.text) == ("word", "engine")
        if is_engine and DENIED_ENGINES.get(name, name) not in allow and name in DENIED_ENGINES:
            raise _refuse(f"ENGINE {name}", _remedy(DENIED_ENGINES[name]))


def _format_clause(tokens: list[Token]) -> int | None:
    """Find the token of the FORMAT clause that ends a statement, before SETTINGS at most."""
    depth, found = 0, None
    for index, token in enumerate(tokens):
        if token.kind == "symbol":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
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
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "symbol" else 0
            if depth == 0 and (token.kind, token.text) == ("word", "insert"):
                return False
    return first in ("select", "with", "from")


def _refuse_input(tokens: list[Token]) -> None:
    for token, after in pairwise(tokens):
        if token.kind == "word" and (token.text, after.text) == ("input", "("):
            # The embedded engine runs such an INSERT, drops its data and reports success.
            raise StatementFailed(Code.NOT_IMPLEMENTED, "input() is not supported by the local warehouse.")


def read_statement(text: str, allow: frozenset[str] = frozenset()) -> Statement:
    """Read one statement and check what it reaches for.

    ``streams`` tells a SELECT, whose result can be large, from the rest.

    Raises:
        StatementFailed: SYNTAX_ERROR for no statement or more than one, as ClickHouse's HTTP
            interface does; ACCESS_DENIED for what the deny-lists name and ``allow`` does not.
    """
    tokens = list(tokens_of(text))
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
    _check_reach(tokens, allow)
    text = text[: tokens[-1].end]
    whole = Statement(text, tokens[0].text, len(text), None, _streams(tokens))
    if (clause := _format_clause(tokens)) is None:
        return whole
    return replace(whole, tail=tokens[clause].start, format=_as_written(text, tokens[clause + 1]))


def _as_written(text: str, token: Token) -> str:
    return token.text if token.kind == "quoted" else text[token.start : token.end]


def kill_by_client_id(statement: Statement) -> Statement:
    """Let ``KILL QUERY WHERE query_id = …`` mean the id that the client gave.

    The engine makes query ids of its own; the client's stands in the setting ``log_comment``.
    """
    text = statement.text
    for token in reversed(list(tokens_of(text))):
        if token.kind in ("word", "quoted") and token.text.lower() == "query_id":
            text = f"{text[: token.start]}Settings['log_comment']{text[token.end :]}"
    return replace(statement, text=text, tail=len(text))


def read_insert_head(text: str, complete: bool, allow: frozenset[str] = frozenset()) -> InsertHead | None:
    """Split ``INSERT INTO … FORMAT x`` or ``… VALUES`` from the data that follows it.

    ``None`` where the text is no such INSERT, or is not ``complete`` and ends before that is known.
    Data starts after the blanks behind the format's name and at most one line break, as in
    ClickHouse's ParserInsertQuery.

    Raises:
        StatementFailed: ACCESS_DENIED, as :func:`read_statement`.
    """
    seen: list[Token] = []
    depth = 0
    for token in tokens_of(text):
        if not seen and token.text != "insert":
            return None
        if token.end == len(text) and not complete:
            return None
        named = bool(seen) and seen[-1].text in ("into", "table", "function", ".")
        if token.kind == "symbol":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        elif token.kind == "word" and depth == 0 and not named:
            if token.text in ("select", "with"):
                return None
            if token.text == "values":
                _check_reach([*seen, token], allow)
                return InsertHead(text[: token.start], "Values", token.end)
        if seen and depth == 0 and (seen[-1].kind, seen[-1].text) == ("word", "format"):
            before = seen[-2].text if len(seen) > 1 else ""
            if token.kind in ("word", "quoted") and before not in ("into", "table", "function", "."):
                _check_reach([*seen, token], allow)
                data = re.compile(r"[ \t\f]*\r?\n?").match(text, token.end)
                start = data.end() if data else token.end
                return InsertHead(text[: seen[-1].start], _as_written(text, token), start)
        seen.append(token)
    return None
