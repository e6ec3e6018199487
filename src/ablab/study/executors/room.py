"""What this machine has room for: which cards a run gets, and whether memory lets another one start."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import psutil

LOOK_SECONDS = 1.0  # for which an answer about memory holds: to walk the processes takes milliseconds


def visible() -> tuple[str, ...]:
    """The CUDA cards that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(named[:count] if named else map(str, range(count)))


def least_used(cards: Sequence[str], held: Iterable[Sequence[str]], count: int) -> tuple[str, ...]:
    """The `count` cards that the fewest jobs hold, each of `held` being one job's; () where there are not as many."""
    jobs = Counter(card for each in held for card in each)
    return tuple(sorted(cards, key=lambda card: jobs[card])[:count]) if count <= len(cards) else ()


class Memory:
    """Says whether there is memory for another run beside those that are still growing."""

    def __init__(self) -> None:
        self._until, self._said = 0.0, ""

    def short(self, wanted: float, running: Mapping[int, float]) -> str:
        """Why a run that takes `wanted` MB shall wait, or "".

        `running` are the processes beside it, and what each is expected to take, MB.
        """
        if time.monotonic() >= self._until:
            promised = sum(max(expected - held(pid), 0.0) for pid, expected in running.items())
            free = available() - promised
            self._said = (
                f"{max(free, 0):.0f} MB of memory are left for another run, which takes about {wanted:.0f} MB; "
                "it waits for one to end"
                if wanted > free
                else ""
            )
            self._until = time.monotonic() + LOOK_SECONDS if self._said else 0.0
        return self._said


def available() -> float:
    """Memory that can be had without swapping, MB."""
    return float(psutil.virtual_memory().available) / 2**20


def held(pid: int) -> float:
    """What a process and its children hold of memory, MB; 0 for one that has ended."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return sum(float(each.memory_info().rss) for each in (process, *process.children(recursive=True))) / 2**20
    return 0.0
