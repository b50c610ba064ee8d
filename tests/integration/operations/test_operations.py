"""What runs at 06:00 without anyone: the crontab's lines, the systemd units, the webhook."""

from __future__ import annotations

import logging
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from loopback_server import LoopbackServer
from sqlalchemy import Engine

from sentinel_etl.errors import AuditFailed, NotebookFailed, SourceUnreachable
from sentinel_etl.ledger.ledger import read_runs
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.notebook.notify import post_verdict, verdict_message
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.tables import ETL_RUNS, create_table
from sentinel_etl.window import Window

DEPLOY = Path(__file__).parents[3] / "deploy"
PLACES = {
    "@HOME@": "/srv/sentinel",
    "@USER@": "sentinel",
    "@MAIL@": "oncall@example.org",
    "@ZONE@": "Asia/Kolkata",
}
CRON = shutil.which("cron", path="/usr/sbin:/usr/bin")

NIGHT = Window(datetime(2026, 11, 21, 0, 30, tzinfo=UTC), datetime(2026, 11, 22, 0, 30, tzinfo=UTC))
PUBLISHED = {"state": "PUBLISHED", "cause": "", "source_rows": 5, "published_rows": 5, "timings": {"total": 9.5}}


def fill_in(name: str, places: dict[str, str]) -> str:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    for placeholder, value in places.items():
        text = text.replace(placeholder, value)
    assert not re.search("@[A-Z]+@", text)
    return text


def crontab_lines(places: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Split the crontab as cron does: its variables, and its commands by their times."""
    variables, commands = {}, {}
    for line in fill_in("crontab", places).splitlines():
        if match := re.fullmatch(r"(\w+)=(.*)", line):
            variables[match[1]] = match[2]
        elif match := re.fullmatch(r"((?:\S+\s+){4}\S+)\s+(.*)", line) if not line.startswith("#") else None:
            commands[match[1]] = match[2]
    return variables, commands


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project folder as cron finds one: only ``.venv/bin/sentinel-etl`` in it."""
    home = tmp_path / "a home"  # a space in the path, as people have
    (home / ".venv" / "bin").mkdir(parents=True)
    (home / ".venv" / "bin" / "sentinel-etl").symlink_to(Path(sys.executable).parent / "sentinel-etl")
    return home


def settings_as_text(settings: Settings) -> dict[str, str]:
    values = {name: getattr(value, "get_secret_value", lambda v=value: v)() for name, value in settings}
    return {f"SENTINEL_{name.upper()}": str(value) for name, value in values.items() if value is not None}


def run_in_crons_environment(when: str, home: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a line as cron would: its few variables, the crontab's, and a working directory of its own."""
    given, commands = crontab_lines({**PLACES, "@HOME@": str(home)})
    bare = {"HOME": str(home.parent), "LOGNAME": pwd.getpwuid(os.getuid()).pw_name}
    words = [f"{name}={value}" for name, value in {**bare, **given, **variables}.items()]
    return subprocess.run(
        ["env", "-i", *words, given["SHELL"], "-c", commands[when]],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextmanager
def crond(tab: Path) -> Iterator[None]:
    """Run cron in the foreground while the block lasts, unless one runs already."""
    assert CRON is not None
    process = subprocess.Popen([CRON, "-f"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        tab.unlink(missing_ok=True)
        process.terminate()  # nothing to end where another cron holds the pid file: this one has left
        process.wait(timeout=10)


def wait_for(what: Callable[[], Any], seconds: float, problem: str) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, problem
        time.sleep(0.2)


def test_the_crontabs_run_leaves_a_report_under_the_real_cron(
    settings: Settings, home: Path, warehouse: Engine
) -> None:
    variables = settings_as_text(settings)
    log = home / ".sentinel" / "nightly.log"
    if CRON is None or os.geteuid() != 0:
        done = run_in_crons_environment("0 6 * * *", home, variables)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    else:
        tab = Path("/etc/cron.d") / f"sentinel-etl-test-{os.getpid()}"
        text = fill_in("crontab", {**PLACES, "@HOME@": str(home), "@MAIL@": '""'})
        line = next(line for line in text.splitlines() if line.startswith("0 6 * * *"))
        given = [line for line in text.splitlines() if re.match(r"\w+=", line)]
        given += [f'{name}="{value}"' for name, value in variables.items()]  # unquoted, none may be empty
        tab.touch(mode=0o600)
        tab.write_text("\n".join([*given, line.replace("0 6 * * *", "* * * * * root"), ""]), encoding="utf-8")
        with crond(tab):
            wait_for(log.exists, 75, "cron did not start the line within 75 s")
            tab.unlink()
            wait_for(
                lambda: "page " in log.read_text(encoding="utf-8"), 90, f"the run did not end within 90 s: see {log}"
            )
    (report,) = (settings.runs_dir / "2026-11-21").glob("etl_nightly_*.ipynb")
    assert report.with_suffix(".html").is_file()
    assert [run["state"] for run in read_runs(warehouse)] == ["PUBLISHED"]


def test_the_crontabs_run_prints_the_exit_code_and_the_log_only_on_failure(home: Path) -> None:
    done = run_in_crons_environment("0 6 * * *", home, {"SENTINEL_TIMEZONE": "Mars/Olympus"})
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert lines[0] == "sentinel-etl run: exit code 2"
    assert lines[-1].startswith("sentinel-etl: settings: SENTINEL_TIMEZONE: ")
    assert done.stderr == ""
    assert (home / ".sentinel").stat().st_mode & 0o777 == 0o700


def test_a_second_run_leaves_the_first_one_alone(home: Path) -> None:
    lock = home / ".sentinel" / "nightly.lock"
    lock.parent.mkdir()
    with subprocess.Popen(["flock", str(lock), "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as first:
        held = ["flock", "-n", str(lock), "true"]
        wait_for(lambda: subprocess.run(held).returncode == 1, 10, "the lock was not taken")
        done = run_in_crons_environment("0 6 * * *", home, {})
        assert first.stdin is not None
        first.stdin.close()
    assert done.returncode == 6
    assert done.stdout.startswith("sentinel-etl run: exit code 6\n")


def test_the_crontabs_alarm_prints_where_last_night_is_not_in(
    settings: Settings, home: Path, warehouse: Engine
) -> None:
    create_table(warehouse, ETL_RUNS)
    done = run_in_crons_environment("45 6 * * *", home, settings_as_text(settings))
    assert done.returncode == 5
    assert "night 2026-11-21: MISSING" in done.stdout
    assert "Run `sentinel-etl run`" in done.stdout


def test_the_crontab_is_one_that_cron_takes(tmp_path: Path) -> None:
    variables, commands = crontab_lines(PLACES)
    assert variables == {
        "CRON_TZ": "Asia/Kolkata",
        "SHELL": "/bin/sh",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SENTINEL_HOME": "/srv/sentinel",
        "MAILTO": "oncall@example.org",
    }
    assert list(commands) == ["0 6 * * *", "45 6 * * *"]
    assert not [command for command in commands.values() if "%" in command]  # cron reads % as the end of the line
    path = tmp_path / "crontab"
    path.write_text(fill_in("crontab", PLACES), encoding="utf-8")
    if shutil.which("crontab"):
        checked = subprocess.run(["crontab", "-n", str(path)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", ["crontab", "sentinel-etl.timer"])
def test_what_starts_the_run_names_the_teams_zone_and_no_other(name: str) -> None:
    text = fill_in(name, {**PLACES, "@ZONE@": "America/New_York"})
    assert re.search(r"^(CRON_TZ=|OnCalendar=.* )America/New_York$", text, flags=re.MULTILINE)
    assert "Kolkata" not in text


def test_the_crontab_says_how_the_hour_in_the_servers_zone_is_found() -> None:
    (command,) = re.findall(r"^#  +(date .+)$", fill_in("crontab", PLACES), flags=re.MULTILINE)
    asked = subprocess.run(["sh", "-c", command], env={**os.environ, "TZ": "UTC"}, capture_output=True, text=True)
    assert (asked.stdout, asked.stderr) == ("30 0\n", "")


def read_unit(name: str) -> ConfigParser:
    unit = ConfigParser(interpolation=None, delimiters="=")
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(fill_in(name, PLACES))
    return unit


def test_the_timer_starts_the_run_at_six_in_the_city_and_makes_up_for_a_missed_start() -> None:
    timer = read_unit("sentinel-etl.timer")
    assert timer["Timer"]["OnCalendar"] == "*-*-* 06:00:00 Asia/Kolkata"
    assert timer["Timer"]["Persistent"] == "true"
    assert timer["Install"]["WantedBy"] == "timers.target"


def test_the_service_runs_what_the_crontab_runs_with_the_same_lock_and_log() -> None:
    service = read_unit("sentinel-etl.service")["Service"]
    _, commands = crontab_lines(PLACES)
    shared = commands["0 6 * * *"].removeprefix('cd "$SENTINEL_HOME" && ').partition(" || ")[0]
    assert service["ExecStart"] == f"/bin/sh -c '{shared}'"
    assert (service["Type"], service["User"]) == ("oneshot", "sentinel")
    assert service["WorkingDirectory"] == "/srv/sentinel"
    assert service["Environment"] == "SENTINEL_HOME=/srv/sentinel"
    assert "oncall@example.org" in service["ExecStopPost"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here; the lines are checked above")
def test_systemd_takes_both_units(tmp_path: Path) -> None:
    names = ["sentinel-etl.service", "sentinel-etl.timer"]
    for name in names:
        (tmp_path / name).write_text(fill_in(name, {**PLACES, "@USER@": "root", "@HOME@": str(tmp_path)}))
    checked = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in names)], capture_output=True, text=True
    )
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if str(tmp_path) in line]) == (0, [])


@pytest.fixture
def webhook(server: LoopbackServer) -> LoopbackServer:
    return server


def secret_url(server: LoopbackServer) -> str:
    return f"http://user:hunter2@{server.host}/services/T0P-S3CRET?token=abc"


def executed(record: dict[str, Any]) -> NotebookRun:
    report = Path("/srv/sentinel/runs/2026-11-21/etl_nightly_x_run1.ipynb")
    return NotebookRun("run1", NIGHT, report, report.with_suffix(".html"), record)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_verdict_is_posted_as_json(webhook: LoopbackServer, caplog: pytest.LogCaptureFixture) -> None:
    assert post_verdict(secret_url(webhook), executed(PUBLISHED)) is True
    assert webhook.documents == [
        {
            "text": "sentinel-etl: PUBLISHED: night 2026-11-21",
            "verdict": "PUBLISHED",
            "cause": "",
            "error": "",
            "exit_code": 0,
            "night": "2026-11-21",
            "window_start": "2026-11-21T00:30:00+00:00",
            "window_end": "2026-11-22T00:30:00+00:00",
            "run_id": "run1",
            "source_rows": 5,
            "published_rows": 5,
            "counts": None,
            "timings": {"total": 9.5},
            "report": "2026-11-21/etl_nightly_x_run1.ipynb",
            "page": "2026-11-21/etl_nightly_x_run1.html",
        }
    ]
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(
            verdict_message(AuditFailed("keys are unique", stage="audit")),
            ("NOT PUBLISHED", "[audit] keys are unique", "AuditFailed", 5),
            id="audit",
        ),
        pytest.param(
            verdict_message(SourceUnreachable("no answer")),
            ("FAILED", "no answer", "SourceUnreachable", 3),
            id="source",
        ),
        pytest.param(
            verdict_message(executed({}), NotebookFailed("the kernel died")),
            ("FAILED", "the kernel died", "NotebookFailed", 7),
            id="no row in the ledger",
        ),
        pytest.param(
            verdict_message(executed({"state": "NOT PUBLISHED", "cause": "rows differ"}), AuditFailed("in long")),
            ("NOT PUBLISHED", "rows differ", "AuditFailed", 5),
            id="the ledger's own words",
        ),
        pytest.param(
            verdict_message(ValueError("postgresql://user:hunter2@db")),
            ("FAILED", "ValueError", "ValueError", 1),
            id="an unexpected error's words stay here",
        ),
    ],
)
def test_a_failure_is_told_with_its_exit_code(message: dict[str, Any], expected: tuple[str, str, str, int]) -> None:
    assert tuple(message[name] for name in ("verdict", "cause", "error", "exit_code")) == expected
    assert "hunter2" not in str(message)


@pytest.mark.parametrize(
    ("statuses", "posts", "warning"),
    [
        pytest.param([503, 500, 200], 3, "", id="up again"),
        pytest.param([500, 502, 503], 3, "status 503", id="down"),
        pytest.param([404], 1, "status 404", id="refused: not tried again"),
        pytest.param([302], 1, "status 302", id="elsewhere: not followed"),
    ],
)
def test_a_post_is_tried_again_only_where_that_can_help(
    webhook: LoopbackServer, caplog: pytest.LogCaptureFixture, statuses: list[int], posts: int, warning: str
) -> None:
    webhook.statuses = list(statuses)
    taken = post_verdict(secret_url(webhook), executed(PUBLISHED), pause_seconds=0.01)
    assert (taken, len(webhook.posted)) == (not warning, posts)
    assert warnings(caplog) == ([f"the verdict was not posted to 127.0.0.1: {warning}"] if warning else [])


def test_a_webhook_that_is_not_there_is_a_warning_without_the_secret_in_its_url(
    webhook: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.stop()
    started = time.monotonic()
    assert post_verdict(secret_url(webhook), executed(PUBLISHED), tries=2, pause_seconds=0.3) is False
    assert time.monotonic() - started >= 0.3
    assert warnings(caplog) == ["the verdict was not posted to 127.0.0.1: no connection (ConnectionError)"]


@pytest.mark.parametrize("url", ["", "T0P-S3CRET", "ftp://host/T0P-S3CRET", "http://[T0P-S3CRET", "http://"])
def test_a_url_that_is_none_is_a_warning_too(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert post_verdict(url, executed(PUBLISHED)) is False
    [said] = warnings(caplog)
    assert said.startswith("the verdict was not posted to ")
    assert "S3CRET" not in said


def test_a_webhook_that_does_not_answer_is_given_up_after_the_timeout(caplog: pytest.LogCaptureFixture) -> None:
    silent = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # it listens, and nobody serves
    with silent:
        url = f"http://127.0.0.1:{silent.server_port}/T0P-S3CRET"
        assert post_verdict(url, executed(PUBLISHED), timeout_seconds=0.3) is False
    assert warnings(caplog) == ["the verdict was not posted to 127.0.0.1: ReadTimeout"]
