"""`make lab`: JupyterLab on the notebooks, with this environment's kernel on the configured warehouse."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from websocket import WebSocket, create_connection

from sentinel_etl.databases import Databases
from sentinel_etl.settings import Settings
from sentinel_etl.warehouse.tables import ETL_RUNS, create_table

CHECKOUT = Path(__file__).parents[3]
TOKEN = "of-this-test"
SECONDS = 90

in_its_own_environment = pytest.mark.skipif(
    Path(sys.prefix) != CHECKOUT / ".venv"
    or subprocess.run(["make", "--question", ".venv/.ready"], cwd=CHECKOUT, capture_output=True).returncode != 0,
    reason="make would first install the packages into .venv: run `make setup`, then the tests from there",
)


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its API, and the folder where it keeps the kernels' connections."""

    url: str
    runtime: Path

    def ask(self, path: str, method: str = "GET", **body: Any) -> Any:
        headers = {"Authorization": f"token {TOKEN}"}
        answer = requests.request(method, f"{self.url}/{path}", headers=headers, json=body or None, timeout=SECONDS)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@pytest.fixture
def lab(environment: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Run JupyterLab as a user does. What Jupyter keeps goes to a folder of the test."""
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("JUPYTER_TOKEN", TOKEN)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = f"LAB_ARGS=--no-browser --port {port} --ServerApp.port_retries=0"
    log = tmp_path / "lab.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["make", "lab", arguments], cwd=CHECKOUT, stdout=output, stderr=output, start_new_session=True
        )

    found = Lab(f"http://127.0.0.1:{port}/api", Path(os.environ["JUPYTER_RUNTIME_DIR"]))
    try:
        wait_for(found, process, log)
        yield found
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # make, its shell and Jupyter, which ends its kernels
        process.wait(timeout=SECONDS)


def wait_for(lab: Lab, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            lab.ask("status")
        except requests.ConnectionError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"JupyterLab did not come up:\n{log.read_text()}")


def run_code(channels: WebSocket, code: str) -> str:
    """Run code in the kernel over the channels that the browser has, and give what it prints."""
    header = {"msg_id": uuid4().hex, "msg_type": "execute_request", "username": "", "session": uuid4().hex}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": {"code": code}, "channel": "shell"}
    channels.send(json.dumps(request))
    told = ""
    while True:
        message = json.loads(channels.recv())
        if message["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        if message["msg_type"] == "stream":
            told += message["content"]["text"]
        assert message["msg_type"] != "error", message["content"]
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            return told


@in_its_own_environment
def test_lab_opens_on_the_notebooks_and_its_kernel_asks_the_warehouse(
    lab: Lab, environment: Settings, databases: Databases
) -> None:
    listed = {entry["name"] for entry in lab.ask("contents")["content"]}
    assert {path.name for path in (CHECKOUT / "notebooks").glob("*.ipynb")} <= listed

    # What draws the notebooks' controls is served from here, and not from a network.
    extensions = requests.get(f"{lab.url.removesuffix('api')}lab", params={"token": TOKEN}, timeout=SECONDS).text
    assert '"@jupyter-widgets/jupyterlab-manager"' in extensions

    create_table(databases.warehouse, ETL_RUNS)
    kernel = lab.ask("kernels", "POST", name=lab.ask("kernelspecs")["default"])["id"]
    try:
        with closing(
            create_connection(f"{lab.url.replace('http', 'ws')}/kernels/{kernel}/channels?token={TOKEN}")
        ) as ws:
            ws.settimeout(SECONDS)
            asked = "query_df('SELECT count() AS runs FROM etl_runs')['runs'].to_list()"
            code = (
                f"import json, sys; from sentinel_etl.analyst import query_df; print(json.dumps([sys.prefix, {asked}]))"
            )
            assert json.loads(run_code(ws, code)) == [sys.prefix, [0]]
        # Other users of the machine can reach the kernel's ports, but not read what passes there.
        assert "curve_publickey" in json.loads((lab.runtime / f"kernel-{kernel}.json").read_text())
    finally:
        lab.ask(f"kernels/{kernel}", "DELETE")
