"""What the server counts, in Prometheus' text format.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text, version 0.0.4).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

import psutil

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
IMAGES = (1, 2, 4, 8, 16, 32, 64)
TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """How many values were at most each of some bounds, their number and their sum."""

    def __init__(self, name: str, told: str, bounds: Sequence[float]) -> None:
        self.name, self.told, self.bounds = name, told, bounds
        self._counts, self._sum = [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self._sum += value

    def lines(self) -> list[str]:
        """Its lines: buckets are cumulative, the last holds all."""
        lines, total = _head(self.name, self.told, "histogram"), 0
        for bound, count in zip([*map(repr, self.bounds), "+Inf"], self._counts, strict=True):
            total += count
            lines.append(f'{self.name}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{self.name}_sum {self._sum:.6g}", f"{self.name}_count {total}"]


class Metrics:
    """The counters of one server; used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds = Histogram("ablab_predict_seconds", "From a request for boxes to its answer.", SECONDS)
        self._batches = Histogram("ablab_batch_images", "Images that went through the network together.", IMAGES)
        self._process = psutil.Process()

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count an answer; `path` must be one of few."""
        with self._lock:
            self._requests[path, status] += 1
            if path == "/predict":
                self._seconds.add(seconds)

    def batch(self, images: int) -> None:
        """Count a batch."""
        with self._lock:
            self._batches.add(images)

    def text(self, waiting: int, ready: bool) -> str:
        """All of it, as Prometheus reads it."""
        lines = _head("ablab_requests_total", "Requests by path and status; 499: left before its answer.", "counter")
        with self._lock:
            for (path, status), count in sorted(self._requests.items()):
                lines.append(f'ablab_requests_total{{path="{path}",status="{status}"}} {count}')
            lines += [*self._seconds.lines(), *self._batches.lines()]
        gauges = (
            ("ablab_waiting_images", "Images that wait for the network.", waiting),
            ("ablab_ready", "Whether images are looked at.", int(ready)),
            ("ablab_resident_memory_bytes", "Resident memory of the process.", self._process.memory_info().rss),
        )
        for name, told, value in gauges:
            lines += [*_head(name, told, "gauge"), f"{name} {value}"]
        return "\n".join(lines) + "\n"


def _head(name: str, told: str, kind: str) -> list[str]:
    return [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
