"""Work beside what is timed: runs of one machine share its caches, its memory and often a core's arithmetic."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn import functional


@contextmanager
def company(of: int) -> Iterator[None]:
    """Keep `of` threads convolving, which holds no lock of Python's, as long as the body lasts."""
    end = threading.Event()

    def work() -> None:
        x, weight = (
            torch.ones(8, 32, 64, 64),
            torch.full((32, 32, 3, 3), 1e-3),
        )  # as a small detector's: 8 MB in and out
        with torch.inference_mode():
            while not end.is_set():
                functional.conv2d(x, weight, padding=1)

    threads = [threading.Thread(target=work, daemon=True, name="company") for _ in range(of)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join()
