"""A thread that reads ahead, and one that writes behind: order, bounds, errors, ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from rectangles import model

from ablab.predict.ahead import Ahead
from ablab.predict.behind import Behind
from ablab.predict.result import Failure, Result


def until(condition) -> None:
    """Wait for another thread, a quarter of a minute at most."""
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end, "the other thread never came there"
        time.sleep(0.005)


def test_everything_comes_in_order() -> None:
    with Ahead(lambda: iter(range(500)), 7) as items:
        assert list(items) == list(range(500))


def counting(taken: list[int], last: int = 100) -> Iterator[int]:
    for i in range(last):
        taken.append(i)
        yield i


def test_it_is_ahead_by_so_many_items_and_no_more() -> None:
    taken: list[int] = []
    with Ahead(lambda: counting(taken), 5) as items:
        until(lambda: len(taken) == 6)  # five wait, and one more is in the reader's hand
        time.sleep(0.05)
        assert len(taken) == 6
        assert next(items) == 0
        until(lambda: len(taken) == 7)
        assert list(items) == list(range(1, 100))


def test_it_is_ahead_by_so_many_bytes_and_no_more() -> None:
    """Ten bytes an item, and room for 25: the third is taken in while 20 wait; an item larger than all comes alone."""
    taken: list[int] = []
    with Ahead(lambda: counting(taken), 50, weigh=lambda _: 10, bytes=25) as items:
        until(lambda: len(taken) == 4)
        time.sleep(0.05)
        assert len(taken) == 4
        assert list(items) == list(range(100))
    with Ahead(lambda: iter(range(5)), 50, weigh=lambda _: 1000, bytes=25) as items:
        assert list(items) == list(range(5))


def test_of_a_live_source_only_the_newest_waits() -> None:
    taken: list[int] = []
    with Ahead(lambda: counting(taken), 1, fresh=True) as items:
        until(lambda: len(taken) == 100)
        time.sleep(0.05)
        assert list(items) == [99]


def test_an_error_comes_after_what_was_read() -> None:
    def breaking() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the disk is gone")

    seen: list[int] = []
    with Ahead(breaking, 10) as items, pytest.raises(OSError, match="the disk is gone"):
        seen.extend(items)
    assert seen == [1, 2]


def test_leaving_early_ends_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def forever() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = threading.active_count()
    with Ahead(forever, 3) as items:
        assert next(items) == 1
    assert closed.wait(5)
    until(lambda: threading.active_count() == before)


class Slow:
    """A writer that notes what it was given, and breaks on the one of a number."""

    def __init__(self, breaks: int | None = None) -> None:
        self.given: list[int] = []
        self.failed: list[Failure] | None = None
        self.breaks = breaks

    def add(self, result: Result) -> None:
        time.sleep(0.002)
        if len(result) == self.breaks:
            raise OSError("no space left")
        self.given.append(len(result))

    def close(self, failed) -> None:
        self.failed = list(failed)


def results(count: int) -> list[Result]:
    one = model()(np.zeros((8, 8, 3), np.uint8))
    none = np.zeros((0, 4))
    return [Result(one.frame, np.resize(none, (i, 4)), np.zeros(i), np.zeros(i, int), one.finder) for i in range(count)]


def test_what_is_written_behind_keeps_its_order() -> None:
    slow = Slow()
    behind = Behind(slow, most=2)
    for i, result in enumerate(results(30)):
        behind.add(result)
        assert len(slow.given) >= i - 2 - 1
    behind.close([Failure("a", "b")])
    assert slow.given == list(range(30))
    assert slow.failed == [Failure("a", "b")]


def test_what_goes_wrong_behind_is_raised_and_the_rest_is_closed() -> None:
    slow = Slow(breaks=3)
    behind = Behind(slow, most=2)
    with pytest.raises(OSError, match="no space left"):
        list(map(behind.add, results(30)))
    behind.close([])
    assert slow.given[:3] == [0, 1, 2]
    assert slow.failed == []
