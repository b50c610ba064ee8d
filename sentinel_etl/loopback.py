"""Connections within this machine: what the environment says for other servers does not count for them.

``PGSSLMODE``, ``PGSERVICE``, ``http_proxy`` and their kind speak of a site's servers. The local stack has no use for
them, and neither has any other database on the loopback.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
from psycopg.pq import Conninfo
from requests.utils import should_bypass_proxies

__all__ = ["DirectSession", "is_loopback", "libpq_variables", "proxy_variable", "without_libpq_variables"]


# Parameter → variable; those without a parameter stand under their own name.
# https://www.postgresql.org/docs/current/libpq-envars.html
LIBPQ: Mapping[str, str] = {
    **{one.keyword.decode(): one.envvar.decode() for one in Conninfo.get_defaults() if one.envvar is not None},
    **{name: name for name in ("PGSERVICEFILE", "PGSYSCONFDIR", "PGREQUIRESSL", "PGDATESTYLE", "PGTZ", "PGGEQO")},
}

# Who logs in: a URL without a password may count on these, wherever the server is.
OF_THE_LOGIN = ("PGPASSWORD", "PGPASSFILE")

# https://requests.readthedocs.io/en/latest/user/advanced/#proxies
PROXIES = ("{scheme}_proxy", "all_proxy")

# Held while variables are hidden: the environment is the whole process's.
HIDING = threading.Lock()


def is_loopback(host: str | Sequence[str] | None) -> bool:
    """Tell whether each host that a URL names is this machine's own loopback."""
    hosts = host.split(",") if isinstance(host, str) else list(host or ())
    return bool(hosts) and all(is_loopback_host(one) for one in hosts)


def is_loopback_host(host: str) -> bool:
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


@contextmanager
def without_libpq_variables(host: str | Sequence[str] | None, kept: Collection[str] = OF_THE_LOGIN) -> Iterator[None]:
    """Hide libpq's variables while a connection to the loopback is made, and give them back.

    libpq reads them as it begins to connect, and a parameter cannot take each one's place: an empty ``service`` is
    one that is not defined. Where there are any, connections are made one after another, so that one to another
    server never misses what is hidden for this one.
    """
    if not HIDING.locked() and not any(name in os.environ for name in LIBPQ.values()):
        yield
        return
    with HIDING:
        names = [name for name in LIBPQ.values() if name in os.environ and name not in kept]
        hidden = {name: os.environ.pop(name) for name in names if is_loopback(host)}
        try:
            yield
        finally:
            os.environ.update(hidden)


def libpq_variables(reason: str, given: Collection[str]) -> list[str]:
    """Name the variables that may have led to a refusal: those that its words are about, or else all that count.

    ``given``: the parameters that did not come from the environment.
    """
    counting = [name for parameter, name in LIBPQ.items() if parameter not in given and name not in OF_THE_LOGIN]
    values = {name: os.environ[name] for name in counting if name in os.environ}
    meant = [name for name, value in values.items() if is_meant(name, value, reason)]
    return sorted(meant or values)


def is_meant(name: str, value: str, reason: str) -> bool:
    """Tell whether a refusal's words are about a variable: they have its value, its parameter, or speak of SSL."""
    words = [value, *(parameter for parameter, variable in LIBPQ.items() if variable == name)]
    if name.startswith("PGSSL"):
        words.append("SSL")
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", reason) for word in words if word)


class DirectSession(requests.Session):  # type: ignore[misc]
    """An HTTP session that takes a site's proxy to other machines only; authorities of certificates stay the site's."""

    def merge_environment_settings(self, url: str, *arguments: Any) -> dict[str, Any]:
        settings: dict[str, Any] = super().merge_environment_settings(url, *arguments)
        if is_loopback(urlsplit(url).hostname):
            settings["proxies"] = {}
        return settings


def proxy_variable(url: str) -> str | None:
    """Name the variable by which a request to a URL goes through a proxy; none where it goes there directly."""
    parts = urlsplit(url)
    if is_loopback(parts.hostname) or should_bypass_proxies(url, None):
        return None
    names = [name.format(scheme=parts.scheme) for name in PROXIES]
    both = [spelling for name in names for spelling in (name, name.upper())]
    return next((name for name in both if os.environ.get(name)), None)
