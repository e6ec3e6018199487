"""A part goes around a module, which keeps its weights, its mode and its other arguments."""

import copy

import pytest
import torch
import torchvision
from networks import Host, Loop, Plain, drawn
from torch import nn

from ablab import surgery
from ablab.errors import SurgeryError, UnknownName
from ablab.parts.wrapper import LayerScale, Residual

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class Gate(nn.Module):
    """A wrapper without registration."""

    def __init__(self, inner, floor: float = 0.5):
        super().__init__()
        self.inner, self.floor = inner, floor

    def forward(self, x):
        return self.inner(x).clamp(min=self.floor)


def test_what_is_wrapped_keeps_its_weights_and_its_mode():
    model = drawn(Plain).train()
    model.norm.eval()
    edited, report = surgery.apply(model, [surgery.wrap(of="norm", part="layer-scale", init=0.5)], X)
    assert type(edited.norm) is LayerScale
    assert (edited.norm.training, edited.norm.inner.training, edited.act.training) == (False, False, True)
    assert torch.equal(edited.norm.inner.weight, model.norm.weight)
    (site,) = report.sites
    assert (site.name, site.op, site.old, site.new, site.parameters) == (
        "norm",
        "wrap",
        "BatchNorm2d",
        "layer-scale",
        8,
    )
    by_hand = model.eval().head(model.act(0.5 * model.norm(model.conv(X))))
    assert torch.allclose(edited.eval()(X), by_hand, atol=1e-6)


def test_a_frozen_norm_inside_stays_frozen():
    model = drawn(torchvision.models.resnet18, num_classes=3).train()
    model.layer1[1].bn1.eval()
    edited, _ = surgery.apply(model, [surgery.wrap(of="layer1.1", part="stochastic-skip")], torch.rand(2, 3, 32, 32))
    assert edited.layer1[1].training
    assert not edited.layer1[1].inner.bn1.training


def test_a_wrapper_in_another_precision_leaves_the_inner_one_as_it_is():
    """A norm in single precision inside a half-precision network, as many have it."""
    model = drawn(lambda: nn.Sequential(nn.Conv2d(3, 4, 1), Single(4), nn.Conv2d(4, 2, 1)))
    model[0].bfloat16(), model[2].bfloat16()
    edited, _ = surgery.apply(model, [surgery.wrap(of="1", part="layer-scale", init=1.0)], X.bfloat16())
    assert edited[1].factor.dtype == torch.bfloat16
    assert edited[1].inner.norm.weight.dtype == torch.float32
    assert edited[1].inner.norm.running_mean.dtype == torch.float32


class Single(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return self.norm(x.float()).to(x.dtype)


def test_wrapping_twice_and_operating_inside():
    edits = [
        surgery.wrap(of="act", part="residual"),
        surgery.wrap(of="residual", part="layer-scale", init=1.0),
        surgery.replace(of="silu", part="relu"),
    ]
    model = drawn(Plain).eval()
    edited, report = surgery.apply(model, edits, X)
    assert [site.name for site in report.sites] == ["act", "act", "act.inner.inner"]
    y = model.norm(model.conv(X))
    assert torch.equal(edited(X), model.head(y + y.relu()))


def test_each_call_of_a_shared_module_gets_its_wrapper():
    model = drawn(Loop, nn.ReLU()).eval()
    edited, report = surgery.apply(model, [surgery.wrap(of="relu", part="residual", fuse="concat")], X)
    assert [site.name for site in report.sites] == ["act.0", "act.1", "act.2"]
    assert [type(part) for part in edited.act] == [Residual] * 3
    assert [part.merge.in_channels for part in edited.act] == [8, 12, 16]
    assert len({id(part.inner) for part in edited.act}) == 3


def test_further_arguments_go_on_to_the_module_inside():
    edited, _ = surgery.apply(Host(), [surgery.wrap(of="scaled", part="residual")], X)
    assert torch.equal(edited(X), X + (X * 2 + 1))


def test_a_wrapper_by_import_string():
    edited, _ = surgery.apply(drawn(Plain), [surgery.wrap(of="act", part=f"{__name__}:Gate", floor=1.0)], X)
    assert edited.act.floor == 1.0
    assert type(edited.act.inner) is nn.SiLU


def test_an_operated_network_copies_and_loads():
    model = drawn(Plain)
    edits = [surgery.wrap(of="conv", part="weight-norm"), surgery.wrap(of="norm", part="layer-scale")]
    edited, _ = surgery.apply(model, edits, X)
    twin = copy.deepcopy(edited)
    twin.load_state_dict(edited.state_dict())
    assert torch.equal(twin.eval()(X), edited.eval()(X))


@pytest.mark.parametrize(
    ("edit", "error", "words"),
    [
        (surgery.wrap(of="act", part="residul"), UnknownName, "unknown wrapper 'residul'; did you mean 'residual'"),
        (
            surgery.wrap(of="act", part="attention/se"),
            SurgeryError,
            "se does not wrap.*wrappers: layer-scale, residual",
        ),
        (surgery.wrap(of="act", part="torch.nn:ReLU"), SurgeryError, "takes no module `inner`"),
        (surgery.replace(of="act", part="residual"), SurgeryError, "stands around a module: write 'op: wrap, of: act'"),
        (surgery.wrap(of="conv", part="residual"), SurgeryError, r"conv: residual fails on its input \[\(2, 3, 8, 8\)"),
        (surgery.wrap(of="act", part="weight-norm"), Exception, "weight-norm wants a module with a weight.*got SiLU"),
    ],
)
def test_what_does_not_wrap(edit, error, words):
    with pytest.raises(error, match=words):
        surgery.apply(drawn(Plain), [edit], X)
