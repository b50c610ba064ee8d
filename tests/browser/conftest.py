"""One headless Chromium a module."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from chromium import CHROMIUM, NOT_NEEDED, Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                CHROMIUM,
                "--headless",
                "--no-sandbox",
                "--no-first-run",
                *(f"--disable-{name}" for name in NOT_NEEDED),
                f"--user-data-dir={profile}",
                "--remote-debugging-port=0",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port_file = Path(profile) / "DevToolsActivePort"
            deadline = time.monotonic() + 40
            while not (port_file.exists() and port_file.read_text().strip()):
                assert process.poll() is None, "chromium ended before it listened"
                assert time.monotonic() < deadline, "chromium did not listen within 40 s"
                time.sleep(0.1)
            port = port_file.read_text().split()[0]
            pages = requests.get(f"http://127.0.0.1:{port}/json/list", timeout=20).json()
            page = Browser(next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page"))
            for domain in ("Page", "Network", "Log", "Runtime"):
                page.call(f"{domain}.enable")
            yield page
            page.socket.close()
        finally:
            process.terminate()
            process.wait(timeout=20)
