"""A real HTTP server on this computer that misbehaves as a test tells it to."""

from __future__ import annotations

import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Behaviour = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the next behaviour of the server, then with the last one."""

    server: LoopbackServer

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        behaviours = self.server.behaviours
        behaviour = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
        try:
            behaviour(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass

    @property
    def asked_from(self) -> int:
        """First byte that the client asks for."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else 0

    def head(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def hang_up(self) -> None:
        """Close the connection in the middle of what is being sent."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


class LoopbackServer(ThreadingHTTPServer):
    """Serves `content` at every path, by default well.

    Attributes
    ----------
    content, tag
        The file and its ETag.
    behaviours
        What to do with the next requests; the last one stays.
    requests
        Path and headers of all that came.
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.tag = '"first"'
        self.behaviours: list[Behaviour] = [send_well]
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.release = threading.Event()  # ends a stall when the test is over
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def url(self, path: str = "model.pth") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that hang up are what is tested

    def stop(self) -> None:
        self.release.set()
        self.shutdown()
        self.server_close()
        self._thread.join()


def send_well(handler: Handler, stop_at: int | None = None) -> int:
    """Send what is asked for, with Range and If-Range; returns the bytes sent."""
    content, tag = handler.server.content, handler.server.tag
    start = handler.asked_from if handler.headers.get("If-Range") == tag else 0
    if start >= len(content) > 0:
        handler.head(416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
        return 0
    facts = {"Content_Length": len(content) - start, "ETag": tag}
    if start:
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.head(206, Content_Range=place, **facts)
    else:
        handler.head(200, **facts)
    body = content[start:stop_at]
    handler.wfile.write(body)
    return len(body)


def drop_at(position: int) -> Behaviour:
    """Hang up when the file has been sent up to this position."""

    def behave(handler: Handler) -> None:
        send_well(handler, position)
        handler.hang_up()

    return behave


def stall_at(position: int) -> Behaviour:
    """Send up to this position, then nothing more without hanging up."""

    def behave(handler: Handler) -> None:
        send_well(handler, position)
        handler.wfile.flush()
        handler.server.release.wait(30)
        handler.close_connection = True

    return behave


def answer(status: int, body: bytes = b"", **headers: object) -> Behaviour:
    """Give this answer."""

    def behave(handler: Handler) -> None:
        handler.head(status, Content_Length=len(body), **headers)
        handler.wfile.write(body)

    return behave


def without_range(stop_at: int | None = None) -> Behaviour:
    """Send the whole file whatever was asked for, as servers without Range do."""

    def behave(handler: Handler) -> None:
        content = handler.server.content
        handler.head(200, Content_Length=len(content), ETag=handler.server.tag)
        handler.wfile.write(content[:stop_at])
        if stop_at is not None:
            handler.hang_up()

    return behave


def without_length(handler: Handler) -> None:
    """Send the file and hang up, without saying how long it is."""
    handler.head(200)
    handler.wfile.write(handler.server.content)
    handler.close_connection = True
