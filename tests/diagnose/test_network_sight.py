import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import resnet18

from ablab.diagnose.network.cam import class_activation
from ablab.diagnose.network.effective import EffectiveField, effective_fields
from ablab.diagnose.network.pictures import draw_field, draw_heat, draw_maps, feature_maps
from ablab.diagnose.network.receptive import ReceptiveField
from ablab.diagnose.network.sight import MOST_SEVERE, sight_findings, sights
from ablab.diagnose.network.timing import layer_times
from ablab.errors import ConfigError, Diverged, UnknownName
from ablab.tasks.detection.model import build_model
from ablab.tasks.detection.recipe import DetectionModel


def noise(*shape):
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def boxes(depth, fill=1 / 9):
    net = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1, bias=False) for _ in range(depth)))
    for conv in net:
        nn.init.constant_(conv.weight, fill)
    return net


@pytest.mark.parametrize("depth", [5, 20])
def test_the_effective_field_is_the_gaussian_of_luo(depth):
    """n boxes of 3: variance 2n/3 a side; squared, half of that; a square of +-2.2365 deviations holds 95%."""
    (field,) = effective_fields(boxes(depth), torch.zeros(1, 1, 65, 65))
    assert field.energy.sum() == pytest.approx(1)
    assert field.energy.argmax() == 32 * 65 + 32
    assert field.side == pytest.approx(1 + 2 * 2.2365 * np.sqrt(2 * depth / 3 / 2), abs=1.5)


def test_the_energy_is_the_sum_over_channels():
    """Against each channel's own gradient."""
    net = nn.Conv2d(2, 64, 3, padding=1)
    x = noise(64, 2, 9, 9)
    (field,) = effective_fields(net, x)
    exact = net.weight.detach().square().sum((0, 1)).numpy()
    assert field.energy[3:6, 3:6] == pytest.approx(exact / exact.sum(), abs=0.03)
    assert field.energy[3:6, 3:6].sum() == pytest.approx(1)


def test_what_no_gradient_reaches_and_what_is_not_finite():
    assert effective_fields(boxes(2, 0.0), torch.zeros(1, 1, 9, 9))[0].side == 0
    with pytest.raises(Diverged, match="not finite"):
        effective_fields(boxes(2, float("nan")), torch.zeros(1, 1, 9, 9))


def field(name, side, heard, whole=False):
    return ReceptiveField(name, side, side + 4, 8, whole), EffectiveField(name, heard, np.ones((1, 1)))


def test_objects_against_fields_by_hand():
    pairs = [field("p3", 100, 40), field("p5", 200, 90)]
    sizes = np.array([[9, 2], [10, 10], [20, 50], [51, 3], [95, 95], [150, 30.0]])
    small, large = sights([p[0] for p in pairs], [p[1] for p in pairs], sizes)
    assert (small.below, small.within, small.above, small.unseen) == pytest.approx((1 / 6, 2 / 6, 3 / 6, 4 / 6))
    assert (large.below, large.within, large.above, large.unseen) == pytest.approx((2 / 6, 3 / 6, 1 / 6, 2 / 6))
    found = {f.fault: f for f in sight_findings([small, large])}
    assert found["field too small"].severity == pytest.approx(MOST_SEVERE / 6)
    assert dict(found["effective field too small"].evidence)["effective field in pixels"] == 90
    assert sight_findings(sights([p[0] for p in pairs], [p[1] for p in pairs], sizes[:4])) == ()


def test_a_field_of_the_whole_image_is_never_too_small():
    heard = field("a", 100, 500, whole=True)
    assert sight_findings(sights([heard[0]], [heard[1]], np.full((3, 2), 80.0))) == ()
    with pytest.raises(ConfigError, match="at least one object"):
        sights([heard[0]], [heard[1]], np.zeros((0, 2)))


def test_grad_cam_is_cam_where_a_mean_and_a_linear_layer_follow():
    """Selvaraju et al., section 3.1: with A's mean and one linear layer, a_k is proportional to its weight."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = resnet18()
    x = noise(1, 3, 96, 96)
    heat = class_activation(model, x, "layer4", lambda y: y[0, 7])
    found = torch.from_numpy(feature_maps(model, x, "layer4"))
    cam = torch.einsum("k,khw->hw", model.fc.weight[7].detach(), found).clamp(min=0)
    assert heat == pytest.approx((cam / cam.max()).numpy(), abs=1e-4)
    assert model.training
    assert not model.layer4._forward_hooks


def test_one_box_of_our_detector():
    model = build_model(DetectionModel(size="n"), 3, np.ones((3, 3, 2)))
    heat = class_activation(
        model.requires_grad_(False), noise(1, 3, 64, 64), "neck.out.p3", lambda y: y[0].flatten()[0]
    )
    assert heat.shape == (8, 8)
    assert heat.max() in (0, 1)
    with pytest.raises(ConfigError, match="with a gradient"):
        class_activation(model, noise(1, 3, 64, 64), "neck.out.p5", lambda y: y[0].sum())
    with pytest.raises(UnknownName, match="unknown module"):
        class_activation(model, noise(1, 3, 64, 64), "nowhere", lambda y: y[0].sum())


def test_pictures():
    found = np.stack([np.zeros((4, 6)), np.arange(24.0).reshape(4, 6), np.eye(4, 6)])
    sheet = Image.open(io.BytesIO(draw_maps(found, most=2, side=8)))
    assert sheet.size == (18, 8)
    assert sheet.getpixel((0, 0)) == (68, 1, 84)  # viridis begins
    assert sheet.getpixel((7, 7)) == (253, 231, 36)  # and ends
    image = np.full((10, 20, 3), 100, np.uint8)
    over = np.asarray(Image.open(io.BytesIO(draw_heat(image, np.zeros((2, 2))))))
    assert over[5, 5].tolist() == [84, 50, 92]
    assert Image.open(io.BytesIO(draw_field(np.ones((5, 7))))).size == (7, 5)
    with pytest.raises(ConfigError, match="uint8"):
        draw_heat(image / 255, np.zeros((2, 2)))


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.act(x))


def test_exclusive_times_by_hand():
    """A clock that moves one second a reading: two a call, of which the inner calls' are taken off."""
    ticks = iter(range(10_000))
    timing = layer_times(nn.Sequential(Inner()), torch.zeros(1), rounds=3, warmup=1, clock=lambda: float(next(ticks)))
    assert [(each.name, each.exclusive_ms, each.calls) for each in timing.layers] == [
        ("0", 3000, 1),
        ("0.act", 2000, 2),
        ("", 2000, 1),
    ]
    assert timing.whole_ms == 7000
    assert timing.plain_ms == 1000


def test_the_layers_sum_to_the_whole():
    model = resnet18()
    timing = layer_times(model, torch.zeros(1, 3, 64, 64), rounds=7, warmup=1)
    assert len(timing.layers) == len(list(model.modules()))
    assert sum(each.exclusive_ms for each in timing.layers) == pytest.approx(timing.whole_ms)
    assert timing.layers[0].exclusive_ms >= timing.layers[-1].exclusive_ms
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    with pytest.raises(ConfigError, match="at least one round"):
        layer_times(model, torch.zeros(1, 3, 64, 64), rounds=0)
