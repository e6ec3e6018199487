"""Drawing while the network works: a thread that writes what others found."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from ablab.predict.result import Failure, Result

if TYPE_CHECKING:
    from ablab.predict.writing import Writer


class Behind:
    """A `Writer` whose work is done by a thread, in order and at most `most` images behind.

    What goes wrong is raised by a later `add`, or by `close`.
    """

    def __init__(self, writer: Writer, most: int = 4) -> None:
        self._writer, self._most = writer, most
        self._pool = ThreadPoolExecutor(1, "ablab-writer")
        self._waiting: deque[Future[None]] = deque()

    def add(self, result: Result) -> None:
        """Hand an image over; waits where too many are waiting."""
        self._waiting.append(self._pool.submit(self._writer.add, result))
        while len(self._waiting) > self._most:
            self._waiting.popleft().result()

    def close(self, failed: Sequence[Failure]) -> None:
        """Finish what was handed over."""
        try:
            while self._waiting:
                self._waiting.popleft().result()
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._writer.close(failed)
