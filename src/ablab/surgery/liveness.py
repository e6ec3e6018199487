"""Each argument that a part declares must change something (trap 6)."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from ablab.errors import ContractError
from ablab.measure.seeding import forked
from ablab.surgery import (
    assigner_promises,
    augmentation_promises,
    initialisation_promises,
    optimizer_promises,
    sampler_promises,
)
from ablab.surgery.backbone_promises import images
from ablab.surgery.loss_promises import boxes, distances
from ablab.surgery.specimen import CHANNELS, Specimen, draw

# What must not change a result (of optimizers: how it is computed), and what wants a file or a network to be tried.
EXEMPT = {"inplace", "device", "dtype", "pretrained", "foreach", "fused", "capturable", "differentiable"}
# Slots whose parts are no function of one tensor say themselves what shows.
_OWN = {
    "assigner": assigner_promises.evidence,
    "augmentation": augmentation_promises.evidence,
    "initialisation": initialisation_promises.evidence,
    "optimizer": optimizer_promises.evidence,
}


def every_argument_counts(part: Specimen) -> None:
    """Some other value of each argument changes output, gradient or state; `alternatives` may declare the values."""
    for name, parameter in part.entry.arguments.items():
        if name not in EXEMPT and name not in part.entry.host:  # what the host supplies is tried by other promises
            _counts(part, name, parameter)


def _counts(part: Specimen, name: str, parameter: inspect.Parameter) -> None:
    base = part.args.get(name, parameter.default)
    declared = part.entry.traits.get("alternatives", {}).get(name, ())
    values = [value for value in (*declared, *others(base)) if value != base]
    if not values:
        raise ContractError(
            f"no other value than {base!r} is known for its argument '{name}'; register with "
            f"alternatives={{'{name}': [other, values]}}"
        )
    reference = _evidence(part, {name: base})
    tried = []
    for value in values:
        try:
            evidence = _evidence(part, {name: value})
        except Exception:  # a value that the part refuses says nothing about the argument
            continue
        if not _equal(reference, evidence):
            return
        tried.append(value)
    if tried:
        raise ContractError(
            f"its argument '{name}' changes nothing: {base!r} and {', '.join(map(repr, tried))} give the same; "
            f"use or drop it"
        )
    raise ContractError(
        f"its argument '{name}' takes none of {values}; register with alternatives={{'{name}': [other, values]}}"
    )


def others(value: Any) -> list[Any]:
    """Other values that an argument with such a default may take."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [*dict.fromkeys((value + 1, value + 2, 2 * value, value // 2, value // 4, value // 8, 1))]
    if isinstance(value, float):
        return [2 * value, value / 2, value + 0.25, value - 0.25]
    return [1, 2, 3, 0.25, True] if value is None else []


def _evidence(part: Specimen, args: dict[str, Any]) -> list[Tensor]:
    """All that a part shows: its outputs in training and evaluation, the gradient, and the state after training."""
    if part.entry.slot in _OWN:
        return _OWN[part.entry.slot](Specimen(part.entry, part.args | args))
    module = part.build(**args)
    if part.entry.slot == "sampler":
        return [torch.from_numpy(sampler_promises.epoch(module))]
    inputs, targets = _inputs(part.entry.slot)
    inputs.requires_grad_()
    shown: list[Tensor] = []
    for training in (True, False):
        if isinstance(module, nn.Module):
            module.train(training)
        with forked("evidence"):
            output = _joined(module(inputs.clone(), *targets))
        (gradient,) = torch.autograd.grad((output * draw(*output.shape)).sum(), inputs, allow_unused=True)
        shown += [output.detach(), torch.zeros(()) if gradient is None else gradient]
    return shown + (list(module.state_dict().values()) if isinstance(module, nn.Module) else [])


def _inputs(slot: str) -> tuple[Tensor, tuple[Tensor, ...]]:
    if slot == "box_loss":  # some pairs overlap, some do not
        return boxes(32), (boxes(32, salt=1),)
    if slot == "class_loss":
        return 3 * draw(16, 5), (draw(16, 5, salt=1).clamp(0, 1),)  # half of them are 0, some are 1
    if slot == "distribution_loss":
        return draw(16, 4, 9), (distances(16, 9),)
    if slot == "backbone":
        return images(2, 64, 64), ()
    return draw(4, CHANNELS, 7, 5), ()


def _joined(output: Any) -> Tensor:
    """A part's output as one tensor: a backbone gives several maps."""
    return output if isinstance(output, Tensor) else torch.cat([each.flatten() for each in output])


def _equal(left: list[Tensor], right: list[Tensor]) -> bool:
    return len(left) == len(right) and all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
