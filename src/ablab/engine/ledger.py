"""What a training says about itself: the losses of an epoch, the curves, and the alarm when a loss is not finite."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ablab.contracts import Step
from ablab.errors import Diverged
from ablab.records import write_bytes

Row = dict[str, float]  # one epoch


class Ledger:
    """Collects each step's loss and gradient norm, and raises Diverged where one is NaN or infinite.

    Reading a number from a card waits for it, so there only every `every` steps; an epoch's end reads what is left.
    """

    def __init__(self, steps_per_epoch: int, every: int = 1) -> None:
        self.steps_per_epoch, self.every = steps_per_epoch, every
        self.latest: Row = {}
        self._waiting: list[tuple[int, list[str], Tensor]] = []
        self._sums: Row = {}
        self._seen = 0

    def add(self, step: int, result: Step, norm: Tensor) -> None:
        """Take a step, before the optimizer acts on it. `norm` is the gradient's, a scalar."""
        values = [result.loss, *result.parts.values(), norm]
        line = torch.stack([value.detach().reshape(()).to(result.loss.device, torch.float32) for value in values])
        self._waiting.append((step, ["loss", *result.parts, "gradient norm"], line))
        if len(self._waiting) >= self.every:
            self._read()

    def close(self) -> Row:
        """The means over the epoch; the next one starts empty."""
        self._read()
        means = {name: total / self._seen for name, total in self._sums.items()}
        self._sums, self._seen = {}, 0
        return means

    def state(self) -> dict[str, Any]:
        """An unfinished epoch, as JSON; everything is read for it."""
        self._read()
        return {"latest": self.latest, "sums": self._sums, "seen": self._seen}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Stand where `state` was taken."""
        self.latest, self._sums, self._seen = dict(state["latest"]), dict(state["sums"]), state["seen"]

    def _read(self) -> None:
        for step, names, line in self._waiting:
            values = dict(zip(names, line.tolist(), strict=True))
            if not all(map(math.isfinite, (values["loss"], values["gradient norm"]))):
                raise Diverged(self._explain(step, values))
            for name, value in values.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
            self._seen += 1
            self.latest = values
        self._waiting.clear()

    def _explain(self, step: int, values: Row) -> str:
        said = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        return (
            f"training diverged in epoch {step // self.steps_per_epoch + 1}, step {step + 1}: {said}; expected finite "
            "numbers; lower optimizer.lr, lengthen schedule.warmup, or set train.precision to fp32"
        )


def write_curves(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write curves as CSV, a row an epoch; a cell is empty where an epoch was not validated.

    The whole file at once, each epoch: validation's columns are known only after the first validation.
    """
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)
    write_bytes(path, text.getvalue().encode())
