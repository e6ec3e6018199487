"""Each promise is broken on purpose once, and the check says so."""

import pytest
import torch
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


def mean_loss(boxes, targets):
    return (boxes - targets).abs().mean()


def offset_loss(boxes, targets):
    return (boxes - targets).abs().sum(dim=1) + 1


def touch_loss(boxes, targets):
    """Flat where boxes are far apart."""
    return (boxes - targets).abs().sum(dim=1).clamp(max=100)


def branching_loss(boxes, targets):
    return (boxes - targets).abs().sum(dim=1) if len(boxes) else torch.zeros(0)


def naive_loss(logits, targets):
    p = logits.sigmoid()
    return -(targets * p.log() + (1 - targets) * (1 - p).log())


BROKEN = [
    ("activation", Crops, "shape kept.*became"),
    ("activation", Doubles, "dtype kept.*became torch.float64"),
    ("activation", Explodes, "finite far out.*gradient of the input is NaN or inf"),
    ("activation", HalfExplodes, "finite far out.*gradient of the input"),
    ("activation", Cut, "gradient is right.*wrong, or cut"),
    ("attention", Idle, r"every parameter\? No: no gradient reaches unused.weight, unused.bias"),
    ("attention", BatchNormAlways, "depend on its batch.*with its batch"),
    ("attention", Deaf, "every argument counts.*'kernel_size' changes nothing"),
    ("activation", Worded, r"'mode' has no default.*alternatives=\{'mode'"),
    ("box_loss", lambda: mean_loss, r"one loss a box.*gave \(\), expected \(7,\)"),
    ("box_loss", lambda: offset_loss, "zero at identity.*cost up to 1"),
    ("box_loss", lambda: touch_loss, "disjoint boxes get no gradient.*flat_when_disjoint"),
    ("box_loss", lambda: branching_loss, r"no box stays in the graph.*expected \(0,\) with a gradient"),
    ("class_loss", lambda: naive_loss, "finite far out.*logsigmoid"),
]


@pytest.mark.parametrize(("slot", "build", "words"), BROKEN)
def test_a_broken_promise_is_found(slot, build, words):
    with pytest.raises(ContractError, match=f"(?s){slot}/broken: .*{words}"):
        contract.check(Entry(slot, "broken", build))


@pytest.mark.parametrize(("slot", "build", "words"), BROKEN)
def test_only_the_broken_promise_is_named(slot, build, words):
    failed = []
    for check in contract.checks(Entry(slot, "broken", build)):
        try:
            check()
        except ContractError as error:
            failed.append(str(error))
    expected = {"Crops": 6, "Worded": 7, "Explodes": 1, "<lambda>": 1}.get(build.__name__, 1)
    assert 1 <= len(failed) <= max(expected, 2)


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
