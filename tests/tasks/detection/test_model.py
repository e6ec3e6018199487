"""YOLOv5: published parameter counts, shapes, names, and refusals."""

import pytest
import torch
from torch import nn

from ablab.errors import ConfigError, UnknownName
from ablab.measure.seeding import forked
from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.model import build_model, check_size
from ablab.tasks.detection.recipe import DetectionModel


def build(size="n", classes=3):
    with forked("test", 0, size):
        return build_model(DetectionModel(size=size), classes, DEFAULT)


@pytest.mark.parametrize(("size", "parameters"), [("n", 1_872_157), ("s", 7_235_389)])
def test_published_parameter_counts(size, parameters):
    assert sum(p.numel() for p in build(size, classes=80).parameters()) == parameters


@pytest.mark.parametrize(("size", "parameters"), [("m", 21_190_557), ("l", 46_563_709), ("x", 86_749_405)])
def test_published_parameter_counts_of_the_large_ones(size, parameters):
    with torch.device("meta"):
        model = build_model(DetectionModel(size=size), 80, torch.ones(3, 3, 2))
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_raw_maps(layout):
    model = build().to(memory_format=layout)
    raw = model(torch.rand(2, 3, 64, 96).contiguous(memory_format=layout))
    assert [tuple(y.shape) for y in raw] == [(2, 24, 8, 12), (2, 24, 4, 6), (2, 24, 2, 3)]
    boxes, scores = model.head.decode(raw)
    assert boxes.shape == (2, 3 * (96 + 24 + 6), 4)
    assert scores.shape == (2, 3 * (96 + 24 + 6), 3)


def test_every_parameter_gets_a_gradient():
    model = build()
    torch.stack([y.square().mean() for y in model(torch.rand(2, 3, 64, 64))]).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_one_sample_does_not_see_its_neighbours_in_eval_mode():
    model, images = build().eval(), torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for together, alone in zip(model(images), model(images[1:2]), strict=True):
            torch.testing.assert_close(together[1:2], alone, rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_weights():
    first, second = build().state_dict(), build().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_places_for_surgery():
    """Each convolution has an activation of its own (trap 4), and the maps leave through named identities."""
    model = build()
    names = dict(model.named_modules())
    sites = [module for module in model.modules() if isinstance(module, nn.SiLU)]
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert len(sites) == len(set(map(id, sites))) == len(convolutions) - 3  # all but the head's three
    for name in ("backbone.out.p3", "backbone.out.p4", "backbone.out.p5", "neck.out.p3", "neck.out.p4", "neck.out.p5"):
        assert isinstance(names[name], nn.Identity)


def test_batch_norm_is_yolov5s():
    norms = [module for module in build().modules() if isinstance(module, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}


def test_unknown_words_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'yolov5'"):
        build_model(DetectionModel(name="yolo5"), 3, DEFAULT)
    with pytest.raises(UnknownName, match=r"unknown size 'nano'.*valid: l, m, n, s, x"):
        build_model(DetectionModel(size="nano"), 3, DEFAULT)


def test_no_class_and_odd_anchors_are_refused():
    with pytest.raises(ConfigError, match="at least one class, got 0"):
        build_model(DetectionModel(), 0, DEFAULT)
    with pytest.raises(ConfigError, match=r"expected the shape \(3, A, 2\), got \(9, 2\)"):
        build_model(DetectionModel(), 3, DEFAULT.reshape(9, 2))


@pytest.mark.parametrize("size", [(32, 32), (256, 320)])
def test_multiples_of_the_stride_pass(size):
    check_size(size)


@pytest.mark.parametrize(
    ("size", "near"),
    [((300, 320), "288 x 320 and 320 x 320"), ((20, 100), "32 x 96 and 32 x 128"), ((0, 64), "32 x 64 and 32 x 64")],
)
def test_other_sizes_are_refused_with_the_nearest(size, near):
    with pytest.raises(ConfigError, match=f"{size[0]} x {size[1]}.* stride 32.*{near}"):
        check_size(size)
