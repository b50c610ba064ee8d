from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sentinel_etl import errors
from sentinel_etl.errors import SentinelError, error_named
from sentinel_etl.window import Window

EXIT_CODES = {
    "SentinelError": 1,
    "ConfigurationError": 2,
    "WindowError": 2,
    "NothingThere": 2,
    "SchemaMismatch": 2,
    "SourceUnreachable": 3,
    "WarehouseUnreachable": 4,
    "AuditFailed": 5,
    "WindowLocked": 6,
    "NotebookFailed": 7,
    "Stopped": 130,
    "Terminated": 143,
}


def test_every_error_has_the_exit_code_of_the_table() -> None:
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, SentinelError)
    }
    assert {name: error.exit_code for name, error in classes.items()} == EXIT_CODES


@pytest.mark.parametrize("name", EXIT_CODES)
def test_an_error_is_found_by_the_name_that_a_notebook_records(name: str) -> None:
    assert error_named(name) is getattr(errors, name)


@pytest.mark.parametrize("name", ["ValueError", "", "auditfailed", "Exception", "error_named"])
def test_a_name_of_no_error_of_ours_finds_none(name: str) -> None:
    assert error_named(name) is None


WINDOW = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("place", "text"),
    [
        pytest.param({}, "expected 3 rows, found 2", id="nowhere"),
        pytest.param({"stage": "audit"}, "[audit] expected 3 rows, found 2", id="stage"),
        pytest.param({"event_type": "REMARK"}, "[REMARK] expected 3 rows, found 2", id="event type"),
        pytest.param(
            {"window": WINDOW, "event_type": "REMARK", "stage": "extract"},
            "[extract · REMARK · 2026-11-21T00:30:00Z..2026-11-22T00:30:00Z] expected 3 rows, found 2",
            id="all three",
        ),
    ],
)
def test_an_error_says_where_it_happened(place: dict[str, object], text: str) -> None:
    assert str(SentinelError("expected 3 rows, found 2", **place)) == text  # type: ignore[arg-type]


def test_a_notebook_shows_one_sentence_instead_of_the_frames() -> None:
    error = errors.AuditFailed("expected 3 rows, found 2", stage="audit")
    assert error._render_traceback_() == ["AuditFailed: [audit] expected 3 rows, found 2"]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("a\x1b[31mred\x1b[0m\x07", "a\\x1b[31mred\\x1b[0m\\x07", id="ANSI codes"),
        pytest.param("a\x9b31mb\x7f\x00\r", "a\\x9b31mb\\x7f\\x00\\r", id="other controls"),
        pytest.param("a\u202egnp.exe", "a\\u202egnp.exe", id="text turned round"),
        pytest.param("ಸಹಾಯ\n\tü <b>", "ಸಹಾಯ\n\tü <b>", id="plain text"),
    ],
)
def test_control_characters_of_a_message_are_written_by_their_codes(text: str, written: str) -> None:
    assert str(SentinelError(text)) == written
