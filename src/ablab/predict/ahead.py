"""Reading while the network works: a thread with a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """What an iterator gives, read by a thread that is at most `depth` items ahead.

    Where `fresh`, the thread never waits: of a camera, what nobody came to look at makes way for what is newer.
    Exceptions come through where their item would have come. Use it in `with`: leaving ends the thread.
    """

    def __init__(self, make: Callable[[], Iterator[T]], depth: int, fresh: bool = False) -> None:
        self._make, self._fresh = make, fresh
        self._queue: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(max(depth, 1))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="ablab-reader", daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._items()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _items(self) -> Iterator[T]:
        while True:
            kind, item = self._queue.get()
            if kind == "end":
                return
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]

    def _work(self) -> None:
        items = self._make()
        try:
            for item in items:
                self._put(("item", item))
                if self._stop.is_set():
                    break
            self._put(("end", None))
        except BaseException as error:
            self._put(("error", error))
        finally:
            close = getattr(items, "close", None)
            if close:
                close()  # generators let go of their files in their own thread

    def _put(self, entry: tuple[str, T | BaseException | None]) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(entry, timeout=0.0 if self._fresh and entry[0] == "item" else 0.1)
                return
            except queue.Full:
                if self._fresh and entry[0] == "item":
                    self._drop()

    def _drop(self) -> None:
        with suppress(queue.Empty):
            self._queue.get_nowait()
