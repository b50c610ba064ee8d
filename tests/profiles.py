"""A ClickHouse user with a profile: the real engine, behind a proxy that sets what the profile sets."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from sqlalchemy import URL, make_url

from sentinel_etl.local.clickhouse.requests import _RESERVED


@contextmanager
def user_with(profile: Mapping[str, str], url: URL) -> Iterator[str]:
    """Give the URL of a user of the warehouse at ``url`` whose profile has these settings.

    A request's own settings come over the profile's. Where the profile has ``readonly=1``, a request with a
    setting is refused, as by a server.
    https://clickhouse.com/docs/operations/settings/permissions-for-queries#readonly
    """
    given = dict(profile)
    free = changeable_by_all(url) if given.get("readonly") == "1" else frozenset()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.read_body()
            parts = urlsplit(self.path)
            asked = dict(parse_qsl(parts.query, keep_blank_values=True))
            settings = [name for name in asked if name not in _RESERVED | free and not name.startswith("param_")]
            if given.get("readonly") == "1" and settings:
                sentence = (
                    f"Code: 164. DB::Exception: Cannot modify '{settings[0]}' setting in readonly mode. (READONLY)"
                )
                self.answer(500, {"X-ClickHouse-Exception-Code": "164"}, sentence.encode())
                return
            connection = http.client.HTTPConnection(str(url.host), url.port)
            names = ("Authorization", "Accept-Encoding", "Content-Encoding", "Content-Type", "X-ClickHouse-Format")
            headers = {name: self.headers[name] for name in names if name in self.headers}
            connection.request(self.command, f"{parts.path}?{urlencode({**given, **asked})}", body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in DROPPED}
            connection.close()
            self.answer(answer.status, kept, content)

        do_GET = do_POST

        def read_body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Keep the test's stderr to what is tested."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        port = server.server_address[1]
        yield make_url(url).set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def changeable_by_all(url: URL) -> frozenset[str]:
    """Ask the engine which settings also a user with readonly=1 may set: 26.9 has fourteen."""
    credentials = {"user": str(url.username), "password": str(url.password), "readonly": "1"}
    connection = http.client.HTTPConnection(str(url.host), url.port)
    connection.request("POST", f"/?{urlencode(credentials)}", "SELECT name FROM system.settings WHERE readonly = 0")
    names = frozenset(connection.getresponse().read().decode().split())
    connection.close()
    return names


DROPPED = ("transfer-encoding", "content-length", "connection", "date", "server")
