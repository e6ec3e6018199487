"""A server on loopback that behaves as told: it resumes, drops connections, changes its file, and refuses."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ablab.tasks.detection.formats.download import Remote


@dataclass
class Served:
    """One file and how it is served. `drops` says after how many bytes each connection in turn is cut."""

    content: bytes
    tag: str = '"v1"'
    date: str = ""
    ranges: bool = True
    length: bool = True
    drops: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    skew: int = 0  # the answer to a range begins so many bytes too early
    asked: list[dict[str, str]] = field(default_factory=list)


class Server:
    """Files by name."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files: dict[str, Served] = {}

    def add(self, name: str, content: bytes, **how: object) -> Served:
        self.files[name] = Served(content, **how)  # type: ignore[arg-type]
        return self.files[name]

    def remote(self, name: str, kind: str = "sha256") -> Remote:
        content = self.files[name].content
        return Remote(f"{self.url}/{name}", len(content), f"{kind}:{hashlib.new(kind, content).hexdigest()}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: dict[str, Served]

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        if name.startswith("moved/"):
            self.send_response(301)
            self.send_header("Location", "/" + name.removeprefix("moved/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        served = self.files.get(name)
        if served is None:
            self._plain(404)
            return
        served.asked.append(dict(self.headers.items()))
        if served.statuses and (status := served.statuses.pop(0)) != 200:
            self._plain(status)
            return
        self._send(served)

    def _send(self, served: Served) -> None:
        asked = self.headers.get("Range", "")
        same = self.headers.get("If-Range") in (None, served.tag, served.date)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and served.ranges and same else 0
        if start >= len(served.content) > 0 and start:
            self._plain(416)
            return
        body = served.content[start:]
        self.send_response(206 if start else 200)
        if start:
            first = start - served.skew
            self.send_header("Content-Range", f"bytes {first}-{len(served.content) - 1}/{len(served.content)}")
        if served.tag:
            self.send_header("ETag", served.tag)
        if served.date:
            self.send_header("Last-Modified", served.date)
        if served.length:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body[: served.drops.pop(0)] if served.drops else body)
        self.close_connection = True

    def _plain(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def serving() -> Iterator[Server]:
    handler = type("Handler", (_Handler,), {"files": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        server = Server(f"http://127.0.0.1:{http.server_port}")
        server.files = handler.files  # type: ignore[attr-defined]
        yield server
        http.shutdown()
