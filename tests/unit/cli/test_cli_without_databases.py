from __future__ import annotations

import re
import sys

import pytest
from click.testing import CliRunner

from sentinel_etl import errors
from sentinel_etl.cli.main import cli, main
from sentinel_etl.config.event_config import EVENT_CONFIG

FROZEN = "2026-11-22T06:10:00+05:30"


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command as a shell would, and give its exit code."""
    monkeypatch.setattr(sys, "argv", ["sentinel-etl", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_help_lists_the_exit_codes_that_the_errors_have() -> None:
    text = re.sub(r"\s+", " ", CliRunner().invoke(cli, ["--help"]).output)
    listed = {int(code) for code in re.findall(r"(?<!\w)(\d+) [a-z]", text[text.index("Exit codes:") :].split(".")[0])}
    used = {getattr(errors, name).exit_code for name in errors.__all__ if name != "error_named"}
    assert listed == used | {0}


def test_every_command_says_what_it_does() -> None:
    assert [name for name, command in cli.commands.items() if not command.help] == []


def test_a_plan_is_printed_without_connecting_to_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENTINEL_NOW", FROZEN)
    monkeypatch.setenv("SENTINEL_SOURCE_URL", "postgresql+psycopg://nobody@nowhere.invalid/none")
    assert run_main(monkeypatch, "plan") == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^-- (\w+)$", printed, re.MULTILINE) == list(EVENT_CONFIG)
    assert printed.count(">= '2026-11-21 00:30:00+00:00'") == len(EVENT_CONFIG)
    assert printed.count("< '2026-11-22 00:30:00+00:00'") == len(EVENT_CONFIG)


def test_a_plan_takes_a_window_and_event_types(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--window-end", "2026-11-20T06:00:00+05:30", "--window-hours", "1.5", "--event-type", "REMARK"]
    assert run_main(monkeypatch, "plan", *arguments) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^-- (\w+)$", printed, re.MULTILINE) == ["REMARK"]
    assert "remarks.created_at >= '2026-11-19 23:00:00+00:00'" in printed
    assert "remarks.created_at < '2026-11-20 00:30:00+00:00'" in printed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(
            ["plan", "--window-end", "yesterday"],
            "sentinel-etl: expected an instant such as 2026-11-22T06:00:00+05:30, found 'yesterday'\n",
            id="no instant",
        ),
        pytest.param(
            ["plan", "--window-end", "2026-11-22T06:00:00"],
            "sentinel-etl: expected an instant with a time zone, found '2026-11-22T06:00:00'; "
            "add one, such as +05:30\n",
            id="no zone",
        ),
        pytest.param(
            ["plan", "--window-hours", "-1"],
            "sentinel-etl: window hours: expected a number above 0, found -1.0\n",
            id="negative hours",
        ),
        pytest.param(
            ["plan", "--event-type", "REMRAK"],
            f"sentinel-etl: event types: expected some of {', '.join(EVENT_CONFIG)}; found REMRAK\n",
            id="unknown event type",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence_and_exit_2(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, *arguments) == 2
    printed = capsys.readouterr()
    assert printed.err == sentence
    assert printed.out == ""


@pytest.mark.parametrize(
    "arguments",
    [["paln"], ["plan", "--window-ned", "x"], ["plan", "--window-hours", "many"], ["backfill", "--from", "2026-11-01"]],
    ids=["unknown command", "unknown option", "not a number", "missing option"],
)
def test_wrong_usage_is_exit_2(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, *arguments) == 2
    assert "Error: " in capsys.readouterr().err


def test_a_setting_that_cannot_be_used_is_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENTINEL_TIMEZONE", "Mars/Base")
    assert run_main(monkeypatch, "plan") == 2
    assert capsys.readouterr().err == (
        "sentinel-etl: settings: SENTINEL_TIMEZONE: Value error, expected an IANA zone such as Asia/Kolkata, "
        "found 'Mars/Base'\n"
    )


def test_verbose_shows_where_an_error_came_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "--verbose", "plan", "--window-end", "yesterday") == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_hours_beyond_the_calendar_are_exit_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_main(monkeypatch, "plan", "--window-hours", "inf") == 2
