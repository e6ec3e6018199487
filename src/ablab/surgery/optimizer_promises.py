"""What optimizers promise: groups of parameters, lr, weight_decay -> torch.optim.Optimizer."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ablab.errors import ContractError
from ablab.surgery.specimen import Specimen, draw

SHAPES = ((8, 6), (6,))  # of the parameters; the loss knows them as one
RATE, STEPS = 0.05, 60


def weights() -> list[nn.Parameter]:
    """Two tensors of numbers between 1 and about 4 in size."""
    return [nn.Parameter(value + value.sign()) for value in (draw(*shape, salt=7) for shape in SHAPES)]


def build(part: Specimen, params: list[nn.Parameter], lr: float = RATE, decay: float = 0.0) -> Optimizer:
    """A group for each parameter, where the part has groups; only the first one decays."""
    own = part.entry.arguments
    groups: list[dict[str, Any]] = [{"params": [each]} for each in params]
    if "weight_decay" in own:
        groups = [{**group, "weight_decay": decay * (number == 0)} for number, group in enumerate(groups)]
    if part.entry.traits.get("one_group"):
        groups = [{"params": params}]
    given = {"params": groups, "lr": lr, "weight_decay": decay}
    made = part.build(**{name: value for name, value in given.items() if name in own})
    if not isinstance(made, Optimizer):
        raise ContractError(f"it gave a {type(made).__name__}, expected a torch.optim.Optimizer; subclass that")
    return made


def loss(params: list[nn.Parameter], noise: float = 0.0, salt: int = 0, scale: float = 1.0) -> Tensor:
    """A quadratic bowl with curvatures from 0.3 to 3 times `scale` and its least at 0; `noise` shifts that."""
    total = torch.zeros(())
    for parameter in params:
        curvature = torch.linspace(0.3, 3, parameter.numel()).view_as(parameter)
        shift = noise * draw(*parameter.shape, salt=salt)
        total = total + scale * (curvature * (parameter - shift).square()).mean()
    return total


def step(made: Optimizer, params: list[nn.Parameter], noise: float = 0.0, salt: int = 0, scale: float = 1.0) -> float:
    """One step; the loss before it."""

    def closure() -> Tensor:
        made.zero_grad()
        value = loss(params, noise, salt, scale)
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()

    return float(made.step(closure))  # type: ignore[arg-type]


def evidence(part: Specimen) -> list[Tensor]:
    """The weights after each of some steps, whose gradients change their signs and shrink."""
    params = weights()
    made = build(part, params, decay=0.1)
    seen: list[Tensor] = []
    for number in range(12):
        step(made, params, 4.0, number, 0.5**number)
        seen += [parameter.detach().clone() for parameter in params]
    return seen


def lowers_the_loss(part: Specimen) -> None:
    """On a bowl, in 60 steps at a rate of 0.05, by default arguments."""
    params = weights()
    made = build(part, params)
    before, *_ = [step(made, params) for _ in range(STEPS)]
    after = loss(params).item()
    if not after < before:
        raise ContractError(
            f"{STEPS} steps at lr {RATE} brought the loss from {before:.3g} to {after:.3g}; is the sign right?"
        )


def rate_counts(part: Specimen) -> None:
    """Another rate, set between steps as the loop does, moves elsewhere; of a group, 0 moves nothing."""
    ends = []
    for rate in (RATE, RATE / 4, *(() if part.entry.traits.get("one_group") else (0.0,))):
        params = weights()
        made = build(part, params)
        for number in range(3):
            for group in made.param_groups:
                group["lr"] = rate
            step(made, params, 0.5, number)
        ends.append(torch.cat([parameter.detach().flatten() for parameter in params]))
    start = torch.cat([parameter.detach().flatten() for parameter in weights()])
    if torch.equal(ends[0], ends[1]) or not all(torch.equal(still, start) for still in ends[2:]):
        raise ContractError("a group's 'lr' that changes between steps is not followed; read it in each step")


def weight_decay_acts_on_its_group(part: Specimen) -> None:
    """Without a gradient, what decays goes towards 0, and what does not stays; a part without decay is let off."""
    if "weight_decay" not in part.entry.arguments:
        return
    params = weights()
    made = build(part, params, lr=0.01, decay=0.5)
    before = [parameter.detach().clone() for parameter in params]
    for parameter in params:
        parameter.grad = torch.zeros_like(parameter)
    made.step()
    if not (params[0].abs() < before[0].abs()).all():
        raise ContractError("without a gradient weight_decay does not shrink the weights; use it, or do not take it")
    if not torch.equal(params[1], before[1]):
        raise ContractError("a group whose weight_decay is 0 moves without a gradient; read it from the group")


def what_has_no_gradient_stays(part: Specimen) -> None:
    """A frozen parameter keeps its bits, and moves once it is let go."""
    params = weights()
    made = build(part, params, decay=0.1)
    before = params[0].detach().clone()
    params[0].requires_grad_(False)
    for number in range(3):
        step(made, params, 0.5, number)
    if not torch.equal(params[0], before):
        raise ContractError("a parameter without a gradient moved; skip where grad is None, decay included")
    params[0].requires_grad_(True)
    for number in range(3, 6):
        step(made, params, 0.5, number)
    if torch.equal(params[0], before) or not torch.isfinite(params[0]).all():
        raise ContractError(
            "a parameter that gets its first gradient late does not move, or to NaN; begin its state then"
        )


def state_goes_to_another(part: Specimen) -> None:
    """One that is given the state_dict of another goes on to the same bits."""
    params = weights()
    made = build(part, params, decay=0.1)
    for number in range(4):
        step(made, params, 0.5, number)
    others = [nn.Parameter(parameter.detach().clone()) for parameter in params]
    other = build(part, others, decay=0.1)
    other.load_state_dict(copy.deepcopy(made.state_dict()))  # or both would write into one memory
    for number in range(4, 7):
        step(made, params, 0.5, number)
        step(other, others, 0.5, number)
    if not all(torch.equal(a, b) for a, b in zip(params, others, strict=True)):
        raise ContractError("an optimizer that is given its state_dict goes elsewhere; keep all it needs in self.state")
