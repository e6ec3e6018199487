"""Dropout before batch norm: what the norm learns of the variance in training is wrong in evaluation.

Li et al. 2019, https://arxiv.org/abs/1801.05134: noise that keeps the mean of a map raises its mean square (by
1 / (1 - p) for dropout). A batch norm's running variance takes that in, and evaluation, without the noise, does not
show it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from ablab import registry
from ablab.measure.forward import Example, forward, still
from ablab.measure.seeding import forked

LEAST = 1.05  # a rise of the mean square that is worth a sentence; uniform dropout's with beta 0.1 is 1.003
NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
SAMPLES = 256


@dataclass(frozen=True)
class VarianceShift:
    """A dropout whose noise reaches batch norms, each through nothing that would normalise it away.

    `rise` is the mean square right behind the dropout of a map of ones, in training over evaluation.
    """

    dropout: str
    norms: tuple[str, ...]
    rise: float

    def __str__(self) -> str:
        more = f" and {len(self.norms) - 1} more" if len(self.norms) > 1 else ""
        return (
            f"{self.dropout} stands before the batch norm {self.norms[0]}{more}: in training its noise raises the mean "
            f"square {self.rise:.2f} times, which the running variance takes in and evaluation does not show; put it "
            "behind the last batch norm, or take uniform-dropout"
        )


@dataclass(frozen=True, eq=False)
class _Pass:
    """One call of a watched module: its first input and its output."""

    name: str
    given: Tensor
    output: Tensor


def variance_shifts(model: nn.Module, example: Example) -> list[VarianceShift]:
    """Every dropout of the network that a batch norm sees before another norm does.

    Which one sees it is tried, not read off the order of calls: the dropout's output is moved, and it reaches the batch
    norms whose inputs move with it. Norms on the way give what they gave, since they take the noise away. Dropout that
    is called as a function (`F.dropout`) is not seen. The model stands as it stood.
    """
    dropouts = _dropouts(model)
    norms = {name: module for name, module in model.named_modules() if isinstance(module, NORMS)}
    learners = {name for name, norm in norms.items() if isinstance(norm, _BatchNorm) and norm.running_var is not None}
    if not dropouts or not learners:
        return []
    shapes = {each.name: each.given.shape for each in _passes(model, example, dropouts)}
    clean = _passes(model, example, norms)
    found = []
    for name, shape in shapes.items():
        rise = _rise(dropouts[name], shape)
        if rise < LEAST:
            continue
        moved = _passes(model, example, norms, clean, dropouts[name])
        reached = [after.name for before, after in zip(clean, moved, strict=False) if _differ(before, after)]
        hit = tuple(dict.fromkeys(name for name in reached if name in learners))
        if hit:
            found.append(VarianceShift(name, hit, rise))
    return found


def _dropouts(model: nn.Module) -> dict[str, nn.Module]:
    kinds = {registry.get(name, "dropout").kind for name in registry.names("dropout")} | {nn.Dropout1d, nn.Dropout3d}
    return {name: module for name, module in model.named_modules() if type(module) in kinds}


def _passes(
    model: nn.Module,
    example: Example,
    watched: Mapping[str, nn.Module],
    held: Sequence[_Pass] = (),
    moved: nn.Module | None = None,
) -> list[_Pass]:
    """Run the network in evaluation mode and note each call of the watched modules.

    They give what they gave in `held`; the output of `moved` is another one.
    """
    passes: list[_Pass] = []
    names = {id(module): name for name, module in watched.items()}

    def note(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        here = _Pass(names[id(module)], args[0].clone(), output.clone())  # what follows may write in place
        before = held[len(passes)] if len(passes) < len(held) else None
        passes.append(here)
        return before.output.clone() if before and before.name == here.name else None

    with ExitStack() as stack:
        handles = [module.register_forward_hook(note) for module in watched.values()]
        if moved is not None:
            handles.append(moved.register_forward_hook(lambda module, args, output: 1.5 * output + 0.1))
        for handle in handles:
            stack.callback(handle.remove)
        stack.enter_context(still(model))
        stack.enter_context(torch.no_grad())
        stack.enter_context(forked("variance shift"))
        forward(model, example)
    return passes


def _rise(dropout: nn.Module, shape: Sequence[int]) -> float:
    """How many times larger the mean square of ones is in training, from many samples of few places."""
    ones = torch.ones(SAMPLES, *shape[1:2], *(min(side, 4) for side in shape[2:]))
    noisy = copy.deepcopy(dropout).to("cpu", torch.float32).train()
    with torch.no_grad(), forked("variance shift"):
        return float(noisy(ones).square().mean())


def _differ(before: _Pass, after: _Pass) -> bool:
    if before.name != after.name or before.given.shape != after.given.shape:
        return False
    return not torch.allclose(before.given, after.given, rtol=0, atol=0, equal_nan=True)
