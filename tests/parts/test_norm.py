"""Norms against torch's formulas and against each other, and what they take over from a batch norm."""

import pytest
import torch
from timm.layers import BatchNormAct2d, LayerNorm2d
from torch import nn
from torch.nn import functional
from torchvision.ops import FrozenBatchNorm2d

from ablab import registry, surgery, testing
from ablab.errors import ConfigError, ContractError, SurgeryError
from ablab.registry import Entry
from ablab.surgery import contract

CHECKS = [check for name in registry.names("norm") for check in testing.checks("norm", name)]
KINDS = {
    "bn": nn.BatchNorm2d,
    "frozen-bn": FrozenBatchNorm2d,
    "gn": nn.GroupNorm,
    "in": nn.InstanceNorm2d,
    "ln": LayerNorm2d,
}
X = torch.linspace(-3, 5, 4 * 8 * 5 * 3).cos().reshape(4, 8, 5, 3) * torch.arange(1.0, 9)[:, None, None]


def make(name, **args):
    entry = registry.get(name, "norm")
    (channels,) = entry.host
    return entry.build(**{channels: 8}, **args)


def trained(eps=1e-5, **args):
    """A batch norm that has seen data and learnt."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8, eps=eps, **args)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    for _ in range(3):
        norm(X + torch.randn(()))
    return norm.eval()


def carry(name, old, **args):
    new = make(name, **args).eval()
    registry.get(name, "norm").traits["carry"](old, new)
    return new


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_norm_keeps_the_contract(check):
    check()


def test_the_slot():
    assert registry.names("norm") == sorted(KINDS)
    assert {name: registry.get(name, "norm").kind for name in KINDS} == KINDS


@pytest.mark.parametrize("name", KINDS)
def test_a_norm_is_found_by_its_name_in_a_network_that_nobody_here_wrote(name):
    model = nn.Sequential(nn.Conv2d(3, 8, 1), make(name), nn.ReLU())
    _, report = surgery.apply(model, [surgery.replace(of=name, part="bn")], torch.rand(2, 3, 6, 6))
    assert [site.name for site in report.sites] == ["1"]


def test_batch_norm_by_hand():
    mean, var = X.mean((0, 2, 3), keepdim=True), X.var((0, 2, 3), keepdim=True, unbiased=False)
    torch.testing.assert_close(make("bn")(X), (X - mean) / (var + 1e-5).sqrt())


def test_layer_norm_is_torchs_at_each_place():
    expected = nn.LayerNorm(8, eps=1e-6)(X.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(make("ln")(X), expected)


def test_group_norm_in_its_limits():
    x = X.double()
    torch.testing.assert_close(make("gn", groups=1).double()(x), functional.layer_norm(x, x.shape[1:]))
    torch.testing.assert_close(make("gn", groups=8).double()(x), make("in").double()(x))


@pytest.mark.parametrize(
    ("channels", "groups"), [(512, 32), (64, 32), (32, 16), (16, 8), (24, 12), (48, 24), (80, 20), (7, 1), (1, 1)]
)
def test_groups_by_default(channels, groups):
    """The most that divide the channels, 32 at most, with two channels each: else it were instance norm."""
    assert registry.make("gn", channels=channels).num_groups == groups


@pytest.mark.parametrize("groups", [0, 3, 16])
def test_groups_that_do_not_divide_are_refused(groups):
    with pytest.raises(ConfigError, match=f"gn: {groups} groups do not divide 8 channels"):
        make("gn", groups=groups)


def test_a_group_of_two_on_one_place_becomes_its_signs():
    output = make("gn", groups=4)(X[..., :1, :1])
    torch.testing.assert_close(output.abs(), torch.ones_like(output), atol=0.01, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_instance_norm_on_one_place_is_refused_with_the_site(training):
    """Torch raises there, in both modes; a network with such a site is told where before anything trains."""
    with pytest.raises(ValueError, match="Expected more than 1 spatial element"):
        make("in").train(training)(X[..., :1, :1])
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(8))
    with pytest.raises(SurgeryError, match=r"2: in fails on its input .*\(2, 8, 1, 1\)"):
        surgery.apply(model, [surgery.replace(of="bn", part="in")], torch.rand(2, 3, 6, 6))


@pytest.mark.parametrize("name", ["bn", "frozen-bn"])
@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_batch_norm_goes_over_exactly(name, eps):
    """Another eps too: YOLOv5's is 1e-3, these begin with 1e-5."""
    old = trained(eps)
    torch.testing.assert_close(carry(name, old)(X), old(X))


def test_a_frozen_batch_norm_thaws_exactly():
    old = carry("frozen-bn", trained(1e-3))
    new = carry("bn", old)
    torch.testing.assert_close(new(X), old(X))
    assert [name for name, _ in new.named_parameters()] == ["weight", "bias"]


def test_a_frozen_batch_norm_stands_still_and_holds_nothing_to_learn():
    new = carry("frozen-bn", trained()).train()
    before = {name: value.clone() for name, value in new.state_dict().items()}
    new(X)
    assert not list(new.parameters())
    assert all(torch.equal(value, before[name]) for name, value in new.state_dict().items())


@pytest.mark.parametrize("name", ["gn", "in", "ln"])
def test_the_others_take_weight_and_bias(name):
    old = trained()
    new = carry(name, old)
    assert torch.equal(new.weight, old.weight)
    assert torch.equal(new.bias, old.bias)
    new.weight.data.zero_()
    assert old.weight.any()  # a copy


@pytest.mark.parametrize("name", KINDS)
def test_without_a_weight_there_is_none_to_take(name):
    new = carry(name, trained(affine=False))
    assert (new.weight == 1).all()
    assert not new.bias.any()


def test_an_instance_norm_without_weight_takes_none():
    with pytest.raises(ConfigError, match="InstanceNorm2d without weight takes none over; give it affine: true"):
        carry("in", trained(), affine=False)


@pytest.mark.parametrize("name", KINDS)
def test_only_a_plain_batch_norm_is_taken_over(name):
    """timm's BatchNormAct2d is a batch norm by class, and an activation besides, which would be lost."""
    for old in (BatchNormAct2d(8), nn.Conv2d(8, 8, 1)):
        with pytest.raises(ConfigError, match=f"not from a {type(old).__name__}; replace it"):
            carry(name, old)


@pytest.mark.parametrize("name", ["bn", "frozen-bn"])
def test_statistics_must_be_there(name):
    with pytest.raises(ConfigError, match="without running statistics has none to carry"):
        carry(name, trained(track_running_stats=False))


class Bare(nn.Module):
    """No eps: NaN on a flat map."""

    def forward(self, x):
        return (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)


class Eager(nn.Module):
    """Takes one place, which it says it needs more of."""

    def forward(self, x):
        return x / (1 + x.square().mean((2, 3), keepdim=True))


@pytest.mark.parametrize(
    ("build", "traits", "words"),
    [
        (Bare, {}, "finite on a flat map? No: its output is NaN or inf on a map that is 3 everywhere; add eps"),
        (Eager, {"needs_area": True}, "shape kept or refused? No: it declares needs_area, but takes a 1x1 map"),
        (lambda channels: nn.InstanceNorm2d(channels), {}, "shape kept or refused? It failed with ValueError"),
        (lambda channels: nn.BatchNorm2d(channels, track_running_stats=False), {}, "one sample does not depend on its"),
    ],
)
def test_a_broken_promise_is_named(build, traits, words):
    with pytest.raises(ContractError) as caught:
        contract.check(Entry("norm", "broken", build, traits=traits))
    (line,) = str(caught.value).splitlines()
    assert words in line


def test_a_network_with_an_inserted_in_can_be_exported():
    """`in` is a word of Python's: as a module's name it would stand in generated code, which would not compile."""
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU())
    edited, report = surgery.apply(model, [surgery.insert(after="0", part="in")], X[:, :3])
    assert [site.name for site in report.sites] == ["0.in_"]
    program = torch.export.export(edited.eval(), (X[:, :3],))
    torch.testing.assert_close(program.module()(X[:, :3]), edited(X[:, :3]))
