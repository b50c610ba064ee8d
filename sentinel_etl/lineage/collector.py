"""Sends events to a collector of lineage, in a thread of its own; what goes wrong there never fails the run."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from sentinel_etl.loopback import DirectSession
from sentinel_etl.settings import Settings
from sentinel_etl.threads import Waiter

__all__ = ["NOT_SENT", "Collector", "open_collector"]

log = logging.getLogger(__name__)

# How the warning begins: `notebook.page` finds it in what a kernel wrote.
NOT_SENT = "the run's lineage was not sent"

INSTALL = "openlineage-python is not installed; install sentinel-warehouse-etl[openlineage]"

TRIES, PAUSE_SECONDS = 2, 0.3

# What openlineage-python itself reads: https://openlineage.io/docs/client/python/configuration
URL = "OPENLINEAGE_URL"
OTHER_TRANSPORTS = ("OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT__TYPE", "OPENLINEAGE__TRANSPORT")


def open_collector(settings: Settings) -> Collector | None:
    """Open the collector that the settings name, or else openlineage's own variables; None: neither names one.

    It connects to nothing, and imports nothing.
    """
    if os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return None
    named = settings.openlineage_url or any(os.environ.get(name) for name in (URL, *OTHER_TRANSPORTS))
    return Collector(settings) if named else None


class Collector:
    """Takes what makes an event; makes and sends one after another while the run goes on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.waiter = Waiter()
        self.client: Any = None
        self.sent: list[Future[None]] = []

    def send(self, make: Callable[[], Any]) -> None:
        """Make an event and send it, in the thread."""
        self.sent.append(self.waiter.begin(self.make_and_send, make))

    def finish(self) -> None:
        """Wait until all is sent, SENTINEL_OPENLINEAGE_SECONDS at most, and warn of what is not.

        Of a collector that is away or slow only the host is named: its URL may hold a secret.
        """
        limit = self.settings.openlineage_seconds
        try:
            self.waiter.call(limit, lambda: None)
        except TimeoutError:
            problems = [no_answer(limit)]
        else:
            self.waiter.close()
            problems = [describe(error, limit) for each in self.sent if (error := each.exception())]
        if problems:
            log.warning("%s to %s: %s", NOT_SENT, self.name, "; ".join(dict.fromkeys(problems)))

    @property
    def name(self) -> str:
        url = self.url
        try:
            return (urlsplit(url).hostname if url else None) or "the collector"
        except ValueError:
            return "the collector"

    @property
    def url(self) -> str:
        """The URL that is posted to; empty where openlineage's configuration names another way."""
        if self.settings.openlineage_url is not None:
            return self.settings.openlineage_url.get_secret_value()
        others = any(os.environ.get(name) for name in OTHER_TRANSPORTS)
        return "" if others else os.environ.get(URL, "")

    def make_and_send(self, make: Callable[[], Any]) -> None:
        self.client = self.client or self.open_client()
        event = make()
        retrying = Retrying(
            retry=retry_if_exception(may_recover),
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential(PAUSE_SECONDS),
            reraise=True,
        )
        retrying(self.client.emit, event)

    def open_client(self) -> Any:
        """Make openlineage's client; of a URL one that takes a site's proxy to other machines only, and no redirect."""
        from openlineage.client import OpenLineageClient
        from openlineage.client.transport.http import HttpConfig, HttpTransport

        if not self.url:
            return OpenLineageClient()
        key = self.settings.openlineage_api_key
        api_key = key.get_secret_value() if key else os.environ.get("OPENLINEAGE_API_KEY", "")
        config = HttpConfig.from_dict(
            {
                "url": self.url,
                "endpoint": os.environ.get("OPENLINEAGE_ENDPOINT") or "api/v1/lineage",
                "timeout": self.settings.openlineage_seconds,
                "auth": {"type": "api_key", "apiKey": api_key} if api_key else {},
                # urllib3 would log each try, and call every failure a lost connection; `make_and_send` tries again.
                "retry": {"total": 0, "read": False, "status_forcelist": []},
            }
        )
        config.session = DirectSession()
        config.session.max_redirects = 0
        with without_copies():
            return OpenLineageClient(transport=HttpTransport(config))


@contextmanager
def without_copies() -> Iterator[None]:
    """Take out of the environment the copies of URL and key that openlineage puts there: child processes have it."""
    before = {*os.environ}
    yield
    for name in {*os.environ} - before:
        if name.startswith("OPENLINEAGE__"):
            del os.environ[name]


def may_recover(error: BaseException) -> bool:
    """Tell whether sending again can help: no connection, or a server's own error; an answer that is late may come."""
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code >= 500
    return isinstance(error, requests.ConnectionError)


def no_answer(seconds: float) -> str:
    return f"no answer within {seconds:g} s"


def describe(error: BaseException, limit: float) -> str:
    """Name what went wrong by its class or status: its words may repeat the URL, or what the collector answered.

    ``limit`` is what one request may take, in seconds.
    """
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"status {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return no_answer(limit)
    if isinstance(error, requests.ConnectionError):
        return f"no connection ({type(error).__name__})"
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "openlineage":
        return INSTALL
    return type(error).__name__
