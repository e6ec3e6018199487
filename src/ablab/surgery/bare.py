"""A copy of a network without what stands around it or its modules: torch.compile and nn.DataParallel."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from ablab.errors import SurgeryError

Dress = Callable[[nn.Module], nn.Module]


def bare_copy(model: nn.Module) -> tuple[nn.Module, dict[int, Any], Dress]:
    """A copy without its shells, so that no name has a step for them; deepcopy's memo; and what puts the shells back.

    A module that was compiled in place (`model.compile()`) comes back as torch copies it, not compiled. Raises
    SurgeryError for DistributedDataParallel, which holds on to the parameters that it was given.
    """
    memo: dict[int, Any] = {}
    shells: list[tuple[nn.Module, nn.Module]] = []
    for module in reversed(list(model.modules())):  # what lies inside comes first
        inner = _inside(module)
        if inner is not None:
            memo[id(module)] = copy.deepcopy(inner, memo)
            shells.append((module, memo[id(module)]))
    return copy.deepcopy(model, memo), memo, lambda patient: _dressed(patient, shells)


def _inside(module: nn.Module) -> nn.Module | None:
    """What a shell stands around; None where the module is none."""
    if isinstance(module, DistributedDataParallel):
        raise SurgeryError(
            "DistributedDataParallel holds on to the parameters that it was given; operate on `model.module`, and put "
            "DistributedDataParallel around the result"
        )
    return module.module if isinstance(module, DataParallel) else getattr(module, "_orig_mod", None)


def _dressed(patient: nn.Module, shells: list[tuple[nn.Module, nn.Module]]) -> nn.Module:
    """The patient with its shells around what they stood around, where that is still there."""
    for shell, inner in shells:
        names = [name for name, module in patient.named_modules(remove_duplicate=False) if module is inner]
        new = _around(shell, inner) if names else inner
        for name in names:
            if not name:
                return new  # the network itself: the outermost shell comes last
            above, _, last = name.rpartition(".")
            setattr(patient.get_submodule(above), last, new)
    return patient


def _around(shell: Any, inner: nn.Module) -> nn.Module:
    """A shell like another, around another module, in the same mode and, where it compiles, with the same backend."""
    if isinstance(shell, DataParallel):
        new: nn.Module = DataParallel(inner, shell.device_ids, getattr(shell, "output_device", None))
    else:
        new = shell.dynamo_ctx(inner)
    new.training = shell.training
    return new
