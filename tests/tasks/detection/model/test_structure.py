"""Stems, residuals, pools and necks: parameters counted by hand, limiting cases, and words that are refused."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from ablab.config import parse
from ablab.errors import ConfigError
from ablab.measure import flops, parameters
from ablab.measure.seeding import forked
from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.blocks import ASPP, SPPF, Bottleneck, Conv, Separable, SeparableStem
from ablab.tasks.detection.model import build_model
from ablab.tasks.detection.model.neck import BiFPN, Fusion
from ablab.tasks.detection.recipe import DetectionModel


def made(size: str = "n", **recipe: object) -> nn.Module:
    read = parse(DetectionModel, {"size": size, **recipe}, "test")
    with forked("test", 0):
        return build_model(read, 3, None if read.head == "anchor-free" else DEFAULT)


def conv(inputs: int, outputs: int, kernel: int = 1, groups: int = 1) -> int:
    """Parameters of a convolution without bias and its batch norm."""
    return inputs // groups * outputs * kernel**2 + 2 * outputs


def separable(inputs: int, outputs: int) -> int:
    return conv(inputs, inputs, 3, inputs) + conv(inputs, outputs)


BACKBONE = {"part": "torchvision", "args": {"name": "resnet18", "pretrained": False}}
KINDS = [
    {"stem": "separable"},
    {"pool": "aspp"},
    {"residual": "concat"},
    {"neck": "bifpn"},
    {"neck": "bifpn", "head": "anchor-free", "backbone": BACKBONE},
    {"stem": "separable", "pool": "aspp", "residual": "concat", "neck": "bifpn", "depth": 1.0},
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_every_kind_at_odd_multiples_of_the_stride(kind: dict[str, object]) -> None:
    """Raw maps, a gradient in every parameter, the places for surgery, one image alone in training."""
    model = made(**kind)
    channels = 67 if "head" in kind else 24
    raw = model(torch.rand(2, 3, 96, 160))
    assert [tuple(y.shape) for y in raw] == [(2, channels, 96 // s, 160 // s) for s in (8, 16, 32)]
    torch.stack([y.square().mean() for y in raw]).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    places = [model.get_submodule(f"{room}.out.p{level}") for room in ("backbone", "neck") for level in (3, 4, 5)]
    assert [type(place) for place in places] == [nn.Identity] * 6
    model.train()(torch.rand(1, 3, 64, 64))  # a mean over the whole map leaves one number a channel


@pytest.mark.parametrize("size", "nsmlx")
def test_every_size(size: str) -> None:
    with torch.device("meta"):
        recipe = DetectionModel(size=size, neck="bifpn", pool="aspp", stem="separable", residual="concat")
        raw = build_model(recipe, 3, torch.ones(3, 3, 2))(torch.rand(1, 3, 64, 64))
    assert [tuple(y.shape[1:]) for y in raw] == [(24, 8, 8), (24, 4, 4), (24, 2, 2)]


def test_the_separable_stem_by_hand() -> None:
    stem, image = SeparableStem(3, 16), torch.rand(1, 3, 32, 64)
    assert stem(image).shape == (1, 16, 16, 32)
    assert parameters(stem) == conv(3, 16, 3) + conv(16, 16, 3) + separable(16, 16)
    gained = conv(3, 16, 3) + conv(16, 16, 3) + separable(16, 16) - conv(12, 16, 3)
    assert parameters(made(stem="separable")) - parameters(made(stem="focus")) == gained


def test_a_separable_convolution_costs_what_mobilenet_says() -> None:
    """Howard et al. 2017, section 3.1: 1 / N + 1 / k^2 of the full convolution's multiply-adds."""
    image = torch.rand(1, 32, 8, 8)
    share = flops(Separable(32, 64), image) / flops(Conv(32, 64, 3), image)
    assert share == pytest.approx(1 / 64 + 1 / 9, rel=1e-12)


def test_a_concatenating_block_can_add() -> None:
    """With the weights (I, I) and no norm to speak of, its convolution is the sum that the other block gives."""
    with forked("residual"):
        adds, joins = Bottleneck(4, "add").eval(), Bottleneck(4, "concat").eval()
        x = torch.randn(2, 4, 5, 3)
    joins.load_state_dict(adds.state_dict(), strict=False)
    joins.merge.conv.weight.data = torch.cat((torch.eye(4), torch.eye(4)), dim=1)[:, :, None, None]
    joins.merge.norm, joins.merge.act = nn.Identity(), nn.Identity()
    torch.testing.assert_close(joins(x), adds(x))


def test_concatenation_costs_one_convolution_a_block() -> None:
    blocks = [(16, 1), (32, 2), (64, 3), (128, 1)]  # hidden width and repeats of the four stages of size n
    gained = sum(count * conv(2 * width, width) for width, count in blocks)
    assert parameters(made(residual="concat")) - parameters(made()) == gained


def test_aspp_by_hand() -> None:
    aspp = ASPP(64, 32)
    hidden = 16
    branches = conv(64, hidden) + 3 * conv(64, hidden, 3) + 64 * hidden + hidden
    assert parameters(aspp) == branches + conv(5 * hidden, 32)
    assert [branch.conv.dilation for branch in aspp.dilated] == [(3, 3), (6, 6), (9, 9)]
    gained = parameters(ASPP(256, 256)) - parameters(SPPF(256, 256))
    assert parameters(made(pool="aspp")) - parameters(made()) == gained


def test_aspp_on_a_map_of_one_cell_is_1x1_convolutions() -> None:
    """Dilated windows then see their centre alone (Chen et al. 2017, section 3.3), and the mean is the map."""
    with forked("aspp"):
        aspp, x = ASPP(8, 4).eval(), torch.randn(3, 8, 1, 1)
    flat = x[..., 0, 0]
    centres = [branch.act(branch.norm((flat @ branch.conv.weight[:, :, 1, 1].T)[..., None, None]))
               for branch in aspp.dilated]  # fmt: skip
    image = nn.functional.silu(flat @ aspp.image[0].weight[:, :, 0, 0].T + aspp.image[0].bias)[..., None, None]
    torch.testing.assert_close(aspp(x), aspp.merge(torch.cat((aspp.point(x), *centres, image), dim=1)))


def test_aspp_sees_the_whole_map() -> None:
    with forked("aspp"):
        aspp, x = ASPP(8, 4).eval(), torch.randn(1, 8, 40, 40)
    x.requires_grad_()
    aspp(x)[0, :, 0, 0].sum().backward()
    assert (x.grad[0].abs().sum(dim=0) > 0).all()


def test_fusion_is_the_mean_at_first_and_follows_its_weights() -> None:
    maps = [torch.full((1, 2, 3, 3), float(value)) for value in (1, 2, 6)]
    fusion = Fusion(3)
    torch.testing.assert_close(fusion(maps), torch.full((1, 2, 3, 3), 3.0), rtol=1e-4, atol=0)
    fusion.weight.data = torch.tensor([3.0, 1.0, -5.0])  # Tan et al. 2020, section 3.3: a relu keeps each w >= 0
    torch.testing.assert_close(fusion(maps), torch.full((1, 2, 3, 3), 5 / (4 + 1e-4)))


def test_bifpn_by_hand() -> None:
    """Three 1x1 convolutions in; then layers of four separable convolutions and nine weights (2 + 2 + 3 + 2)."""
    neck = BiFPN((64, 128, 256), (64, 128, 256), 1)
    layer = 4 * separable(64, 64) + 9
    assert parameters(neck) == sum(conv(channels, 64) for channels in (64, 128, 256)) + 3 * layer
    assert neck.channels == (64, 64, 64)
    assert parameters(made(neck="bifpn", depth=1.0).neck) - parameters(neck) == 2 * layer


def test_bifpn_joins_what_the_paper_joins() -> None:
    """One layer, equation 4 of Tan et al. 2020 written out for three levels."""
    with forked("bifpn"):
        layer = BiFPN((8, 8, 8), (8, 8, 8), 1).layers[0].eval()
        p3, p4, p5 = maps = [torch.randn(1, 8, side, side) for side in (8, 4, 2)]
        for fusion in layer.weigh.values():
            fusion.weight.data.uniform_(0.5, 2)
    w = {name: fusion.weight / (fusion.weight.sum() + 1e-4) for name, fusion in layer.weigh.items()}
    up, down = (nn.functional.interpolate, lambda x: nn.functional.max_pool2d(x, 3, 2, 1))
    middle = layer.merge["down4"](w["down4"][0] * p4 + w["down4"][1] * up(p5, scale_factor=2))
    n3 = layer.merge["down3"](w["down3"][0] * p3 + w["down3"][1] * up(middle, scale_factor=2))
    n4 = layer.merge["up4"](w["up4"][0] * p4 + w["up4"][1] * middle + w["up4"][2] * down(n3))
    n5 = layer.merge["up5"](w["up5"][0] * p5 + w["up5"][1] * down(n4))
    for found, expected in zip(layer(maps), (n3, n4, n5), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"backbone": "timm", "residual": "concat"}, "residual would do nothing beside a backbone of your own"),
        ({"backbone": "timm", "stem": "separable", "pool": "aspp"}, "stem and pool would do nothing"),
        ({"pool": "assp"}, "aspp"),
        ({"neck": "bifpm"}, "bifpn"),
    ],
)
def test_words_that_cannot_be_meant_are_refused(recipe: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        made(**recipe)
