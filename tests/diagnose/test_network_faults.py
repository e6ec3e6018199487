"""Faults planted in a small network, and sound networks in which nothing is found."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from ablab.diagnose.network.activity import activities, activity_findings
from ablab.diagnose.network.moments import Moments
from ablab.diagnose.network.scale import Scale, scale_findings, scales
from ablab.diagnose.network.unused import unused_channels, unused_findings
from ablab.errors import ConfigError
from ablab.tasks.detection.model import build_model
from ablab.tasks.detection.recipe import DetectionModel


def drawn(make, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def noise(*shape):
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))


class Gated(nn.Module):
    """Four convolutions and a squeeze with a gate."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.three, self.four = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1)
        self.norm, self.act = nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        self.squeeze, self.gate = nn.Conv2d(8, 8, 1), nn.Sigmoid()

    def forward(self, x):
        y = self.norm(self.two(self.act(self.one(x))))
        y = nn.functional.silu(self.three(y * self.gate(self.squeeze(y.mean((2, 3), keepdim=True)))))
        return self.four(y).sigmoid()


def gated():
    return drawn(Gated)


def detector():
    """Ours, its norms with statistics as training leaves them: with those of birth its signals fade."""
    model = drawn(lambda: build_model(DetectionModel(size="n"), 3, np.ones((3, 3, 2))))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(noise(4, 3, 128, 128))
    return model


def square(model, batch):
    output = model(batch)
    return sum(y.square().mean() for y in ([output] if isinstance(output, torch.Tensor) else output))


def faults(model, images=None):
    images = noise(4, 3, 32, 32) if images is None else images
    found = [
        *activity_findings(activities(model, [images, images.flip(0)])),
        *unused_findings(unused_channels(model, [images])),
        *scale_findings(scales(model, images, square)),
    ]
    return {each.fault: each for each in found}


@pytest.mark.parametrize(
    ("make", "side"), [(gated, 32), (lambda: drawn(resnet18), 64), (detector, 128)], ids=["gated", "resnet18", "yolov5"]
)
def test_nothing_is_found_in_a_sound_network_and_no_trace_is_left(make, side):
    model = make()
    next(model.children()).eval()
    before = copy.deepcopy(model.state_dict())
    modes = [m.training for m in model.modules()]
    generator = torch.get_rng_state()
    assert faults(model, noise(4, 3, side, side)) == {}
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), generator)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_dead_relu_layer():
    model = gated()
    nn.init.constant_(model.one.bias, -100)
    found = faults(model)["dead layer"]
    assert found.severity == 0.9
    assert "8 units of act (relu)" in found.sentence


def test_some_dead_units_are_counted_but_are_no_fault():
    model = gated()
    with torch.no_grad():
        model.one.bias[:2] = -100
    relu = activities(model, [noise(4, 3, 32, 32)])[0]
    assert (relu.name, relu.kind, relu.units, relu.dead, relu.saturated) == ("act", "relu", 8, 0.25, None)
    assert not {"dead units", "dead layer"} & set(faults(model))


def test_half_a_layer_dead_is_worse_than_none_and_better_than_all():
    model = gated()
    with torch.no_grad():
        model.one.bias[:4] = -100
    found = faults(model)
    assert "dead layer" not in found
    assert found["dead units"].severity == pytest.approx(0.35)


def test_a_smooth_activation_far_below_zero_is_dead_though_it_is_a_function():
    model = gated()
    nn.init.constant_(model.three.bias, -20)
    found = faults(model)["dead layer"]
    assert "the network (silu)" in found.sentence


def test_a_saturated_gate_and_not_the_score_at_the_end():
    model = gated()
    nn.init.constant_(model.squeeze.bias, 12)
    nn.init.constant_(model.four.bias, -12)
    found = faults(model)["saturated gates"]
    assert found.severity == pytest.approx(0.7)
    assert dict(found.evidence)["gates"] == 1
    assert "gate (sigmoid)" in found.sentence


def test_the_saturated_share_by_hand():
    gate = nn.Sequential(nn.Tanh(), nn.Identity(), nn.Conv2d(1, 1, 1))
    x = torch.tensor([-9.0, 9.0, 0.0, 2.29, 2.31]).reshape(1, 1, 1, 5)  # atanh(0.98) = 2.2976
    assert activities(gate, [x])[0].saturated == pytest.approx(3 / 5)


@pytest.mark.parametrize("place", ["two", "norm", "three"])
def test_a_zeroed_channel(place):
    model = gated()
    with torch.no_grad():
        model.get_submodule(place).weight[3] = 0
    found = {u.name: u for u in unused_channels(model, [noise(4, 3, 32, 32)])}
    assert (found[place].weightless, found[place].still, found[place].unused) == (1, 1, 1)
    finding = faults(model)["unused channels"]
    assert finding.severity == 1 / 16
    assert "1 of the 8 channels" in finding.sentence


@pytest.mark.parametrize(("factor", "fault"), [(1e-6, "vanishing gradients"), (1e6, "exploding gradients")])
def test_a_layer_out_of_scale(factor, fault):
    chain = drawn(lambda: nn.Sequential(*(nn.Conv2d(8 if i else 3, 8, 3, padding=1, bias=False) for i in range(8))))
    assert scale_findings(scales(chain, noise(2, 3, 16, 16), square)) == ()
    with torch.no_grad():
        chain[4].weight *= factor
    linear = [*scale_findings(scales(chain, noise(2, 3, 16, 16), lambda m, x: m(x).mean()))]
    assert fault in {f.fault for f in linear}
    assert fault.replace("gradients", "signals") in {f.fault for f in linear}


def test_scales_by_hand():
    model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        model[0].weight[:] = torch.tensor([[3.0, 4.0]])
        model[1].weight[:] = 2.0
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # outputs 3 and 4, then 6 and 8
    one, two = scales(model, x, lambda m, x: m(x).sum())
    assert (one.rms, one.signal) == pytest.approx((np.sqrt(12.5), 0.5))
    assert (one.gradient, two.gradient) == pytest.approx((np.sqrt(8), np.sqrt(2)))  # of (2, 2) and (1, 1)
    frozen = model.requires_grad_(False)
    assert scales(frozen, x, lambda m, x: m(x).sum())[0].gradient == pytest.approx(np.sqrt(8))
    assert not any(p.requires_grad for p in frozen.parameters())


def test_what_is_not_finite_is_said_first():
    found = scale_findings([Scale("a", 1.0, 1.0, 1.0), Scale("b", float("inf"), 1.0, None)])
    assert [f.fault for f in found] == ["not finite"]
    assert found[0].sentence.startswith("b is the first of 1")


def test_moments_are_numpys():
    x, moments = noise(6, 5, 3, 4), Moments()
    moments.add(x[:2])
    moments.add(x[2:])
    assert moments.deviation.numpy() == pytest.approx(x.numpy().astype(float).std(axis=(0, 2, 3)))
    assert moments.rms == pytest.approx(np.sqrt(np.square(x.numpy().astype(float)).mean()))


def test_mistakes():
    with pytest.raises(ConfigError, match="at least one"):
        activities(gated(), [])
    with pytest.raises(ConfigError, match="scalar loss"):
        scales(gated(), noise(1, 3, 8, 8), lambda m, x: m(x))
