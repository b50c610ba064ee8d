"""Whom a run's verdict reaches, and what it says: tried on a local HTTP server and a local mail server."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MailHandler
from loopback_server import LoopbackServer
from pydantic import SecretStr

from sentinel_etl.audit.checks import Check, Severity
from sentinel_etl.errors import AuditFailed, NotebookFailed, SentinelError, SourceUnreachable
from sentinel_etl.ledger.states import RunState
from sentinel_etl.notebook.execute import run_notebook
from sentinel_etl.notebook.messages import Message, write_message
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.notebook.notify import send_message, split_urls, tell_verdict
from sentinel_etl.settings import Settings
from sentinel_etl.window import Window

NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
RUNS = Path("/srv/sentinel/runs")
REDO = "sentinel-etl run --window-end 2026-11-22T06:00:00+05:30"
HEAL = "sentinel-etl reconcile --days 8 --heal"
LATE = Check(
    "earlier nights are complete", Severity.WARN, False, f"at most 2% late; to mend: {HEAL}", "2026-11-20: REMARK +40"
)
FEW = Check("volumes are as usual", Severity.WARN, False, "0.56 to 1.8 times the median", "REMARK 3 is 0.1 times")
LOST = Check("keys are unique", Severity.BLOCK, False, "5 distinct event_id", "4 distinct event_id")
FINE = Check("the window has events", Severity.WARN, True, "at least 1 event", "5 events")


class Mailbox(MailHandler):
    def __init__(self) -> None:
        super().__init__()
        self.mails: list[tuple[str, str]] = []

    def handle_message(self, message: Any) -> None:
        mail = message_from_bytes(bytes(message), policy=policy.default)
        body = mail.get_body(("plain", "html"))
        assert body is not None
        self.mails.append((str(mail["Subject"]), body.get_content()))


@pytest.fixture
def mailbox() -> Iterator[tuple[str, Mailbox]]:
    """A mail server on the loopback: its host and port, and what it has taken."""
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:  # aiosmtpd does not tell which port it was given
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield f"127.0.0.1:{port}", box
    controller.stop()


def settings_for(*urls: str, **more: Any) -> Settings:
    return Settings(notify_url=SecretStr(" ".join(urls)), runs_dir=RUNS, **more)


def executed(state: str, *checks: Check, **facts: Any) -> NotebookRun:
    report = RUNS / "2026-11-21" / "etl_nightly_x_run1.ipynb"
    record = {"state": RunState(state), "cause": "", "source_rows": 5_384, "published_rows": 5_384, **facts}
    record["checks"] = [check.as_dict() for check in checks]
    return NotebookRun("run1", NIGHT, report, report.with_suffix(".html"), record)


def lines_of(done: NotebookRun | SentinelError, error: SentinelError | None = None, **settings: Any) -> list[str]:
    message = write_message(done, error, settings_for(**settings), REDO)
    return [message.kind, message.title, *message.body.splitlines()]


def test_a_good_run_is_told_with_its_window_counts_and_page() -> None:
    assert lines_of(executed("PUBLISHED", FINE)) == [
        "success",
        "sentinel-etl: PUBLISHED: night 2026-11-21",
        "2026-11-21 06:00 → 2026-11-22 06:00 IST · 2026-11-21T00:30:00Z..2026-11-22T00:30:00Z",
        "5,384 events in the source, 5,384 in the warehouse",
        "page: file:///srv/sentinel/runs/2026-11-21/etl_nightly_x_run1.html",
    ]


def test_a_warning_is_told_with_its_first_failed_check_and_the_command_that_mends_it() -> None:
    told = lines_of(executed("PUBLISHED WITH WARNINGS", FINE, LATE, FEW), reports_url="https://reports.example/runs/")
    assert told[0] == "warning"
    assert told[4:] == [
        "failed: earlier nights are complete: expected at most 2% late, observed 2026-11-20: REMARK +40 "
        "(and 1 more failed)",
        f"to mend it: {HEAL}",
        "page: https://reports.example/runs/2026-11-21/etl_nightly_x_run1.html",
    ]


def test_a_failed_audit_is_told_with_the_check_that_blocked_it_first() -> None:
    told = lines_of(executed("NOT PUBLISHED", FEW, LOST, published_rows=0), AuditFailed("in long"))
    assert told[:2] == ["failure", "sentinel-etl: NOT PUBLISHED: night 2026-11-21"]
    failed = "failed: keys are unique: expected 5 distinct event_id, observed 4 distinct event_id (and 1 more failed)"
    assert told[4] == failed
    assert told[5] == f"to mend it: {REDO}"


def test_a_run_without_a_row_in_the_ledger_is_told_by_its_error() -> None:
    run = NotebookRun("run1", NIGHT, RUNS / "n" / "r.ipynb", RUNS / "n" / "r.html", {})
    told = lines_of(run, NotebookFailed("the kernel died"))
    assert (told[0], told[1], told[3:5]) == (
        "failure",
        "sentinel-etl: FAILED: night n",
        ["the kernel died", f"to mend it: {REDO}"],
    )


def test_an_error_that_no_report_can_tell_of_is_told() -> None:
    assert lines_of(SentinelError("the report: expected to write it, found: No space left")) == [
        "failure",
        "sentinel-etl: FAILED: SentinelError",
        "the report: expected to write it, found: No space left",
        f"to mend it: {REDO}",
    ]


def test_a_long_cause_leaves_room_for_the_page() -> None:
    told = lines_of(executed("FAILED", cause="x" * 9_000), SourceUnreachable("x"))
    assert max(map(len, told)) <= 500
    assert told[-1].startswith("page: ")


def test_a_record_that_is_not_as_it_should_be_fails_no_run(
    server: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    done = executed("PUBLISHED", published_rows=None)
    assert tell_verdict(done, None, settings_for(f"json://{server.host}/json"), REDO) == [True]
    assert json.loads(server.posted[0][1])["message"] == "`sentinel-etl runs show latest` tells how"
    assert "the verdict's message is not whole: TypeError" in caplog.text


def test_the_verdict_reaches_each_of_several_services(server: LoopbackServer, mailbox: tuple[str, Mailbox]) -> None:
    smtp, box = mailbox
    urls = [
        f"http://{server.host}/hook,with,commas",
        f"json://{server.host}/json",
        f"ntfy://{server.host}/nights",
        f"mailto://{smtp}/?from=etl@example.org&to=oncall@example.org",
    ]
    done = executed("PUBLISHED WITH WARNINGS", LATE)
    assert tell_verdict(done, None, settings_for(*urls), REDO) == [True] * 4
    posted = dict(server.posted)
    assert json.loads(posted["/hook,with,commas"])["verdict"] == "PUBLISHED WITH WARNINGS"
    told = json.loads(posted["/json"])
    assert (told["title"], told["type"]) == ("sentinel-etl: PUBLISHED WITH WARNINGS: night 2026-11-21", "warning")
    assert f"to mend it: {HEAL}" in told["message"]
    assert any(b"to mend it" in body for path, body in server.posted if path not in ("/json", "/hook,with,commas"))
    [(subject, body)] = box.mails
    assert subject == told["title"]
    assert HEAL in body


def test_one_service_that_is_away_keeps_the_verdict_from_no_other(
    server: LoopbackServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sentinel_etl.notebook.notify.wait_exponential", lambda seconds: lambda state: 0)
    settings = settings_for("json://u:hunter2@127.0.0.1:1/T0P-S3CRET", f"json://{server.host}/json")
    assert tell_verdict(executed("PUBLISHED"), None, settings, REDO) == [False, True]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "the verdict was not sent to json://…: the service did not take it"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "slak://T0P-S3CRET/T0P-S3CRET",
        "slack://T0P-S3CRET",
        "tgram://T0P-S3CRET/1",
        "mailto://u:T0P-S3CRET@127.0.0.1:1/?from=a@example.org&to=b@example.org",
        "jsons://u:T0P-S3CRET@127.0.0.1:1/T0P-S3CRET?+Authorization=T0P-S3CRET",
        "json://[T0P-S3CRET",
    ],
)
def test_a_secret_in_a_url_is_never_shown(
    url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert not send_message(url, Message("title", "body", "info"), tries=2, pause_seconds=0.01)
    shown = capfd.readouterr()
    assert "S3CRET" not in caplog.text + shown.out + shown.err + repr(settings_for(url))
    assert f"the verdict was not sent to {url.partition(':')[0]}://…: " in caplog.text


@pytest.mark.parametrize(
    ("done", "error", "sent"),
    [
        pytest.param(executed("PUBLISHED"), None, False, id="published"),
        pytest.param(executed("DRY RUN"), None, False, id="a dry run"),
        pytest.param(executed("PUBLISHED WITH WARNINGS", cause="few"), None, True, id="warnings"),
        pytest.param(executed("NOT PUBLISHED"), AuditFailed("no"), True, id="not published"),
        pytest.param(executed("FAILED"), SourceUnreachable("no"), True, id="failed"),
        pytest.param(SentinelError("no disk"), None, True, id="no report"),
    ],
)
def test_problems_alone_are_sent_where_that_is_asked_for(
    server: LoopbackServer, done: NotebookRun | SentinelError, error: SentinelError | None, sent: bool
) -> None:
    settings = settings_for(f"http://{server.host}/hook", notify_on="problems")
    assert tell_verdict(done, error, settings, REDO) == [True] * sent
    assert len(server.posted) == sent
    everything = settings_for(f"http://{server.host}/hook")
    assert tell_verdict(done, error, everything, REDO) == [True]


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("https://a/b", ["https://a/b"]),
        (" https://a/b?x=1,2  slack://t/o\n", ["https://a/b?x=1,2", "slack://t/o"]),
        ("https://a/b, mailto://c,ntfy://d", ["https://a/b", "mailto://c", "ntfy://d"]),
        ("T0P", ["T0P"]),
        (" ", []),
    ],
)
def test_urls_stand_beside_each_other_with_spaces_or_commas(text: str, urls: list[str]) -> None:
    assert split_urls(text) == urls


def test_a_run_of_the_notebook_tells_both_a_webhook_and_a_mailbox(
    environment: Settings, server: LoopbackServer, mailbox: tuple[str, Mailbox]
) -> None:
    smtp, box = mailbox
    urls = f"http://{server.host}/hook mailto://{smtp}/?from=etl@example.org&to=oncall@example.org"
    told = {"notify_url": SecretStr(urls), "reports_url": "https://reports.example"}
    done = run_notebook(settings=environment.model_copy(update=told))
    [(_, posted)] = server.posted
    assert json.loads(posted)["run_id"] == done.run_id
    [(subject, body)] = box.mails
    assert subject == "sentinel-etl: PUBLISHED: night 2026-11-21"
    assert f"https://reports.example/2026-11-21/{done.page.name}" in body
