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
SKIPS_IN_A_ROW = 24  # the scale begins at 2^16 and is halved at each: by then it is below 1 and cannot be to blame


class Ledger:
    """Collects each step's loss and gradient norm, and raises Diverged where one is NaN or infinite.

    Reading a number from a card waits for it, so there only every `every` steps; an epoch's end reads what is left.

    Where losses are `scaled` (fp16), a gradient that is not finite under a finite loss is a step that the scaler
    skipped: `skipped` counts them, the means leave them out, and only `SKIPS_IN_A_ROW` are a divergence.
    """

    def __init__(self, steps_per_epoch: int, every: int = 1, scaled: bool = False) -> None:
        self.steps_per_epoch, self.every, self.scaled = steps_per_epoch, every, scaled
        self.latest: Row = {}
        self.skipped = 0
        self._row = 0  # skipped steps in a row
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
        means = {name: total / self._seen for name, total in self._sums.items()}  # empty where all were skipped
        self._sums, self._seen = {}, 0
        return means

    def state(self) -> dict[str, Any]:
        """An unfinished epoch, as JSON; everything is read for it."""
        self._read()
        skips = {"skipped": self.skipped, "in a row": self._row}
        return {"latest": self.latest, "sums": self._sums, "seen": self._seen, **skips}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Stand where `state` was taken."""
        self.latest, self._sums, self._seen = dict(state["latest"]), dict(state["sums"]), state["seen"]
        self.skipped, self._row = state["skipped"], state["in a row"]

    def _read(self) -> None:
        for step, names, line in self._waiting:
            values = dict(zip(names, line.tolist(), strict=True))
            if not all(map(math.isfinite, (values["loss"], values["gradient norm"]))):
                if not self._skips(values):
                    raise Diverged(self._explain(step, values))
                continue
            self._row = 0
            for name, value in values.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
            self._seen += 1
            self.latest = values
        self._waiting.clear()

    def _skips(self, values: Row) -> bool:
        """Whether the scaler skipped this step, and did not so too often in a row."""
        self.skipped += self.scaled
        self._row += 1
        return self.scaled and math.isfinite(values["loss"]) and self._row <= SKIPS_IN_A_ROW

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
