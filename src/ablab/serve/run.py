"""The server's life: a socket, connections that may not dawdle, and an end that finishes what is in flight."""

from __future__ import annotations

import asyncio
import json
import math
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ablab.errors import ConfigError
from ablab.serve.app import Service, make_app
from ablab.serve.limits import Limits
from ablab.serve.open import Served

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Connection(H11Protocol):
    """uvicorn's connection, closed where a request's head does not arrive in time; its own errors are JSON, too."""

    patience = 10.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and not self.cycle.response_complete:
            self._stop()

    def on_response_complete(self) -> None:
        self._await_head()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        body = json.dumps({"error": "this is no request of HTTP/1.1; send one"}).encode()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *_length(body)]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _await_head(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(self.patience, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _length(body: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-length", str(len(body)).encode())]


def listen(host: str, port: int) -> socket.socket:
    """A socket that has its port, 0 for any, and is not open yet. Raises ConfigError where it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        door = socket.socket(family, kind, protocol)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(address)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {error.strerror}; give another --port or --host"
        ) from None
    return door


def address(door: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = door.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve(served: Served, limits: Limits, wait: float, door: socket.socket, opened: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; then what is in flight is finished. `opened` is called once requests may come."""
    connection = type("Connection", (Connection,), {"patience": limits.seconds})
    config = uvicorn.Config(
        make_app(Service(served, limits, wait)),
        http=connection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(2 * limits.seconds) + 1,
    )
    door.listen(config.backlog)
    opened()
    with _quiet_end():
        uvicorn.Server(config).run(sockets=[door])


@contextmanager
def _quiet_end() -> Iterator[None]:
    """uvicorn raises the signal that ended it once more for whoever was there before: here, nobody is."""
    before = {each: signal.signal(each, lambda *_: None) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
