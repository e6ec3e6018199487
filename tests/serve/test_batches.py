"""Gathering: every image its own answer, together where they come together, and an end that leaves nothing behind."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
import served

from ablab.serve.batches import Answer, Batcher
from ablab.serve.limits import Refusal

LEAST = np.zeros(len(served.CLASSES))


class Held:
    """The runner that is none, which waits for leave and notes the size of every batch."""

    def __init__(self) -> None:
        self.leave = threading.Event()
        self.sizes: list[int] = []

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert self.leave.wait(60)
        self.sizes.append(len(images))
        return served.runner(images)


def put(batcher: Batcher, grey: Any, side: int = served.SIDE) -> Future[Answer]:
    pixels = np.full((side, served.SIDE, 3), grey, np.uint8)
    return batcher.put(pixels, (60, 80), LEAST)


def best(future: Future[Answer]) -> float:
    return float(future.result(60).objects.scores.max())


def test_each_gets_its_own_answer_in_batches_that_are_not_too_large() -> None:
    held, seen = Held(), list[int]()
    batcher = Batcher(served.model(4, held), 0.05, 100, seen.append)
    batcher.start()
    futures = [put(batcher, grey) for grey in range(128, 228)]
    held.leave.set()
    assert [best(future) for future in futures] == pytest.approx([grey / 255 for grey in range(128, 228)])
    assert max(seen) == 4
    assert sum(seen) == 100
    assert held.sizes == [1, *seen], "the first is the grey one"
    assert all(future.result().batch <= 4 for future in futures)
    batcher.close(60)


def test_shapes_do_not_go_together() -> None:
    seen = list[int]()
    batcher = Batcher(served.model(8), 0.2, 100, seen.append)
    futures = [put(batcher, 200, side) for side in (32, 40, 32, 40)]
    batcher.start()
    assert [best(future) for future in futures] == pytest.approx([200 / 255] * 4)
    assert seen == [2, 2]
    batcher.close(60)


def test_one_that_fails_takes_no_other_with_it() -> None:
    batcher = Batcher(served.model(8), 0.2, 100)
    futures = [put(batcher, colour) for colour in (200, served.BLUE, 210)]
    batcher.start()
    assert (best(futures[0]), best(futures[2])) == pytest.approx((200 / 255, 210 / 255))
    with pytest.raises(RuntimeError, match="blue"):
        futures[1].result(60)
    assert batcher.ready(60)
    batcher.close(60)


def test_what_was_given_up_is_passed_over() -> None:
    held = Held()
    batcher = Batcher(served.model(8, held), 0.0, 100)
    futures = [put(batcher, 200) for _ in range(3)]
    assert futures[1].cancel()
    held.leave.set()
    batcher.start()
    assert best(futures[2]) > 0
    assert sum(held.sizes) == 1 + 2
    batcher.close(60)


def test_a_full_line_refuses() -> None:
    batcher = Batcher(served.model(), 0.0, 2)
    futures = [put(batcher, 200) for _ in range(2)]
    assert len(batcher) == 2
    with pytest.raises(Refusal, match="too many") as refused:
        put(batcher, 200)
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
    batcher.start()
    assert [best(future) > 0 for future in futures] == [True, True]
    batcher.close(60)


def test_the_end_finishes_what_waits_and_takes_no_more() -> None:
    held = Held()
    batcher = Batcher(served.model(2, held), 0.0, 100)
    batcher.start()
    futures = [put(batcher, 200) for _ in range(9)]
    held.leave.set()
    batcher.close(60)
    assert all(future.done() for future in futures)
    with pytest.raises(Refusal, match="ending"):
        put(batcher, 200)
    assert not batcher.ready(60)


def test_it_is_not_ready_before_the_first_image_nor_when_it_hangs() -> None:
    held = Held()
    batcher = Batcher(served.model(2, held), 0.0, 100)
    batcher.start()
    assert not batcher.ready(60)
    held.leave.set()
    wait_for(lambda: batcher.ready(60))
    held.leave.clear()
    future = put(batcher, 200)
    wait_for(lambda: not batcher.ready(0.01))
    held.leave.set()
    assert best(future) > 0
    batcher.close(60)


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
