"""What counts as one statement that reads: the first look, before the server refuses the rest. Pure."""

from __future__ import annotations

import re

from sentinel_etl.errors import ConfigurationError

__all__ = ["SELECTS", "first_word", "require_one_select"]


# The statements that give rows and change nothing. ClickHouse lets a SELECT begin with its FROM, too.
# https://clickhouse.com/docs/sql-reference/statements
SELECTS = ("SELECT", "WITH", "FROM")
READS = (*SELECTS, "EXPLAIN", "SHOW", "DESCRIBE", "DESC", "EXISTS")

# Texts, quoted names and comments, in which a word is no word of the statement.
# https://clickhouse.com/docs/sql-reference/syntax
OPAQUE = re.compile(
    r"""
    (?P<text>
        '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `(?:[^`\\]|\\.)*`
        | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$
    )
    | --[^\n]* | \#[\ !][^\n]* | /\*.*?\*/
    """,
    re.DOTALL | re.VERBOSE,
)
OUTPUT = re.compile(r"\bINTO\s+OUTFILE\b|\bFORMAT\s+\w+\s*$", re.IGNORECASE)


def first_word(statement: str) -> str:
    """Give the word that a statement begins with, in capitals; empty where it begins with none."""
    found = re.match(r"[\s(]*([A-Za-z]+)", bare(statement))
    return found[1].upper() if found else ""


def require_one_select(statement: str) -> None:
    """Refuse what is not one statement that reads, by its words alone: what else would write, the server refuses.

    Raises:
        ConfigurationError: it is empty, begins with another word, is several statements, or says where its answer
            goes.
    """
    words = bare(statement).rstrip("; \t\r\n").lstrip()
    if not words:
        raise ConfigurationError("expected one SELECT, found no statement")
    if (word := first_word(words)) not in READS:
        raise ConfigurationError(
            f"expected one SELECT, or another statement that reads ({', '.join(READS[3:])}), found one that begins "
            f"with {word or words[:20]!r}. What changes tables is for a ClickHouse client"
        )
    if ";" in words:
        raise ConfigurationError("expected one SELECT, found a semicolon and more behind it; send them one by one")
    if found := OUTPUT.search(words):
        raise ConfigurationError(
            f"expected a SELECT that leaves its output to its caller, found {' '.join(found[0].split())}; leave it out"
        )


def bare(statement: str) -> str:
    """Empty a statement's texts and quoted names, and take its comments out."""
    return OPAQUE.sub(lambda found: "''" if found["text"] else " ", statement)
