"""What `op: convert` does beyond putting a part in: its weights come from the module that stood there."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ablab import registry
from ablab.errors import SurgeryError, UserError
from ablab.measure.forward import tensors
from ablab.measure.seeding import forked
from ablab.recipe import Edit
from ablab.registry import Entry
from ablab.streams import Key
from ablab.surgery.feed import Feed
from ablab.surgery.structure import with_tensors


def carry(entry: Entry, what: str, old: nn.Module, new: nn.Module) -> None:
    """Let the part's own `carry` copy the weights; raises SurgeryError where it refuses or fails."""
    try:
        with torch.no_grad():
            entry.traits["carry"](old, new)
    except UserError as error:
        raise SurgeryError(f"{what}: {error}") from error
    except Exception as error:
        raise SurgeryError(
            f"{what}: the weights of {type(old).__name__} cannot be carried over: {type(error).__name__}: {error}; "
            f"replace it instead"
        ) from error


def drift(new: nn.Module, feeds: Sequence[Feed]) -> float:
    """The L2 norm of how far the new outputs are from the old ones in evaluation mode, relative to the old ones.

    0 where both are 0 or equal; infinite where the old output is 0 and the new one is not.
    """
    new = copy.deepcopy(new).eval()
    apart = whole = 0.0
    for each in feeds:
        args, kwargs = with_tensors((each.args, dict(each.kwargs)), Tensor.clone)
        with forked("trial"), torch.no_grad():
            output = new(*args, **kwargs)
        for now, before in zip(tensors(output), tensors(each.expected), strict=True):
            apart += float((now.double() - before.double()).square().sum())
            whole += float(before.double().square().sum())
    return (apart / whole) ** 0.5 if whole else (float("inf") if apart else 0.0)


def redrawn(edit: Edit, args: Mapping[str, Any], site: str, old: nn.Module, key: Key) -> nn.Module:
    """A copy of a module whose parameters of two or more dimensions are drawn anew, and whose biases are 0.

    They are drawn under a seed of the site's own, one after the other, in single precision at least. Raises
    SurgeryError where there is nothing to draw.
    """
    new = copy.deepcopy(old)
    drawn = [parameter for parameter in new.parameters() if parameter.dim() >= 2]
    if not drawn:
        raise SurgeryError(f"{site}: {type(old).__name__} has no weight of two or more dimensions to draw anew")
    with forked("init", *key, site), torch.no_grad():
        draw = registry.make(str(edit.part), **args)
        for parameter in drawn:
            wide = parameter.to(torch.promote_types(parameter.dtype, torch.float32))
            draw(wide)
            parameter.copy_(wide)
        for name, parameter in new.named_parameters():
            if name.rpartition(".")[2] == "bias":
                parameter.zero_()
    return new


def assert_untied(patient: nn.Module, what: str, old: nn.Module) -> None:
    """Raise SurgeryError where a module shares a parameter with one outside of it: a copy would cut the tie."""
    mine = {id(parameter) for parameter in old.parameters()}
    inside = {id(module) for module in old.modules()}
    for name, module in patient.named_modules():
        shared = [n for n, p in module.named_parameters(recurse=False) if id(p) in mine]
        if shared and id(module) not in inside:
            raise SurgeryError(
                f"{what}: {type(old).__name__} here shares its weight with '{name}.{shared[0]}', and a copy would cut "
                f"the tie; leave it out with 'but'"
            )
