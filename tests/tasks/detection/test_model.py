"""YOLOv5: published parameter counts, shapes, names, and refusals."""

import re

import pytest
import torch
from torch import nn

from ablab import surgery
from ablab.config import parse
from ablab.errors import ConfigError, UnknownName
from ablab.measure.seeding import forked
from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.blocks import SPP, SPPF, Focus
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
    with pytest.raises(ConfigError, match="'anchor' wants anchors, got none"):
        build_model(DetectionModel(), 3, None)
    with pytest.raises(ConfigError, match="'anchor-free' wants no anchors"):
        build_model(DetectionModel(head="anchor-free"), 3, DEFAULT)


KINDS = [
    {},
    {"stem": "focus"},
    {"pool": "spp"},
    {"neck": "fpn"},
    {"head": "anchor-free"},
    {"head": "anchor-free", "bins": 8, "neck": "fpn", "stem": "focus", "pool": "spp"},
    {"width": 0.125, "depth": 0.67},
    {"backbone": {"part": "torchvision", "args": {"name": "resnet18", "pretrained": False}}},
    {"backbone": {"part": "timm", "args": {"name": "mobilenetv3_small_050", "pretrained": False}}, "neck": "fpn",
     "head": "anchor-free"},
]  # fmt: skip


def made(size="n", **recipe):
    recipe = parse(DetectionModel, {"size": size, **recipe}, "test")
    with forked("test", 0):
        return build_model(recipe, 3, None if recipe.head == "anchor-free" else DEFAULT)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind) or "default")
def test_every_kind_at_odd_multiples_of_the_stride(kind):
    """Raw maps, decoded places, a gradient in every parameter, and the places for surgery."""
    model = made(**kind)
    channels = 4 * kind.get("bins", 16) + 3 if "head" in kind else 24
    raw = model(torch.rand(2, 3, 96, 160))
    assert [tuple(y.shape) for y in raw] == [(2, channels, 96 // s, 160 // s) for s in (8, 16, 32)]
    boxes, scores = model.head.decode(raw)
    places = (240 + 60 + 15) * (1 if "head" in kind else 3)
    assert (boxes.shape, scores.shape) == ((2, places, 4), (2, places, 3))
    torch.stack([y.square().mean() for y in raw]).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert [type(model.get_submodule(f"{room}.out.p{level}")) for room in ("backbone", "neck") for level in (3, 4, 5)
            ] == [nn.Identity] * 6  # fmt: skip


@pytest.mark.parametrize("size", "nsmlx")
@pytest.mark.parametrize("kind", [{"stem": "focus", "pool": "spp", "neck": "fpn"}, {"head": "anchor-free"}])
def test_every_size(size, kind):
    with torch.device("meta"):
        recipe = DetectionModel(size=size, **kind)
        model = build_model(recipe, 3, None if "head" in kind else torch.ones(3, 3, 2))
        raw = model(torch.rand(1, 3, 64, 64))
    assert [tuple(y.shape[2:]) for y in raw] == [(8, 8), (4, 4), (2, 2)]


def test_fpn_is_lighter_than_pan():
    """No bottom-up path: its two strided convolutions and two C3 blocks go, and one C3 at stride 32 comes."""
    pan, fpn = (dict(made(neck=neck).named_modules()) for neck in ("pan", "fpn"))
    assert {name.split(".")[1] for name in set(pan) - set(fpn)} == {"stride4", "up4", "stride5", "up5"}
    assert {name.split(".")[1] for name in set(fpn) - set(pan)} == {"down5"}


def test_focus_is_a_convolution_of_6_by_6():
    """The 3x3 weight over 2x2 squares, laid out over pixels, is a 6x6 weight of stride 2 and padding 2."""
    with forked("focus", 0):
        focus = Focus(3, 5).eval()
        image = torch.rand(2, 3, 32, 64)
    weight = focus.merge.conv.weight.view(5, 3, 2, 2, 3, 3)  # (out, in, y, x, i, j)
    wide = weight.permute(0, 1, 4, 2, 5, 3).reshape(5, 3, 6, 6)  # row 2 i + y, column 2 j + x
    plain = nn.functional.conv2d(image, wide, stride=2, padding=2)
    torch.testing.assert_close(focus(image), focus.merge.act(focus.merge.norm(plain)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (20, 13)])
def test_spp_is_sppf(shape):
    """Two chained pools of 5 are one of 9, three are one of 13."""
    with forked("spp", 0):
        fast, slow = SPPF(8, 6).eval(), SPP(8, 6).eval()
        x = torch.randn(2, 8, *shape)
    slow.load_state_dict(fast.state_dict())
    assert torch.equal(fast(x), slow(x))


def test_width_and_depth_multiply():
    """At width 0.5 and depth 0.33 a nano is a small one; depth 1 repeats 3, 6, 9 and 3 times."""
    with torch.device("meta"):
        small = build_model(DetectionModel(width=0.5), 80, torch.ones(3, 3, 2))
        deep = build_model(DetectionModel(depth=1.0), 80, torch.ones(3, 3, 2))
    assert sum(p.numel() for p in small.parameters()) == 7_235_389
    stages = [getattr(deep.backbone, f"stage{k}")[1].blocks for k in (2, 3, 4, 5)]
    assert [len(blocks) for blocks in stages] == [3, 6, 9, 3]
    assert len(deep.neck.down3.blocks) == 3


def test_a_backbone_hands_its_own_channels_to_the_neck():
    model = made(backbone={"part": "torchvision", "args": {"name": "resnet18", "pretrained": False}})
    assert model.backbone.channels == (128, 256, 512)
    assert model.neck.lateral5.conv.in_channels == 512
    assert [conv.in_channels for conv in model.head.predict] == [64, 128, 256]


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"bins": 8}, "bins would do nothing: the head 'anchor'"),
        ({"backbone": "timm", "stem": "focus"}, "stem would do nothing beside a backbone of your own"),
        ({"backbone": "timm", "pool": "spp"}, "pool would do nothing"),
        ({"depth": 0.34}, "model.depth would do nothing: size 'n' comes out the same"),
        ({"width": 0.2499}, "model.width would do nothing"),
        ({"backbone": {"part": "torchvision", "args": {"name": "resnet18", "pretrained": False}}, "depth": 0.4},
         "model.depth would do nothing"),
    ],
)  # fmt: skip
def test_a_field_that_would_do_nothing_is_refused(recipe, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        made(**recipe)


def test_the_sizes_own_numbers_may_be_written_out():
    assert made(width=0.25, depth=0.33).state_dict().keys() == made().state_dict().keys()


def test_a_backbone_of_other_strides_is_refused():
    with pytest.raises(ConfigError, match=r"strides \(4, 8, 16\); the neck wants \(8, 16, 32\)"):
        made(backbone={"part": f"{__name__}:Shallow"})


class Shallow(nn.Module):
    channels, strides = (8, 8, 8), (4, 8, 16)


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


@pytest.mark.parametrize("kind", [KINDS[5], KINDS[7]], ids="-".join)
def test_surgery_reaches_every_kind(kind):
    """Attention where the neck begins, another activation everywhere; the untouched weights stay."""
    model, example = made(**kind), torch.rand(1, 3, 64, 64)
    edits = [surgery.insert(after="backbone.out", part="eca", expect=3), surgery.replace(of="silu", part="frelu")]
    edited, report = surgery.apply(model, edits, example)
    assert not [module for module in edited.modules() if isinstance(module, nn.SiLU)]
    assert [tuple(y.shape) for y in edited(example)] == [tuple(y.shape) for y in model(example)]
    before, after = dict(model.named_parameters()), dict(edited.named_parameters())
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert report.sites


def test_the_neck_has_places_too():
    edited, _ = surgery.apply(
        made(neck="fpn", head="anchor-free"),
        [surgery.insert(after="neck.out", part="cbam", expect=3)],
        torch.rand(1, 3, 64, 64),
    )
    assert edited(torch.rand(1, 3, 96, 32))[0].shape == (1, 67, 12, 4)
