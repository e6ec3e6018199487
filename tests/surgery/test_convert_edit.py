"""A part takes the place of a module and its weights; the report says how far the output moved."""

import copy

import pytest
import torch
import torchvision
from networks import Plain, drawn
from torch import nn

from ablab import registry, surgery
from ablab.errors import ConfigError, SurgeryError

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class Double(nn.Module):
    """Of a norm's weight, twice: its output is 100% off where the bias is 0."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return self.norm(x)


def twice(old, new):
    if not isinstance(old, nn.BatchNorm2d):
        raise ConfigError(f"weights come from nn.BatchNorm2d only, not from {type(old).__name__}")
    new.norm.load_state_dict(old.state_dict())
    new.norm.weight.mul_(2)


class Fill:
    """Fills with a constant and a draw."""

    def __init__(self, value: float = 1.0):
        self.value = value

    def __call__(self, weight):
        weight.uniform_(self.value, self.value + 1)


@pytest.fixture(autouse=True)
def parts():
    registry.register("norm", "double", carry=twice)(Double)
    registry.register("norm", "deaf")(Double)
    registry.register("initialisation", "fill")(Fill)
    yield
    for part in (("norm", "double"), ("norm", "deaf"), ("initialisation", "fill")):
        del registry._parts[part]


def plain():
    model = drawn(Plain).eval()
    with torch.no_grad():
        model.norm.weight.uniform_(0.5, 2, generator=torch.Generator().manual_seed(2))
    return model


def test_the_weights_go_along_and_the_drift_is_measured():
    model = plain()
    edited, report = surgery.apply(model, [surgery.convert(of="norm", part="double")], X)
    (site,) = report.sites
    assert torch.equal(edited.norm.norm.weight, 2 * model.norm.weight)
    assert site.op == "convert"
    assert site.drift == pytest.approx(1.0)


def test_a_conversion_of_a_trained_network_by_hand():
    """Drift is ||new - old|| / ||old|| of the module's own outputs on the example."""
    model = drawn(Plain).eval()
    nn.init.ones_(model.norm.bias)
    _, report = surgery.apply(model, [surgery.convert(of="norm", part="double")], X)
    with torch.no_grad():
        z = model.conv(X) / (1 + model.norm.eps) ** 0.5
        by_hand = z.norm() / (z + 1).norm()
    assert report.sites[0].drift == pytest.approx(float(by_hand), rel=1e-4)


def test_what_is_inserted_or_replaced_has_no_drift():
    edits = [surgery.replace(of="norm", part="double"), surgery.insert(after="act", part="se")]
    _, report = surgery.apply(plain(), edits, X)
    assert [site.drift for site in report.sites] == [None, None]


def test_every_convolution_becomes_an_equal_repvgg():
    """The function stays in evaluation mode, over the whole network."""
    model = drawn(torchvision.models.resnet18, num_classes=3).eval()
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    edit = surgery.convert(of="Conv2d", part="repvgg", within="layer*", but=["layer*.*.downsample"])
    edited, report = surgery.apply(model, [edit], image)
    assert len(report.sites) == 16
    assert max(site.drift for site in report.sites) < 1e-5
    assert torch.allclose(edited(image), model(image), rtol=1e-3, atol=1e-4)


def test_a_part_that_takes_nothing_over_says_which_do():
    with pytest.raises(SurgeryError, match=r"ca takes no weights over; attentions that do: none"):
        surgery.apply(plain(), [surgery.convert(of="norm", part="ca")], X)
    with pytest.raises(SurgeryError, match=r"norms that do: .*double"):
        surgery.apply(plain(), [surgery.convert(of="norm", part="deaf")], X)
    with pytest.raises(SurgeryError, match=r"register it with carry="):
        surgery.apply(plain(), [surgery.convert(of="norm", part="torch.nn:Identity")], X)


def test_a_module_whose_weights_do_not_fit_is_named():
    with pytest.raises(SurgeryError, match=r"act: double: weights come from nn.BatchNorm2d only, not from SiLU"):
        surgery.apply(plain(), [surgery.convert(of="act", part="double")], X)


def test_an_initialisation_draws_a_copy_anew():
    model = drawn(Plain).train()
    before = copy.deepcopy(model.state_dict())
    edited, report = surgery.apply(model, [surgery.convert(of="Conv2d", part="fill", value=3.0)], X)
    assert [(site.name, site.old, site.new, site.parameters) for site in report.sites] == [
        ("conv", "Conv2d", "fill", 0),
        ("head", "Conv2d", "fill", 0),
    ]
    assert [site.drift for site in report.sites] == [None, None]
    assert type(edited.conv) is nn.Conv2d
    assert list(edited.state_dict()) == list(before)
    for module in (edited.conv, edited.head):
        assert 3 <= module.weight.min() <= module.weight.max() <= 4
        assert not module.bias.any()
    assert torch.equal(edited.norm.weight, model.norm.weight)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_initialisation_comes_from_the_sites_own_seed():
    def weights(edits, key):
        return surgery.apply(drawn(Plain), edits, X, key=key)[0].state_dict()

    both, head = surgery.convert(of="Conv2d", part="fill"), surgery.convert(of="head", part="fill")
    first, alone, other = weights([both], ("s", 1)), weights([head], ("s", 1)), weights([both], ("s", 2))
    assert torch.equal(first["head.weight"], alone["head.weight"])
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_half_precision_weights_are_drawn_too():
    """QR has no half-precision kernel on the CPU, so a draw happens in single precision."""
    model = drawn(Plain).bfloat16()
    edited, _ = surgery.apply(model, [surgery.convert(of="conv", part="orthogonal")], X.bfloat16())
    rows = edited.conv.weight.flatten(1).float()
    assert edited.conv.weight.dtype == torch.bfloat16
    assert torch.allclose(rows @ rows.T / (rows @ rows.T)[0, 0], torch.eye(8), atol=0.02)


def test_there_must_be_something_to_draw():
    with pytest.raises(SurgeryError, match="norm: BatchNorm2d has no weight of two or more dimensions"):
        surgery.apply(plain(), [surgery.convert(of="norm", part="fill")], X)
    with pytest.raises(SurgeryError, match=r"fill draws weights anew: write 'op: convert, of: conv'"):
        surgery.apply(plain(), [surgery.replace(of="conv", part="fill")], X)


def test_a_tied_weight_is_not_cut_loose():
    model = drawn(lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)))
    model[1].weight = model[0].weight
    with pytest.raises(SurgeryError, match=r"0: fill: Conv2d here shares its weight with '1.weight'"):
        surgery.apply(model, [surgery.convert(of="0", part="fill")], X)
