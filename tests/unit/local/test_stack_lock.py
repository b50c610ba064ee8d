"""The lock of the local stack, held by a process of its own."""

from __future__ import annotations

import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel_etl.errors import SentinelError, SourceUnreachable
from sentinel_etl.local import stack
from sentinel_etl.local.clickhouse.engine import DataDirectoryInUse, Engine
from sentinel_etl.local.stack import stop_stack

HOLD = """
import pathlib, sys, time
from sentinel_etl.local.stack import _locked
with _locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_who_waits_too_long_is_told_what_holds_the_stack(
    holder: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "LOCK_SECONDS", 0.2)
    with pytest.raises(SourceUnreachable) as raised:
        stop_stack(tmp_path)
    assert str(raised.value) == (
        f"the local stack: expected the lock of {tmp_path} within 0 s, "
        "found another process starting or stopping the stack; wait for it, or end it"
    )


def test_kill_9_of_the_holder_gives_the_lock_back_at_once(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    holder.kill()
    holder.wait()
    begun = time.monotonic()
    stop_stack(tmp_path)
    assert time.monotonic() - begun < 5


def test_the_lock_s_file_stays_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    for _ in range(2):
        stop_stack(tmp_path)
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600


def test_a_failure_under_the_lock_keeps_its_own_words_and_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(SentinelError, match="not ours"), stack._locked(tmp_path):
        raise SentinelError("not ours")
    stop_stack(tmp_path)


def test_a_second_engine_on_the_same_data_is_refused_at_once(tmp_path: Path) -> None:
    first, second = Engine(tmp_path), Engine(tmp_path)
    first._take_lock()
    with pytest.raises(DataDirectoryInUse, match=f"{tmp_path} is in use by another process"):
        second._take_lock()
    first.close()
    second._take_lock()
    second.close()
