"""Headless Chromium, driven over its DevTools protocol, for the tests of what a browser shows."""

from __future__ import annotations

import base64
import json
import shutil
import time
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
import websocket

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH (Debian: apt-get install chromium)")

NOT_NEEDED = ("gpu", "quic", "background-networking", "component-update", "sync", "extensions", "dev-shm-usage")
AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDTHS = {"desktop": (1280, 900, 1), "phone": (390, 844, 2)}


class Browser:
    """One page of a headless Chromium, driven over its DevTools protocol.

    https://chromedevtools.github.io/devtools-protocol/
    """

    def __init__(self, address: str) -> None:
        self.socket = websocket.create_connection(address, timeout=30, suppress_origin=True)
        self.number = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def open(self, page: Path, size: tuple[int, int, int]) -> None:
        width, height, scale = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        self.call("Page.navigate", url="about:blank")
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        deadline = time.monotonic() + 20
        while not self.run(f"location.href === {json.dumps(page.as_uri())} && document.readyState === 'complete'"):
            assert time.monotonic() < deadline, "the page did not load"
            time.sleep(0.05)

    def run(self, expression: str) -> Any:
        """Evaluate JavaScript in the page, past its own Content-Security-Policy."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def emulate(self, scheme: str = "light", media: str = "") -> None:
        """Be a reader who likes light or dark pages, or a printer."""
        self.call(
            "Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}]
        )

    def violations(self) -> list[str]:
        """What axe-core finds against WCAG 2.2 AA and its own good practice: rule, element and reason.

        https://www.deque.com/axe/core-documentation/api-documentation/
        """
        options = {"runOnly": RULES, "resultTypes": ["violations"]}
        self.run(AXE.read_text(encoding="utf-8") + ";0")
        found = self.run(f"axe.run({json.dumps(options)}).then(r => ({{passes: r.passes.length, bad: r.violations}}))")
        assert found["passes"] > 5, "axe found nothing to look at"
        return [
            f"{rule['id']}: {node['html'][:160]}: {' '.join(node['failureSummary'].split())}"
            for rule in found["bad"]
            for node in rule["nodes"]
        ]

    def press(self, key: str, code: int, text: str = "") -> None:
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                text=text * (kind == "keyDown"),
            )

    def write(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def requests(self) -> list[str]:
        return [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """What the console says: errors, and what the Content-Security-Policy refused."""
        return [e["params"]["entry"]["text"] for e in self.events if e["method"] == "Log.entryAdded"]

    def screenshot(self, path: Path, whole: bool = True) -> None:
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
