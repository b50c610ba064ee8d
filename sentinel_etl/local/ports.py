"""Ports of the loopback interface: which are free, and which come free in a moment."""

from __future__ import annotations

import secrets
import socket
import time
from typing import Final

__all__ = ["HOST", "choose_free_port", "port_comes_free", "port_is_free"]


HOST: Final = "127.0.0.1"
# Below what Linux and macOS give to outgoing connections (ip(7), ip_local_port_range), so that
# none of those takes a kept port while the stack is down.
PORTS: Final = range(20_000, 32_000)
PORT_SECONDS: Final = 2.0


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a connection of the last one in TIME_WAIT does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def port_comes_free(port: int) -> bool:
    """Give a killed server a moment: a child that it had just forked holds the port until it has closed it."""
    deadline = time.monotonic() + PORT_SECONDS
    while not (free := port_is_free(port)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return free


def choose_free_port() -> int:
    """Choose a free port. Nobody holds it until it is used; who starts a service looks again."""
    while True:
        port = secrets.choice(PORTS)
        if port_is_free(port):
            return port
