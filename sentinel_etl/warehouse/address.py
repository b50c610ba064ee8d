"""Reads a warehouse's URL: where the server is, and how its certificate is checked. One reading for all drivers."""

from __future__ import annotations

import ssl
from pathlib import Path

from sqlalchemy import URL

from sentinel_etl.errors import ConfigurationError

__all__ = ["authority", "check_certificates", "complete_port", "describe_warehouse", "is_secure", "tls_verify"]


YES = ("1", "on", "t", "true", "y", "yes")
NO = ("0", "f", "false", "n", "no", "off")

# https://clickhouse.com/docs/guides/sre/network-ports
PORTS = {("http", False): 8123, ("http", True): 8443, ("native", False): 9000, ("native", True): 9440}


def query_value(url: URL, name: str, default: str) -> str:
    given = url.query.get(name, default)
    return given if isinstance(given, str) else given[-1]


def is_secure(url: URL) -> bool:
    """Tell whether the URL asks for TLS: ``protocol=https`` over HTTP, ``secure=True`` over native."""
    if url.get_driver_name() == "http":
        return query_value(url, "protocol", "http").lower() == "https"
    return query_value(url, "secure", "no").lower() in YES


def complete_port(url: URL) -> URL:
    """Name the port where the URL does not: the one that ClickHouse has for the protocol, with TLS or without."""
    return url if url.port else url.set(port=PORTS[url.get_driver_name(), is_secure(url)])


def authority(url: URL) -> str:
    """Write host and port; an IPv6 address in brackets.

    https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2
    """
    host = f"[{url.host}]" if ":" in str(url.host) else url.host
    return f"{host}:{url.port}"


def describe_warehouse(url: URL) -> str:
    """Name a warehouse by what a person knows it by; no user, no password."""
    return f"ClickHouse at {authority(url)}, database {url.database}"


def tls_verify(url: URL) -> bool | str:
    """Read against what the server's certificate is checked: a file of authorities, those known here, or nothing.

    ``verify`` is a file's path, true or false; over native the file is ``ca_certs``.
    """
    asked = query_value(url, "verify", "true")
    if asked.lower() in NO:
        return False
    if asked.lower() in YES:
        return query_value(url, "ca_certs", "") or True
    return asked


def check_certificates(url: URL) -> None:
    """See that the file of authorities that the URL names can be read.

    Raises:
        ConfigurationError: it is not there, or holds no certificate.
    """
    authorities = tls_verify(url) if is_secure(url) else True
    if isinstance(authorities, bool):
        return
    try:
        ssl.create_default_context(cafile=authorities)
    except OSError as error:
        found = "none" if not Path(authorities).exists() else f"one that cannot be used ({error.strerror or error})"
        name = "verify" if url.get_driver_name() == "http" else "ca_certs"
        raise ConfigurationError(
            f"SENTINEL_WAREHOUSE_URL: expected a file of certificates in PEM at {name}={authorities}, found {found}. "
            "Put the certificate of the authority that signed the server's there, or correct the path"
        ) from None
