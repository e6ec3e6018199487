"""Images that come at the same time go through the network together: one thread, which alone uses the runner."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ablab.contracts import Objects
from ablab.predict.model import Model
from ablab.serve.limits import RETRY, Refusal

log = logging.getLogger("ablab.serve")
WARM = (480, 640)  # the (H, W) of the grey image that goes through first


@dataclass(frozen=True)
class Answer:
    """What was found in an image, with how many others it went through, and milliseconds of waiting and working."""

    objects: Objects
    batch: int
    waited_ms: float
    worked_ms: float


@dataclass(frozen=True, eq=False)
class _Job:
    pixels: np.ndarray
    place: Any
    least: np.ndarray
    future: Future[Answer] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)


class Batcher:
    """A model that gathers up to `model.batch` images, for `wait` seconds after the first, then looks at them at once.

    At most `most` images wait. `seen` is told the size of every batch.
    """

    def __init__(self, model: Model, wait: float, most: int, seen: Callable[[int], None] = lambda size: None) -> None:
        self._model, self._wait, self._seen = model, wait, seen
        self._jobs: queue.Queue[_Job | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._work, name="ablab-network", daemon=True)
        self._warm = self._ending = False
        self._busy_since: float | None = None

    def __len__(self) -> int:
        """Images that wait."""
        return self._jobs.qsize()

    def start(self) -> None:
        """Start the thread, which first looks at a grey image: first calls of a runtime are slow."""
        self._thread.start()

    def ready(self, patience: float) -> bool:
        """Whether images are looked at: warm, alive, and not at one batch for longer than `patience` seconds."""
        since = self._busy_since
        stuck = since is not None and time.perf_counter() - since > patience
        return self._warm and not self._ending and self._thread.is_alive() and not stuck

    def put(self, pixels: np.ndarray, place: Any, least: np.ndarray) -> Future[Answer]:
        """A fitted image (h, w, 3) uint8 in line; `least` (C,) is the least score of each class.

        Cancelled futures are passed over. Raises Refusal (503) where too many wait, or the end has begun.
        """
        if self._ending:
            raise Refusal(503, "the server is ending; send the image again later", RETRY)
        job = _Job(pixels, place, least)
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise Refusal(503, "too many images wait already; send it again later", RETRY) from None
        return job.future

    def close(self, patience: float) -> None:
        """Look at what waits, then end the thread; at most so many seconds."""
        self._ending = True
        try:
            self._jobs.put(None, timeout=patience)
        except queue.Full:
            return
        self._thread.join(patience)

    def _work(self) -> None:
        self._warm_up()
        while (first := self._jobs.get()) is not None:
            jobs, last = self._gathered(first)
            alive = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            for group in _of_one_shape(alive):
                self._look(group)
            if last:
                break

    def _warm_up(self) -> None:
        try:
            pixels, place = self._model.finder.fit(np.full((*WARM, 3), 127, np.uint8))
            self._answers([_Job(pixels, place, np.full(len(self._model.classes), np.inf))])
        except Exception:
            log.exception("the first image, a grey one, did not go through the network")
        self._warm = True

    def _gathered(self, first: _Job) -> tuple[list[_Job], bool]:
        """The first and those that come within the wait; and whether the end came with them."""
        jobs, end = [first], time.perf_counter() + self._wait
        while len(jobs) < self._model.batch:
            left = end - time.perf_counter()
            try:
                job = self._jobs.get(timeout=left) if left > 0 else self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _look(self, jobs: Sequence[_Job]) -> None:
        """Answer some images of one shape; where they fail together, each by itself."""
        self._busy_since = time.perf_counter()
        try:
            answers = self._answers(jobs)
        except Exception as error:
            if len(jobs) > 1:
                for job in jobs:
                    self._look([job])
                return
            log.exception("the network failed on an image %s", jobs[0].pixels.shape)
            jobs[0].future.set_exception(error)
        else:
            self._seen(len(jobs))
            for job, answer in zip(jobs, answers, strict=True):
                job.future.set_result(answer)
        finally:
            self._busy_since = None

    def _answers(self, jobs: Sequence[_Job]) -> list[Answer]:
        started = time.perf_counter()
        boxes, scores = self._model.runner(np.stack([job.pixels for job in jobs]))
        found = [
            self._model.finder.found(boxes[i : i + 1], scores[i : i + 1], [job.place], job.least)[0]
            for i, job in enumerate(jobs)
        ]
        worked = 1e3 * (time.perf_counter() - started)
        return [
            Answer(objects, len(jobs), 1e3 * (started - job.since), worked)
            for job, objects in zip(jobs, found, strict=True)
        ]


def _of_one_shape(jobs: Sequence[_Job]) -> list[list[_Job]]:
    groups: dict[tuple[int, ...], list[_Job]] = {}
    for job in jobs:
        groups.setdefault(job.pixels.shape, []).append(job)
    return list(groups.values())
