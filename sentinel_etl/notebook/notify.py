"""Sends a run's verdict to webhooks and people; what goes wrong there never fails the run."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
from sentinel_etl.notebook.messages import Message, is_problem, write_message
from sentinel_etl.notebook.notebook_run import NotebookRun
from sentinel_etl.settings import Settings

__all__ = ["post_verdict", "send_message", "split_urls", "tell_verdict", "verdict_message"]


log = logging.getLogger(__name__)

SHOWN = ("source_rows", "published_rows", "counts", "timings")

TRIES, PAUSE_SECONDS = 3, 1.0


def tell_verdict(
    done: NotebookRun | SentinelError, error: SentinelError | None, settings: Settings, redo: str
) -> list[bool]:
    """Send the verdict to each of SENTINEL_NOTIFY_URL, and tell which took it; one that does not is a warning.

    A webhook, ``http`` or ``https``, gets `verdict_message` as JSON. Whatever else Apprise knows gets the text of
    `write_message`. ``redo``: the command that does the run again.
    """
    if settings.notify_url is None or (settings.notify_on == "problems" and not is_problem(done, error)):
        return []
    urls = split_urls(settings.notify_url.get_secret_value())
    message = try_to_write(done, error, settings, redo)
    return [post_verdict(url, done, error) if is_webhook(url) else send_message(url, message) for url in urls]


def try_to_write(
    done: NotebookRun | SentinelError, error: SentinelError | None, settings: Settings, redo: str
) -> Message:
    """Write the message; a short one where a record is not as it should be, for no run fails for want of words."""
    try:
        return write_message(done, error, settings, redo)
    except Exception as broken:  # noqa: BLE001 - whatever it is, the night is in or is not
        log.warning("the verdict's message is not whole: %s", type(broken).__name__)
        return Message("sentinel-etl: a run has ended", "`sentinel-etl runs show latest` tells how", "info")


def split_urls(text: str) -> list[str]:
    """Split URLs at spaces and commas; a comma within one stays, as Apprise's own command has it."""
    return [url for url in re.split(r"[\s,]+(?=[a-z][a-z0-9+.-]*://)", text.strip(" ,\t\r\n"), flags=re.I) if url]


def is_webhook(url: str) -> bool:
    """Tell whether a URL is posted to as it is; what has no scheme is none, and said to be."""
    scheme, separator, _ = url.partition("://")
    return not separator or scheme.lower() in ("http", "https")


def send_message(url: str, message: Message, *, tries: int = TRIES, pause_seconds: float = PAUSE_SECONDS) -> bool:
    """Send a message to a service by its Apprise URL, and tell whether it took it; a failure is a warning in the log.

    What was not taken is tried again, after a pause that doubles. Of the URL only the scheme is ever logged: tokens,
    topics and addresses stand in any part of the rest. https://github.com/caronc/apprise/wiki
    """
    # Its hundred services take half a second to import: only who uses one waits for them.
    from apprise import Apprise, NotifyFormat

    retrying = Retrying(
        retry=retry_if_result(lambda taken: not taken),
        stop=stop_after_attempt(tries),
        wait=wait_exponential(pause_seconds),
    )
    try:
        with silenced("apprise"):
            sender = Apprise()
            if not sender.add(url):
                problem = "expected a URL that Apprise knows (https://github.com/caronc/apprise/wiki), found another"
            else:
                retrying(
                    sender.notify,
                    body=message.body,
                    title=message.title,
                    notify_type=message.kind,
                    body_format=NotifyFormat.TEXT,
                )
                return True
    except RetryError:
        problem = "the service did not take it"
    except Exception as broken:  # noqa: BLE001 - and not its words, which may repeat the URL
        problem = type(broken).__name__
    log.warning("the verdict was not sent to %s://…: %s", url.partition("://")[0].lower(), problem)
    return False


@contextmanager
def silenced(name: str) -> Iterator[None]:
    """Keep a package's log from saying anything within: it repeats URLs, and what is in them."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


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
    tries: int = TRIES,
    pause_seconds: float = PAUSE_SECONDS,
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
