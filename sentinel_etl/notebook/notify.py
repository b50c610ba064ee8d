"""Posts a run's verdict to a webhook; what goes wrong there never fails the run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    wait_exponential,
)

from sentinel_etl.errors import AuditFailed, SentinelError
from sentinel_etl.loopback import DirectSession
from sentinel_etl.notebook.notebook_run import NotebookRun

__all__ = ["post_verdict", "verdict_message"]


log = logging.getLogger(__name__)

SHOWN = ("source_rows", "published_rows", "counts", "timings")


def verdict_message(done: NotebookRun | BaseException, error: SentinelError | None = None) -> dict[str, Any]:
    """Write what a run came to, for a webhook: verdict, cause, exit code, counts, report.

    ``done`` is the executed notebook, with the ``error`` that it ended in; or an error alone, where
    nothing was executed. ``text`` says it in one line, for webhooks that show a chat message. Paths
    are relative to the runs folder. Of an error that is not ours only the class is told: its words
    may hold anything.
    """
    if isinstance(done, SentinelError):
        verdict = "NOT PUBLISHED" if isinstance(done, AuditFailed) else "FAILED"
        facts: dict[str, Any] = {"cause": str(done), "error": type(done).__name__, "exit_code": done.exit_code}
        return {"text": f"sentinel-etl: {verdict}: {done}", "verdict": verdict, **facts}
    if isinstance(done, BaseException):
        kind = type(done).__name__
        facts = {"cause": kind, "error": kind, "exit_code": SentinelError.exit_code}
        return {"text": f"sentinel-etl: FAILED: {kind}", "verdict": "FAILED", **facts}
    record: Mapping[str, Any] = done.record
    failed = verdict_message(error) if error else {"verdict": "UNKNOWN", "cause": "", "error": "", "exit_code": 0}
    verdict, cause = str(record.get("state", failed["verdict"])), str(record.get("cause") or failed["cause"])
    night = done.page.parent.name
    return {
        "text": f"sentinel-etl: {verdict}: night {night}" + (f": {cause}" if cause else ""),
        "verdict": verdict,
        "cause": cause,
        "error": failed["error"],
        "exit_code": failed["exit_code"],
        "night": night,
        "window_start": done.window.start.isoformat(),
        "window_end": done.window.end.isoformat(),
        "run_id": done.run_id,
        **{name: record.get(name) for name in SHOWN},
        "report": f"{night}/{done.report.name}",
        "page": f"{night}/{done.page.name}",
    }


def post_verdict(
    url: str,
    done: NotebookRun | BaseException,
    error: SentinelError | None = None,
    *,
    timeout_seconds: float = 10,
    tries: int = 3,
    pause_seconds: float = 1,
) -> bool:
    """Post the verdict as JSON and tell whether the webhook took it; a failure is a warning in the log.

    Tried again, after a pause that doubles, where there is no connection and on a status of 500 or
    above. An answer that is only late is not: the message may have arrived. Redirects are not
    followed. Of the URL, which may hold a secret, only the host is ever logged.
    """

    def post() -> int:
        # The body of the answer is of no use, and could be endless: it is not read.
        message = verdict_message(done, error)
        with (
            DirectSession() as session,
            session.post(url, json=message, timeout=timeout_seconds, allow_redirects=False, stream=True) as answer,
        ):
            return int(answer.status_code)

    retrying = Retrying(
        retry=retry_if_exception_type(requests.ConnectionError) | retry_if_result(lambda status: status >= 500),
        stop=stop_after_attempt(tries),
        wait=wait_exponential(pause_seconds),
        reraise=True,
    )
    try:
        status = retrying(post)
        if 200 <= status < 300:
            return True
        problem = f"status {status}"
    except RetryError as down:
        problem = f"status {down.last_attempt.result()}"
    except requests.ConnectionError as broken:
        problem = f"no connection ({type(broken).__name__})"
    except Exception as broken:  # noqa: BLE001 - and not its words, which repeat the URL
        problem = type(broken).__name__
    log.warning("the verdict was not posted to %s: %s", name_host(url), problem)
    return False


def name_host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "the webhook"
    except ValueError:
        return "the webhook"
