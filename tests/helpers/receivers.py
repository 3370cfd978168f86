"""Real receivers on this machine: a web server and a mail server that take, refuse or dawdle; and a port nobody has."""

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Manner = Literal["takes", "refuses", "dawdles"]


@dataclass
class Received:
    """What arrived, and where to send more."""

    port: int
    manner: Manner
    paths: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    mails: list[Message] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)  # ends the dawdling
    delay: float = 0.0  # seconds that a web server thinks before it takes


@contextmanager
def web(manner: Manner = "takes") -> Iterator[Received]:
    """A web server that answers 200, 503, or nothing for a while."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if received.manner == "dawdles":
                received.released.wait(20)
                return
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.released.wait(received.delay)
            if received.manner == "takes":
                received.paths.append(self.path)
                received.bodies.append(json.loads(body))
            self.send_response(200 if received.manner == "takes" else 503)
            self.end_headers()
            self.wfile.write(b"" if received.manner == "takes" else b"not today")

        def log_message(self, format: str, *args: object) -> None:
            """Not to stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Received(server.server_address[1], manner)
        yield from _serving(server, received)


@contextmanager
def mail(manner: Manner = "takes") -> Iterator[Received]:
    """A mail server that takes, refuses every recipient, or does not say hello for a while."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            if received.manner == "dawdles":
                received.released.wait(20)
                return
            self.say("220 here")
            while line := self.rfile.readline().decode().strip():
                word = line.upper()
                if word.startswith("EHLO"):
                    self.say("250-here\r\n250 AUTH PLAIN")
                elif word.startswith("AUTH"):
                    self.say("235 come in")
                elif word.startswith("RCPT") and received.manner == "refuses":
                    self.say("550 nobody of that name")
                elif word.startswith("RCPT"):
                    received.recipients.append(line.partition("<")[2].rstrip(">"))
                    self.say("250 fine")
                elif word == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (part := self.rfile.readline()) not in (b".\r\n", b""):
                        lines.append(part.removeprefix(b".") if part.startswith(b"..") else part)
                    received.mails.append(message_from_bytes(b"".join(lines)))
                    self.say("250 taken")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        received = Received(server.server_address[1], manner)
        yield from _serving(server, received)


def nobody() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _serving(server: socketserver.TCPServer, received: Received) -> Iterator[Received]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield received
    finally:
        received.released.set()
        server.shutdown()
        thread.join()
