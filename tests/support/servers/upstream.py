"""An upstream HTTP server whose answers are given byte for byte."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    connection: int = 0

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


Answer = Callable[[Seen, socket.socket], None]


def ok(body: bytes = b"ok", *headers: str, status: str = "200 OK") -> Answer:
    """A complete answer that keeps the connection alive."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""])
    return lambda seen, sock: sock.sendall(head.encode() + (b"" if seen.method == "HEAD" else body))


@dataclass
class Upstream:
    port: int = 0
    answer: Answer = field(default_factory=ok)
    seen: list[Seen] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when a connection has ended."""
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    first_chunk: threading.Event = field(default_factory=threading.Event)
    """Set when the first bytes of a body have been read."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def upstream() -> Iterator[Upstream]:
    """A running one."""
    state = Upstream()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                while self.one():
                    pass
            except OSError:
                pass
            finally:
                state.gone.set()

        def one(self) -> bool:
            line = self.rfile.readline().decode("latin-1")
            if not line:
                return False
            method, target, _ = line.split(" ")
            headers = []
            while (line := self.rfile.readline().decode("latin-1").rstrip("\r\n")) != "":
                name, _, value = line.partition(":")
                headers.append((name, value.strip()))
            seen = Seen(method, target, headers, connection=self.client_address[1])
            if seen.header("Transfer-Encoding"):
                seen.body = self.chunked()
            elif lengths := seen.header("Content-Length"):
                seen.body = self.rfile.read(int(lengths[0]))
            state.seen.append(seen)
            state.arrived.release()
            state.answer(seen, self.request)
            return True

        def chunked(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
                state.first_chunk.set()
            self.rfile.readline()
            return body

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join(60)
