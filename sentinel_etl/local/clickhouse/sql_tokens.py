"""Splits SQL text into its significant tokens, as ClickHouse's lexer sees them.

Statements are held as Latin-1 text made from their bytes: one character is one byte, so that a
position in the text is a position in the body, and binary data after an INSERT does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from sentinel_etl.local.clickhouse.errors import Code, StatementFailed

__all__ = ["Token", "tokens_of"]


Kind = Literal["word", "quoted", "string", "symbol", "unclosed"]

# After ClickHouse's src/Parsers/Lexer.cpp. A number keeps no dollar sign and a word does, because
# there ``1$a$`` opens a here-document and ``x$a$`` does not. Nothing is tried twice: the quantifiers
# with a second plus give back nothing.
_TOKEN = re.compile(
    r"""
      (?P<blank>[ \t\n\r\f\v]+ | --[^\n]* | //[^\n]* | \#[ !][^\n]*)
    | (?P<comment>/\*)
    | (?P<string>'(?:[^'\\]++|\\.|'')*+' | [xXbB]'[^']*+')
    | (?P<quoted>"(?:[^"\\]++|\\.|"")*+" | `(?:[^`\\]++|\\.|``)*+`)
    | (?P<unclosed>['"`])
    | (?P<number>[0-9][0-9A-Za-z_]*)
    | (?P<word>[A-Za-z_][0-9A-Za-z_$]*)
    | (?P<heredoc>\$[^$]*\$)
    | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ESCAPED = re.compile(r"\\x([0-9A-Fa-f]{2})|\\(.)|([\"`])\3", re.DOTALL)
# Dollar signs that may open nothing: for each one the rest of the text is looked through.
_LONE_DOLLARS: Final = 100
# The bytes of the typographic quotes, which ClickHouse reads as quotes.
_TYPOGRAPHIC_QUOTES = ("\xe2\x80\x98", "\xe2\x80\x99", "\xe2\x80\x9c", "\xe2\x80\x9d")


@dataclass(frozen=True, slots=True)
class Token:
    """One significant token: ``text`` is lower case for a word, unquoted for a quoted identifier.

    ``unclosed`` is a quote without its end, and all that follows it.
    """

    kind: Kind
    text: str
    start: int
    end: int


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
            mirrored here and would let a statement hide its words; for many lone dollar signs.
    """
    position, dollars = 0, 0
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
            dollars += closing < 0
            if dollars > _LONE_DOLLARS:
                raise StatementFailed(
                    Code.SYNTAX_ERROR,
                    f"Syntax error: expected at most {_LONE_DOLLARS} dollar signs outside quotes, found more.",
                )
            position = closing + len(found) if closing >= 0 else start + 1
            yield Token("string" if closing >= 0 else "symbol", found, start, position)
        elif kind == "unclosed":
            yield Token("unclosed", found, start, len(text))
            return
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
