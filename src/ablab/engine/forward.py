"""A training step's forward pass: the task's, compiled where the recipe asks for it, shared where there is a team."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ablab.contracts import Batch, Step, Task
from ablab.engine.distributed import Team
from ablab.engine.synced import Synced
from ablab.measure.seeding import forked


class Forward:
    """`Forward(...)(batch)` is `task.step(model, batch)`, faster.

    The model itself is never changed: its names, its copies and what is saved of it stay as they are. Evaluation does
    not come through here and is not compiled. A batch of another size than `full` (an epoch's last) runs uncompiled:
    compiling it too would take as long again. Where torch cannot compile, `note` says why, and steps run uncompiled:
    other sums, the same training.
    """

    def __init__(
        self, task: Task, model: nn.Module, team: Team, compiled: bool, full: int, synced: bool = False
    ) -> None:
        self.model, self.team, self.note = model, team, ""
        self.compile_seconds = 0.0
        self._untried = compiled
        self._inner = _Stepping(task, model, full, synced and team.size > 1)
        self._outer = team.wrap(self._inner)

    def __call__(self, batch: Batch) -> Step:
        if self._untried and len(batch["ids"]) == self._inner.full:
            self._try(batch)
        return self._outer(batch)

    def refresh(self) -> None:
        """To be called when other parameters want gradients than before."""
        self._outer = self.team.wrap(self._inner)

    def holding(self) -> AbstractContextManager[Any]:
        """Inside, gradients gather on each rank alone; the next backward pass outside averages them all."""
        return self._outer.no_sync() if isinstance(self._outer, DistributedDataParallel) else nullcontext()

    def describe(self) -> dict[str, str]:
        """For a record's `environment`."""
        how = "yes" if self._inner.compiled else "failed" if self.note else "no"
        return {"compile": how, "devices": str(self.team.size)}

    def _try(self, batch: Batch) -> None:
        """Compile, and go once there and back; gradients, statistics and generators stand afterwards as they stood."""
        self._untried, start = False, time.perf_counter()
        buffers = [(buffer, buffer.clone()) for buffer in self.model.buffers()]
        gradients = [(parameter, parameter.grad) for parameter in self.model.parameters()]
        for parameter, _ in gradients:
            parameter.grad = None
        try:
            with forked("compile"):
                self._inner.compiled.append(torch.compile(self.model, dynamic=False))
                self._inner(batch).loss.backward()
        except Exception as error:  # whatever it was: a mistake that is not the compiler's comes again without it
            self._inner.compiled.clear()
            cause = getattr(error, "inner_exception", error)  # torch wraps what a compiler says
            said = ": ".join([type(cause).__name__, *str(cause).strip().splitlines()[:1]])
            self.note = f"train.compile does not work here, so training runs uncompiled: {said}"
        finally:
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)
            for parameter, gradient in gradients:
                parameter.grad = gradient
            self.compile_seconds = time.perf_counter() - start


class _Stepping(nn.Module):
    """The task's step as a module, which is what DDP wraps; the task is handed the network itself."""

    def __init__(self, task: Task, model: nn.Module, full: int, synced: bool) -> None:
        super().__init__()
        self.model, self.task, self.full, self.synced = model, task, full, synced
        self.compiled: list[Any] = []  # the one compiled network; in a list, or it would be a submodule

    def forward(self, batch: Batch) -> Step:
        network = self.compiled[0] if self.compiled and len(batch["ids"]) == self.full else self.model
        with Synced() if self.synced else nullcontext():
            return self.task.step(network, batch)
