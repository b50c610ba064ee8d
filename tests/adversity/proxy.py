"""A TCP proxy that refuses, resets, falls silent or dawdles when it is told to."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Literal

from sqlalchemy import make_url

Mode = Literal["pass", "refuse", "reset", "silent", "slow"]

SLOW_BYTES = 4096
SLOW_SECONDS = 0.002  # for so many bytes: 2 MB a second


class Proxy:
    """Stands between a client and the database at a URL; use it as a context.

    ``refuse``  nobody listens, and connections there are reset
    ``reset``   a connection that is made, or used, is reset
    ``silent``  connections are made and what is sent is taken, but nothing ever comes back
    ``slow``    everything arrives, late
    """

    def __init__(self, url: str) -> None:
        self.target = make_url(url)
        self.mode: Mode = "pass"
        self.accepted = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return self.target.set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    def __enter__(self) -> Proxy:
        self.listen()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop_listening()
        self._reset_all()

    def set(self, mode: Mode) -> None:
        before, self.mode = self.mode, mode
        if mode in ("refuse", "reset"):
            if mode == "refuse":
                self.stop_listening()
            self._reset_all()
        elif before == "refuse" and self._listener is None:
            self.listen()

    def listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen()
        self._listener, self.port = listener, listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop_listening(self) -> None:
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
            self._listener.close()
            self._listener = None

    def _reset_all(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for client, server in pairs:
            reset(client)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # else a thread that reads keeps it open
            server.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            if self.mode == "reset":
                reset(client)
                continue
            server = socket.create_connection((str(self.target.host), self.target.port))
            with self._lock:
                self._pairs.append((client, server))
            for origin, goal in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(origin, goal, client), daemon=True).start()

    def _pump(self, origin: socket.socket, goal: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := origin.recv(SLOW_BYTES):
                if self.mode == "silent" and origin is not client:
                    continue  # swallowed: the client waits
                if self.mode == "slow":
                    time.sleep(SLOW_SECONDS)
                goal.sendall(data)
        while self.mode == "silent":
            time.sleep(0.05)  # an end that came back would be an answer, too
        with suppress(OSError):
            goal.shutdown(socket.SHUT_WR)


def reset(client: socket.socket) -> None:
    """Close with a reset, as a firewall does (socket(7), SO_LINGER of 0 seconds)."""
    with suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.shutdown(socket.SHUT_RDWR)
    client.close()
