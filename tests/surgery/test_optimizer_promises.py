"""Each promise of the optimizer slot is broken on purpose once."""

from __future__ import annotations

import re

import pytest
import torch
from breaking import assert_breaks_only
from torch.optim import Optimizer

from ablab.errors import ContractError
from ablab.registry import Entry
from ablab.surgery import contract


class Descent(Optimizer):
    """A sound one, with momentum, whose pieces the broken ones replace."""

    sign = -1.0

    def __init__(self, params, lr, weight_decay, momentum=0.5):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    def rate(self, group):
        return group["lr"]

    def decay(self, group):
        return group["weight_decay"]

    def gradient(self, parameter):
        return parameter.grad

    def memory(self, parameter):
        return self.state[parameter].setdefault("v", torch.zeros_like(parameter))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = self.gradient(parameter)
                if gradient is not None:
                    v = self.memory(parameter)
                    v.mul_(group["momentum"]).add_(gradient + self.decay(group) * parameter)
                    parameter.add_(v, alpha=self.sign * self.rate(group))
        return loss


class Ascent(Descent):
    """Decays as it should, but climbs."""

    sign = 1.0

    def decay(self, group):
        return -group["weight_decay"]


class FirstRate(Descent):
    """Keeps the rate that it was built with."""

    def __init__(self, params, lr, weight_decay, momentum=0.5):
        super().__init__(params, lr, weight_decay, momentum)
        self.first = lr

    def rate(self, group):
        return self.first


class NoDecay(Descent):
    def decay(self, group):
        return 0.0


class OneDecay(Descent):
    """One decay for all groups."""

    def decay(self, group):
        return self.defaults["weight_decay"]


class Creeps(Descent):
    """Moves what has no gradient: decays it."""

    def gradient(self, parameter):
        return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


class LateNaN(Descent):
    """Divides by 0 what came late."""

    def gradient(self, parameter):
        if parameter.grad is None:
            self.state[parameter]["late"] = 0.0
            return None
        return parameter.grad / self.state[parameter].get("late", 1.0)


class Private(Descent):
    """Keeps its momentum where no state_dict finds it."""

    def __init__(self, params, lr, weight_decay, momentum=0.5):
        super().__init__(params, lr, weight_decay, momentum)
        self.own = {}

    def memory(self, parameter):
        return self.own.setdefault(parameter, torch.zeros_like(parameter))


class Deaf(Descent):
    def __init__(self, params, lr, weight_decay, momentum=0.5):
        super().__init__(params, lr, weight_decay, 0.5)


class Numb(Descent):
    """Its every number is there but one."""

    def __init__(self, params, lr, weight_decay, momentum=0.5, eps=1e-8):
        super().__init__(params, lr, weight_decay, momentum)


def test_a_sound_one_passes() -> None:
    contract.check(Entry("optimizer", "sound", Descent))


@pytest.mark.parametrize(
    ("kind", "promise", "words"),
    [
        (Ascent, "lowers the loss", "60 steps at lr 0.05 brought the loss from"),
        (FirstRate, "rate counts", "'lr' that changes between steps is not followed"),
        (NoDecay, "weight decay acts on its group", "weight_decay does not shrink the weights"),
        (OneDecay, "weight decay acts on its group", "whose weight_decay is 0 moves without a gradient"),
        (Creeps, "what has no gradient stays", "a parameter without a gradient moved"),
        (LateNaN, "what has no gradient stays", "does not move, or to NaN"),
        (Private, "state goes to another", "keep all it needs in self.state"),
        (Deaf, "every argument counts", "'momentum' changes nothing"),
        (Numb, "every argument counts", "'eps' changes nothing"),
    ],
)
def test_the_broken_promise_is_named_and_no_other(kind: type[Optimizer], promise: str, words: str) -> None:
    assert_breaks_only(Entry("optimizer", "broken", kind), promise, words)


def test_what_is_no_optimizer_is_named() -> None:
    with pytest.raises(ContractError, match=re.escape("it gave a list, expected a torch.optim.Optimizer")):
        contract.check(Entry("optimizer", "broken", lambda params, lr: params))


@pytest.mark.parametrize("name", ["Adadelta", "Adamax", "RAdam"])
def test_torchs_own_pass_by_import_string_where_each_argument_has_another_value(name: str) -> None:
    kind = getattr(torch.optim, name)
    contract.check(Entry("optimizer", name, kind, traits={"alternatives": {"betas": [(0.5, 0.9)]}}))
