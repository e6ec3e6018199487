"""On a residual branch: where it ends, before it is added to the shortcut."""

import pytest
import timm
import torch
import torchvision
from networks import drawn
from torch import nn

from ablab import surgery
from ablab.errors import SurgeryError
from ablab.tasks.detection.blocks import C3

IMAGE = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
X = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(1))


def torchvisions(name):
    return lambda: torchvision.models.get_model(name, weights=None)


def timms(name):
    return lambda: timm.create_model(name, pretrained=False)


@pytest.mark.parametrize(
    ("make", "blocks", "ends"),
    [
        (torchvisions("resnet18"), "BasicBlock", "layer*.*.bn2"),
        (torchvisions("resnet50"), "layer*.*", "layer*.*.bn3"),
        (torchvisions("convnext_tiny"), "CNBlock", "features.*.*.stochastic_depth"),
        (timms("resnet18"), "BasicBlock", "layer*.*.bn2"),
        (timms("seresnet18"), "BasicBlock", "layer*.*.se"),
        (timms("resnetv2_50"), "PreActBottleneck", "stages.*.blocks.*.drop_path"),
        (timms("convnext_atto"), "ConvNeXtBlock", "stages.*.blocks.*.drop_path"),
    ],
)
def test_a_branch_ends_where_one_would_say(make, blocks, ends):
    model = drawn(make)
    found, report = surgery.apply(model, [surgery.insert(branch=blocks, part="eca")], IMAGE)
    named, expected = surgery.apply(model, [surgery.insert(after=ends, part="eca")], IMAGE)
    assert [site.name for site in report.sites] == [site.name for site in expected.sites]
    assert torch.equal(found.eval()(IMAGE), named.eval()(IMAGE))


def test_our_own_bottlenecks_inside_a_c3():
    model = drawn(C3, 4, 8, 2)
    edited, report = surgery.apply(model, [surgery.insert(branch="blocks.*", part="sigmoid")], X)
    assert [site.name for site in report.sites] == ["blocks.0.expand.sigmoid", "blocks.1.expand.sigmoid"]
    block, x = edited.eval().blocks[0], torch.randn(2, 4, 6, 6)
    inner = model.eval().blocks[0]
    assert torch.allclose(block(x), x + inner.expand(inner.reduce(x)).sigmoid(), atol=1e-6)
    with pytest.raises(SurgeryError, match=r"2 of 2 modules add no branch.*blocks.0, blocks.1; name residual blocks"):
        surgery.apply(drawn(C3, 4, 8, 2, None), [surgery.insert(branch="blocks.*", part="sigmoid")], X)


def test_blocks_without_a_shortcut_can_be_left_out():
    model = drawn(torchvisions("mobilenet_v2"))
    with pytest.raises(SurgeryError, match=r"7 of 17 modules add no branch.*features\.1, features\.2, features\.4"):
        surgery.apply(model, [surgery.insert(branch="InvertedResidual", part="eca")], IMAGE)
    but = [f"features.{n}" for n in (1, 2, 4, 7, 11, 14, 17)]
    _, report = surgery.apply(model, [surgery.insert(branch="InvertedResidual", part="eca", but=but, expect=10)], IMAGE)
    assert report.sites[0].name == "features.3.conv.eca"


class Block(nn.Module):
    """A branch, and how it meets its shortcut."""

    def __init__(self, meet):
        super().__init__()
        self.first, self.act, self.last, self.short = (nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Identity())
        self.meet = meet

    def forward(self, x):
        return self.meet(self, x)


def edit(meet, part="sigmoid"):
    return surgery.apply(nn.Sequential(drawn(Block, meet)), [surgery.insert(branch="0", part=part)], X)


@pytest.mark.parametrize(
    "meet",
    [
        lambda b, x: x + b.last(b.act(b.first(x))),
        lambda b, x: b.last(b.act(b.first(x))) + b.short(x),
        lambda b, x: torch.add(b.short(x), b.last(b.first(x))),
        lambda b, x: b.last(b.first(x)).add_(x),
        lambda b, x: b.act(b.last(b.first(x)) + x),
        lambda b, x: 0.5 * (x + b.last(b.first(x))) + 1,
        lambda b, x: x.relu() + b.last(b.first(x)),
        lambda b, x: b.first(x) + b.last(b.act(b.first(x))),
    ],
)
def test_ways_to_add(meet):
    _, report = edit(meet)
    assert [site.name for site in report.sites] == ["0.last.sigmoid"]


@pytest.mark.parametrize(
    ("meet", "words"),
    [
        (lambda b, x: b.last(b.first(x)), "1 of 1 modules add no branch"),
        (lambda b, x: b.first(x) + b.last(x), "1 of 1 modules add no branch"),
        (lambda b, x: x + x, "1 of 1 modules add no branch"),
        (lambda b, x: x + b.last(x + b.first(x)), r"is one of 2, which end in 0.first, 0.last; write 'after'"),
        (lambda b, x: x + 2 * b.last(x), r"goes on after 0.last with functions.*write 'after: 0.last'"),
        (lambda b, x: x + b.act(b.last(b.act(x))), "ends in 0.act, which the block also calls elsewhere"),
    ],
)
def test_what_is_no_branch_or_several(meet, words):
    with pytest.raises(SurgeryError, match=words):
        edit(meet)


def test_a_second_part_goes_behind_the_first():
    model = nn.Sequential(drawn(Block, lambda b, x: x + b.last(b.first(x))))
    edits = [surgery.insert(branch="0", part="relu"), surgery.insert(branch="0", part="sigmoid")]
    edited, report = surgery.apply(model, edits, X)
    assert [site.name for site in report.sites] == ["0.last.relu", "0.last.sigmoid"]
    assert list(dict(edited[0].last.named_children())) == ["host", "relu", "sigmoid"]


def test_the_search_leaves_no_hook_and_no_draw():
    model = nn.Sequential(drawn(Block, lambda b, x: x + b.last(b.first(x)))).train()
    generator = torch.get_rng_state()
    edited, _ = surgery.apply(model, [surgery.insert(branch="0", part="relu")], X)
    assert torch.equal(torch.get_rng_state(), generator)
    assert edited.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in [*model.modules(), *edited.modules()])
