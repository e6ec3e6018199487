"""Reading while the network works: a thread with a bounded queue."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
PATIENCE = 2.0  # seconds that leaving waits for the thread: a stream's next frame may never come


class Ahead(Generic[T]):
    """What an iterator gives, read by a thread that is ahead by `most` items, and by `bytes` of what `weigh` says.

    Where `fresh`, the thread never waits: of a camera, a frame that nobody came to look at makes way for the newest.
    What the iterator raises comes through in its place. Use it in `with`: leaving ends the thread.
    """

    def __init__(
        self,
        make: Callable[[], Iterator[T]],
        most: int,
        *,
        weigh: Callable[[T], int] = lambda _: 0,
        bytes: int = 1,
        fresh: bool = False,
    ) -> None:
        self._make, self._most, self._weigh, self._bytes, self._fresh = make, most, weigh, bytes, fresh
        self._ready: deque[T] = deque()
        self._changed = threading.Condition()
        self._weight, self._over, self._stop = 0, False, False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="ablab-reader", daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._items()

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        self._thread.join(PATIENCE)

    def _items(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ready or self._over)
                if not self._ready:
                    break
                item = self._ready.popleft()
                self._weight -= self._weigh(item)
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        items = self._make()
        try:
            for item in items:
                if not self._put(item):
                    break
        except BaseException as error:  # whoever waits for the items is told
            self._error = error
        finally:
            close = getattr(items, "close", None)
            if close:
                close()  # a generator lets go of its files here, in the thread that opened them
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _put(self, item: T) -> bool:
        """Append an item when there is room; False where nobody wants it any more."""
        with self._changed:
            if self._fresh:
                self._ready.clear()
            else:
                self._changed.wait_for(lambda: self._stop or not self._ready or self._room())
            self._ready.append(item)
            self._weight += self._weigh(item)
            self._changed.notify_all()
            return not self._stop

    def _room(self) -> bool:
        return len(self._ready) < self._most and self._weight < self._bytes
