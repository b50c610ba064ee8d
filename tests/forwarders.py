"""Forwards connections to a server: from an IPv6 address, or from TLS with a certificate of an authority of its own."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def forwarded(target: tuple[str, int], host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Listen on ``host``, with TLS where there is a context; give the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened: list[socket.socket] = []
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()

        def pump(origin: socket.socket, goal: socket.socket) -> None:
            with suppress(OSError, ValueError):
                while data := origin.recv(65_536):
                    goal.sendall(data)
            with suppress(OSError):
                goal.shutdown(socket.SHUT_RDWR)

        def serve(client: socket.socket) -> None:
            try:
                made = context.wrap_socket(client, server_side=True) if context else client
            except OSError:
                client.close()
                return
            server = socket.create_connection(target)
            opened.extend((made, server))
            threading.Thread(target=pump, args=(made, server), daemon=True).start()
            pump(server, made)

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for one in opened:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()


def make_authority(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make an authority and, signed by it, the certificate of a server on this machine; give both."""
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n")
    subject = "-subj /CN=localhost -newkey rsa:2048 -nodes"
    for command in (
        "req -x509 -subj /CN=authority -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.pem "
        "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
        f"req {subject} -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return folder / "ca.pem", context
