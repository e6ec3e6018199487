"""Modules of other libraries that do what a part does: timm's `GELU` and `Swish`, anyone's wrapper of a function."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ablab.measure.seeding import forked
from ablab.registry import Entry
from ablab.surgery.structure import has_state


def twins(entry: Entry, modules: dict[str, nn.Module]) -> list[str]:
    """The names of those modules, not torch's own, whose function on a grid is the part's, in one of its forms.

    Only what has neither state nor children is tried, and parts that depend on nothing of their host.
    """
    grid = torch.linspace(-8, 8, 257)
    tried: dict[int, bool] = {}
    with forked("twins"), torch.no_grad():
        forms = [y for y in _forms(entry, grid) if not torch.equal(y, grid)]
        for module in modules.values():
            if forms and id(module) not in tried and _is_candidate(module):
                y = _on(module, grid)
                tried[id(module)] = y is not None and any(torch.allclose(y, form, 1e-5, 1e-6) for form in forms)
    return [name for name, module in modules.items() if tried.get(id(module))]


def _forms(entry: Entry, grid: Tensor) -> Iterator[Tensor]:
    """What the part gives with its defaults, and with each alternative value of an argument."""
    if entry.slot != "activation" or entry.host:
        return
    changes = [{name: value} for name, values in entry.traits.get("alternatives", {}).items() for value in values]
    for change in [{}, *changes]:
        part = entry.build(**change)
        if isinstance(part, nn.Module) and not has_state(part) and (y := _on(part, grid)) is not None:
            yield y


def _is_candidate(module: nn.Module) -> bool:
    foreign = not type(module).__module__.startswith("torch.") and not isinstance(module, torch.jit.ScriptModule)
    return foreign and not has_state(module) and next(module.children(), None) is None


def _on(module: nn.Module, grid: Tensor) -> Tensor | None:
    """What a copy of the module gives on the grid, without its hooks; None where it does not keep a vector's shape."""
    try:
        y = type(module).forward(copy.deepcopy(module), grid.clone())
    except Exception:  # any module of anyone's; it is not made for a single vector
        return None
    return y if isinstance(y, Tensor) and y.shape == grid.shape else None
