"""Each promise is broken on purpose once, and the check says so."""

import pytest
import torch
from breaking import assert_breaks_only
from torch import nn

from ablab.errors import ConfigError, ContractError
from ablab.registry import Entry
from ablab.surgery import contract


class Sound(nn.Module):
    def __init__(self, slope: float = 0.1):
        super().__init__()
        self.slope = slope

    def forward(self, x):
        return torch.maximum(x, self.slope * x)


class Crops(nn.Module):
    """Even sizes only."""

    def forward(self, x):
        return x[..., : max(x.shape[-1] // 2 * 2, 1)]


class Doubles(nn.Module):
    def forward(self, x):
        return x * torch.ones(1, dtype=torch.float64).expand_as(x)


class Explodes(nn.Module):
    def forward(self, x):
        return x * x.exp().tanh()


class HalfExplodes(nn.Module):
    """Finite forward, NaN backward: the gradient of the branch not taken is 0 * inf."""

    def forward(self, x):
        return torch.where(x > 20, x, x.exp())


class Cut(nn.Module):
    def forward(self, x):
        return x * x.sigmoid().detach()


class Idle(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.used, self.unused = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return self.used(x)


class BatchNormAlways(nn.Module):
    """Normalises with its batch, in evaluation too (trap 22)."""

    def forward(self, x):
        return nn.functional.batch_norm(x, None, None, training=True)


class Deaf(nn.Module):
    """Forgets its kernel size once it knows the channels (trap 6)."""

    def __init__(self, channels: int, kernel_size: int = 3):
        super().__init__()
        kernel_size = 5 if channels else kernel_size
        self.conv = nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2)

    def forward(self, x):
        return self.conv(x)


class Worded(nn.Module):
    def __init__(self, mode: str):
        super().__init__()
        self.mode = mode

    def forward(self, x):
        return x.relu() if self.mode == "relu" else x.tanh()


class Both(BatchNormAlways):
    def __init__(self, unused: int = 3):
        super().__init__()


class Crash(nn.Module):
    def forward(self, x):
        return x * (1 / 0)


def mean_loss(boxes, targets):
    return (boxes - targets).abs().mean()


def offset_loss(boxes, targets):
    return (boxes - targets).abs().sum(dim=1) + 1


def touch_loss(boxes, targets):
    """Flat where boxes are far apart."""
    return (boxes - targets).abs().sum(dim=1).clamp(max=100)


def branching_loss(boxes, targets):
    return (boxes - targets).abs().sum(dim=1) if len(boxes) else torch.zeros(0)


def sum_loss(logits, targets):
    return nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")


def negated_box_loss(boxes, targets):
    return -(boxes - targets).abs().sum(dim=1)


def negated_loss(logits, targets):
    return nn.functional.binary_cross_entropy_with_logits(-logits, targets, reduction="none")


def naive_loss(logits, targets):
    p = logits.sigmoid()
    return -(targets * p.log() + (1 - targets) * (1 - p).log())


def part(slot, build):
    return Entry(slot, "broken", build)


BROKEN = [
    (part("activation", Crops), "shape kept", "became"),
    (part("activation", Doubles), "dtype kept", "became torch.float64"),
    (part("activation", Explodes), "finite far out", "gradient of the input is NaN or inf"),
    (part("activation", HalfExplodes), "finite far out", "gradient of the input is NaN or inf"),
    (part("activation", Cut), "gradient is right", "wrong, or cut"),
    (part("attention", Idle), "gradient reaches every parameter", "reaches unused.weight, unused.bias"),
    (part("attention", BatchNormAlways), "one sample does not depend on its batch", "use running statistics"),
    (part("attention", Deaf), "every argument counts", "'kernel_size' changes nothing"),
    (part("box_loss", lambda: offset_loss), "zero at identity", "cost up to 1"),
    (part("box_loss", lambda: negated_box_loss), "nearer box costs less", "is the sign right?"),
    (part("box_loss", lambda: touch_loss), "gradient when disjoint", "register with flat_when_disjoint=True"),
    (part("box_loss", lambda: branching_loss), "no box stays in the graph", "expected (0,) with a gradient"),
    (part("class_loss", lambda: sum_loss), "one loss a logit", "gave (), expected (6,)"),
    (part("class_loss", lambda: negated_loss), "wrong costs more than right", "is the sign right?"),
    (part("class_loss", lambda: naive_loss), "finite far out", "use logsigmoid"),
]


@pytest.mark.parametrize(("entry", "promise", "words"), BROKEN)
def test_the_broken_promise_is_named_and_no_other(entry, promise, words):
    assert_breaks_only(entry, promise, words)


def test_every_broken_promise_is_listed():
    with pytest.raises(ContractError) as caught:
        contract.check(part("activation", Both))
    assert [line.split("?")[0] for line in str(caught.value).splitlines()] == [
        "activation/broken: one sample does not depend on its batch",
        "activation/broken: every argument counts",
    ]


def test_a_loss_that_reduces_breaks_two():
    with pytest.raises(
        ContractError, match=r"(?s)one loss a box.*gave \(\), expected \(7,\).*no box stays in the graph"
    ):
        contract.check(part("box_loss", lambda: mean_loss))


def test_an_argument_without_a_default_cannot_be_checked():
    with pytest.raises(ContractError, match=r"'mode' has no default.*alternatives=\{'mode': \[some, values\]\}"):
        contract.check(part("activation", Worded))


def test_a_part_that_crashes_is_a_broken_promise():
    with pytest.raises(ContractError, match=r"shape kept\? It failed with ZeroDivisionError"):
        contract.check(part("activation", Crash))


def test_a_sound_part_passes():
    contract.check(Entry("activation", "sound", Sound))


def test_declared_exceptions_and_alternatives_count():
    contract.check(Entry("box_loss", "touch", lambda: touch_loss, traits={"flat_when_disjoint": True}))
    contract.check(Entry("activation", "worded", Worded, traits={"alternatives": {"mode": ["relu", "tanh"]}}))


def test_alternatives_that_make_no_difference_do_not_help():
    entry = Entry("activation", "worded", Worded, traits={"alternatives": {"mode": ["tanh", "tanh2"]}})
    with pytest.raises(ContractError, match="'mode' changes nothing"):
        contract.check(entry)


def test_a_slot_without_a_contract_says_which_have_one():
    with pytest.raises(ConfigError, match="no contract for the slot 'box_los'; did you mean 'box_loss'"):
        contract.checks(Entry("box_los", "x", Sound))


def test_a_broken_contract_is_a_failed_assertion():
    assert issubclass(ContractError, AssertionError)


def test_a_check_does_not_move_the_generators():
    state = torch.get_rng_state()
    contract.check(Entry("activation", "sound", Sound))
    assert torch.equal(torch.get_rng_state(), state)
