"""No password, in no form, in anything that runs leave behind or show while they run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import psutil
import pytest
from sqlalchemy import make_url

from adversity.bench import TESTS, Bench
from adversity.soak import count
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.query import run_statement

COMMANDS: dict[str, tuple[int, list[str], dict[str, str]]] = {
    "a good run, and neither webhook nor collector": (
        0,
        ["run"],
        {
            "SENTINEL_NOTIFY_URL": "http://127.0.0.1:1/{secret}",
            "SENTINEL_OPENLINEAGE_URL": "http://127.0.0.1:1/{secret}",
            "SENTINEL_OPENLINEAGE_API_KEY": "{secret}",
        },
    ),
    "no source": (3, ["--verbose", "run"], {"SENTINEL_SOURCE_URL": "dead"}),
    "no warehouse": (4, ["--verbose", "check"], {"SENTINEL_WAREHOUSE_URL": "dead"}),
    "a cell that is stopped": (7, ["run"], {"SENTINEL_CELL_TIMEOUT_SECONDS": "1"}),
    "a statement that is refused": (1, ["--verbose", "query", "SELECT nothing"], {}),
}


def forms(password: str) -> dict[str, bytes]:
    """Write a password in every form in which it might stand somewhere."""
    written = {
        "plain": password,
        "in a URL": make_url("a://").set(username="u", password=password, host="h").render_as_string(False)[6:-2],
        "percent-encoded": quote(password, safe=""),
        "in a form": quote_plus(password),
        "in JSON": json.dumps(password)[1:-1],
        "in JSON, as it is": json.dumps(password, ensure_ascii=False)[1:-1],
        "in Python": repr(password)[1:-1],
        "in SQL": password.replace("'", "''"),
        "in HTML": password.replace("&", "&amp;").replace('"', "&quot;").replace("'", "&#x27;"),
        "in a conninfo": password.replace("\\", "\\\\").replace("'", "\\'"),
        "in Basic auth": b64encode(f"sentinel:{password}".encode()).decode(),
    }
    return {name: text.encode() for name, text in written.items()}


@dataclass(frozen=True)
class Scan:
    """The secrets that are looked for, and where they were found."""

    secrets: dict[str, bytes]

    def find(self, content: bytes, place: str) -> list[str]:
        return [f"{name} in {place}" for name, secret in self.secrets.items() if secret in content]


@dataclass(frozen=True)
class Aftermath:
    """What the commands have left: their output, their files, and the command lines that were seen."""

    scan: Scan
    bench: Bench
    home: Path
    done: dict[str, subprocess.CompletedProcess[bytes]]
    seen: set[str]


@pytest.fixture(scope="module")
def aftermath(make_bench: Callable[..., Bench], tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    """Commands that end well and badly, and every command line that was seen while they ran."""
    bench, home = make_bench(), tmp_path_factory.mktemp("home")
    urls = {
        "SENTINEL_SOURCE_URL": bench.source.url.render_as_string(hide_password=False),
        "SENTINEL_WAREHOUSE_URL": bench.warehouse_url,
    }
    secrets = {
        f"{engine} password {name}": secret
        for engine, url in urls.items()
        for name, secret in forms(str(make_url(url).password)).items()
    } | {"the webhook's secret": b"hidden-hook-word"}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SENTINEL_")},
        "SENTINEL_HOME": str(home),
        "SENTINEL_NOTEBOOKS_DIR": str(TESTS.parent / "notebooks"),
        "SENTINEL_NOW": "2026-11-22T06:10:00+05:30",
        "SENTINEL_RETRY_SECONDS": "0",
    }
    # The source's URL from .env, the warehouse's from the environment.
    (home / ".env").write_text(f"SENTINEL_SOURCE_URL='{urls['SENTINEL_SOURCE_URL']}'\n")
    (home / ".env").chmod(0o600)

    def run(name: str) -> subprocess.CompletedProcess[bytes]:
        _, arguments, changed = COMMANDS[name]
        values = {"SENTINEL_WAREHOUSE_URL": urls["SENTINEL_WAREHOUSE_URL"]}
        for variable, value in changed.items():
            dead = make_url(urls.get(variable, "a://")).set(port=1).render_as_string(hide_password=False)
            values[variable] = dead if variable in urls else value.format(secret="hidden-hook-word")
        command = [sys.executable, "-m", "sentinel_etl", *arguments]
        return subprocess.run(
            command, env=environment | values, cwd=home, capture_output=True, check=False, timeout=180
        )

    with command_lines() as seen, ThreadPoolExecutor(3) as pool:
        done = dict(zip(COMMANDS, pool.map(run, COMMANDS), strict=True))
    return Aftermath(Scan(secrets), bench, home, done, seen)


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """Collect what a process list shows of every process, over and over, while the block lasts."""
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.05):
            for process in psutil.process_iter():
                with suppress(psutil.Error):
                    seen.add("\0".join(process.cmdline()))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


def test_passwords_of_any_characters_work(aftermath: Aftermath) -> None:
    assert {name: one.returncode for name, one in aftermath.done.items()} == {
        name: code for name, (code, _, _) in COMMANDS.items()
    }, {name: one.stderr[-300:] for name, one in aftermath.done.items()}


def test_no_output_no_file_no_ledger_row_and_no_command_line_holds_a_password(aftermath: Aftermath) -> None:
    scan, bench, home, done, seen = (aftermath.scan, aftermath.bench, aftermath.home, aftermath.done, aftermath.seen)
    places: dict[str, bytes] = {}
    for name, one in done.items():
        places[f"what {name!r} printed"] = one.stdout + one.stderr
    files = [path for path in home.rglob("*") if path.is_file() and path.name != ".env"]
    kept = ("credentials.json", "base", "global", "store")  # the data directories' own files
    files += [
        path
        for path in bench.state_dir.rglob("*")
        if path.is_file() and not set(path.relative_to(bench.state_dir).parts) & set(kept)
    ]
    for path in files:
        with suppress(FileNotFoundError):  # the engines remove their files while we look
            places[str(path)] = path.read_bytes()
    for line in seen:
        places[f"the command line {line[:80]!r}"] = line.encode()
    rows = run_statement(bench.warehouse, "SELECT toString(tuple(*)) FROM etl_runs")
    places["the ledger"] = "\n".join(str(row[0]) for row in rows).encode()
    reports = [path for path in files if path.suffix in (".ipynb", ".html") and path.name != "index.html"]
    found = [where for place, content in places.items() for where in scan.find(content, place)]
    count(secrets=len(scan.secrets) * len(places), secrets_found=len(found))
    assert found == []
    assert len(reports) == 6
    assert any("be_kernel" in line for line in seen)
    assert any("sentinel_etl.local.clickhouse.server" in line for line in seen)
    assert len(rows) >= 1
    assert (home / "runs" / "index.html") in files


def test_the_scan_finds_a_password_in_each_of_its_forms(aftermath: Aftermath) -> None:
    scan = aftermath.scan
    for name, secret in scan.secrets.items():
        assert any(found.startswith(name) for found in scan.find(b"a " + secret + b" b", "a file"))


def test_settings_show_no_password_however_they_are_shown(aftermath: Aftermath) -> None:
    scan, bench = aftermath.scan, aftermath.bench
    settings = Settings(
        source_url=bench.source.url.render_as_string(hide_password=False), warehouse_url=bench.warehouse_url
    )
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {bench.source!r}"
    assert scan.find(shown.encode(), "the settings") == []


def test_notebooks_take_no_url_and_no_password() -> None:
    for path in (TESTS.parent / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for cell in cells:
            if "parameters" in cell["metadata"].get("tags", ()):
                words = "".join(cell["source"]).lower()
                assert not any(word in words for word in ("url", "password", "secret", "token")), path.name
