"""How much is let in, and how a request is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LEAST_HELD = 256_000_000  # bytes of bodies in memory at once, unless two of the largest are more
RETRY = {"Retry-After": "1"}


class Refusal(Exception):
    """A request that is answered with an error: a status, one sentence for whoever sent it, and headers."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, headers or {}


@dataclass(frozen=True)
class Limits:
    """What one request may take, and all of them.

    `bytes` of a body, `pixels` of an image, `seconds` for a body to come and as many for its answer; `reading` bodies
    that come in at once, `waiting` images between their arrival and their answer.
    """

    bytes: int = 20_000_000
    pixels: int = 40_000_000
    seconds: float = 10.0
    reading: int = 256
    waiting: int = 64

    @property
    def held(self) -> int:
        """Bytes of all bodies in memory."""
        return max(LEAST_HELD, 2 * self.bytes)


class Budget:
    """So much of something and no more; what was taken within `hold` is given back at its end.

    Used in the thread of the event loop alone, so that no lock is needed.
    """

    def __init__(self, most: int, sentence: str) -> None:
        self.most, self.sentence, self.taken = most, sentence, 0

    @contextmanager
    def hold(self, count: int = 0) -> Iterator[Share]:
        """Raises Refusal (503) where `count` is more than is left."""
        share = Share(self)
        try:
            share.take(count)
            yield share
        finally:
            self.taken -= share.count


class Share:
    """What one request holds of a budget."""

    def __init__(self, budget: Budget) -> None:
        self.budget, self.count = budget, 0

    def take(self, count: int) -> None:
        """Take more. Raises Refusal (503) where it is not left."""
        if self.budget.taken + count > self.budget.most:
            raise Refusal(503, self.budget.sentence, RETRY)
        self.budget.taken += count
        self.count += count
