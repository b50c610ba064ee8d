"""An HTTP server on the loopback that keeps what is posted to it: a webhook, or a collector of lineage."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["LoopbackServer", "loopback_server"]


class LoopbackServer:
    """Answers with the ``statuses`` it is given, one a request, and with 200 after them; ``seconds`` later.

    ``posted`` holds path and body of each request in the order of their arrival, ``headers`` what came with them.
    """

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.seconds = 0.0
        self.posted: list[tuple[str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.hurry = threading.Event()
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                mine.posted.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                mine.headers.append(dict(self.headers))
                mine.hurry.wait(mine.seconds)
                self.send_response(mine.statuses.pop(0) if mine.statuses else 200)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Keep the test's stderr to what is tested."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *arguments: object) -> None:
                """Say nothing of who has hung up while the answer waited."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/"

    @property
    def documents(self) -> list[Any]:
        """What was posted, read as JSON."""
        return [json.loads(body) for _, body in self.posted]

    def stop(self) -> None:
        """Stop listening, so that the next request finds nobody; again it does nothing."""
        self.hurry.set()
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


@contextmanager
def loopback_server() -> Iterator[LoopbackServer]:
    server = LoopbackServer()
    try:
        yield server
    finally:
        server.stop()
