"""Arguments that an edit gives to a part without a contract: each must change something at some site (trap 6)."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ablab.errors import SurgeryError
from ablab.measure.forward import tensors
from ablab.measure.seeding import forked
from ablab.recipe import Edit
from ablab.registry import Entry
from ablab.streams import Key
from ablab.surgery.build import build
from ablab.surgery.feed import Feed
from ablab.surgery.host import arguments
from ablab.surgery.liveness import EXEMPT, others
from ablab.surgery.operate import Implant
from ablab.surgery.structure import with_tensors


def every_given_argument_counts(edit: Edit, entry: Entry, implants: Sequence[Implant], key: Key) -> None:
    """Build the part again with another value of each argument, and compare what it holds, gives and passes back.

    Parts of a slot are held to all of its contract instead. Raises SurgeryError that names the argument and the sites.
    """
    if entry.slot:
        return
    for name, value in edit.args.items():
        if name in EXEMPT or name in entry.host:
            continue
        default = entry.arguments[name].default
        values = [v for v in (default, *others(value)) if v is not inspect.Parameter.empty and v != value]
        tried = {}
        for other in values:
            tried[str(other)] = alike = _alike_everywhere(edit, entry, {name: other}, implants, key)
            if alike is False:
                break
        same = [other for other, alike in tried.items() if alike]
        if same and False not in tried.values():
            raise SurgeryError(
                f"{edit}: the argument '{name}' changes nothing at {_places(implants)}: {edit.part} is the same with "
                f"{value!r} and with {', '.join(same)}; drop it, or use it in the part"
            )


def _places(implants: Sequence[Implant]) -> str:
    listed = ", ".join(each.report.name for each in implants[:3])
    return listed + (f" and {len(implants) - 3} more sites" if len(implants) > 3 else "")


def _alike_everywhere(
    edit: Edit, entry: Entry, change: dict[str, Any], implants: Sequence[Implant], key: Key
) -> bool | None:
    """Whether the part is the same at every site; None where it refuses the value."""
    found = None
    for implant in implants:
        alike = _alike(edit, entry, change, implant, key)
        if alike is False:
            return False
        found = found or alike
    return found


def _alike(edit: Edit, entry: Entry, change: dict[str, Any], implant: Implant, key: Key) -> bool | None:
    """Whether the part is the same with a changed argument; None where it refuses the value."""
    other = edit.model_copy(update={"args": edit.args | change})
    site, old = implant.report.name, implant.old or nn.Identity()
    try:
        made = [
            build(each, entry, arguments(each, entry, site, old, implant.feeds), site, implant.feeds, key)
            for each in (edit, other)
        ]
        shown = [_evidence(part, implant.feeds[0]) for part in made]
    except Exception:  # a value that the part refuses says nothing about the argument
        return None
    return len(shown[0]) == len(shown[1]) and all(torch.equal(a, b) for a, b in zip(*shown, strict=True))


def _evidence(part: nn.Module, feed: Feed) -> list[Tensor]:
    """What a part holds, gives in evaluation and in training, and passes back."""
    shown = [tensor.clone() for tensor in part.state_dict().values()]
    for training in (False, True):
        module = copy.deepcopy(part).train(training)
        args, kwargs = with_tensors((feed.args, dict(feed.kwargs)), Tensor.clone)
        inputs = [tensor.requires_grad_() for tensor in tensors((args, kwargs)) if tensor.is_floating_point()]
        with forked("evidence"), torch.enable_grad():
            outputs = list(tensors(module(*with_tensors(args, Tensor.clone), **kwargs)))
            total = [output.square().sum() for output in outputs if output.requires_grad]
            grads = torch.autograd.grad(total, inputs, allow_unused=True) if total else ()
        shown += [*outputs, *(grad for grad in grads if grad is not None), *module.state_dict().values()]
    return shown
