"""Runs that only take their time: a driver of a thousand GPUs, or a hundred thousand runs, watched on one machine.

    clock = the driver's own seconds, as it spends them between two runs + the runs' seconds, which nobody waits for

What a run takes is replayed from measured times; what it would leave on disk is for the caller to write. The driver is
the real one, so a clock that ends later than `ideal` shows what scheduling costs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush, heapreplace
from pathlib import Path

from ablab.engine.events import Display
from ablab.recipe import TrainRecipe
from ablab.study.executors.job import Job


class Simulated:
    """`slots` places, each for one run at a time. `seconds(job)` is what a run takes, `done(job)` leaves its record.

    After a study `clock` is how long it took, `driver` how many seconds of that the driver worked, and `ideal` how long
    the same runs would take in the same order if the driver took no time. The time in `done` counts for nobody: it is
    another machine's.
    """

    def __init__(self, slots: int, seconds: Callable[[Job], float], done: Callable[[Job], None]) -> None:
        self.slots, self._seconds, self._done = slots, seconds, done
        self.clock = self.driver = self.ideal = 0.0
        self.runs = 0
        self._free = [0.0] * slots  # when each place would be free, if the driver took no time

    def ready(self, folder: Path, trains: Sequence[TrainRecipe]) -> None: ...

    def at_a_time(self, train: TrainRecipe) -> int:
        return self.slots

    def execute(
        self, jobs: Sequence[Job], parallel: int, display: Display, start: Callable[[], bool]
    ) -> Iterator[tuple[Job, str]]:
        """Do the jobs in order; the clock stands still but for the driver's own time and until the next run ends."""
        waiting, running = deque(jobs), list[tuple[float, int, Job]]()
        mark = time.perf_counter()
        while waiting or running:
            while waiting and len(running) < min(parallel, self.slots):
                if not start():
                    waiting.clear()
                    break
                mark = self._tick(mark)
                self._start(waiting.popleft(), running)
            if not running:
                return
            mark = self._tick(mark)
            ends, _, job = heappop(running)
            self.clock = max(self.clock, ends)
            self._done(job)
            mark = time.perf_counter()
            yield job, ""

    def _start(self, job: Job, running: list[tuple[float, int, Job]]) -> None:
        seconds = self._seconds(job)
        self.runs += 1
        heappush(running, (self.clock + seconds, self.runs, job))
        ends = heapreplace(self._free, self._free[0] + seconds) + seconds
        self.ideal = max(self.ideal, ends)

    def _tick(self, mark: float) -> float:
        """Let the driver's time since `mark` pass; returns now."""
        now = time.perf_counter()
        self.clock, self.driver = self.clock + now - mark, self.driver + now - mark
        return now
