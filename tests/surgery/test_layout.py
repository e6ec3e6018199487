"""Where the channels of a map are, followed from layer to layer."""

import pytest
import torch
from networks import drawn
from timm.layers import LayerNorm2d
from torch import nn
from torchvision.models.swin_transformer import SwinTransformerBlock
from torchvision.ops import Permute

from ablab import surgery
from ablab.errors import SurgeryError
from ablab.surgery.layout import channels_last
from ablab.surgery.probe import probe

X = torch.randn(2, 4, 6, 8, generator=torch.Generator().manual_seed(1))


class Steps(nn.Sequential):
    """Modules and plain functions in a row."""

    def __init__(self, *steps):
        super().__init__(*(step if isinstance(step, nn.Module) else Does(step) for step in steps))


class Does(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def last_after(*steps, x=X):
    model = drawn(Steps, *steps)
    return [probe(model, x).calls[id(module)][0].output_channels_last for module in model]


TO_LAST, TO_FIRST = Permute([0, 2, 3, 1]), Permute([0, 3, 1, 2])


def test_a_convnext_block_goes_there_and_back():
    steps = (nn.Conv2d(4, 4, 3), TO_LAST, nn.LayerNorm(4), nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4), TO_FIRST)
    assert last_after(*steps) == [False, True, True, True, True, True, False]


@pytest.mark.parametrize(
    ("move", "last"),
    [
        (lambda x: x.flatten(2).transpose(1, 2), True),
        (lambda x: x.flatten(2).transpose(-1, 1).reshape(2, 6, 8, 4), True),
        (lambda x: x.flatten(2), False),
        (lambda x: torch.movedim(x, 1, -1), True),
        (lambda x: x.movedim(source=1, destination=-1) * 2 + 1, True),
        (lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2), False),
        (lambda x: x.permute((0, 2, 3, 1))[:, ::2], True),
        (lambda x: torch.permute(x, (0, 3, 1, 2)), False),
        (lambda x: x.view(2, 2, 2, 6, 8).transpose(1, 2).reshape(2, 4, 6, 8), False),
        (lambda x: torch.cat(x.permute(0, 2, 3, 1).chunk(2, dim=1), dim=1), True),
        (lambda x: x.mean((2, 3)), False),
        (lambda x: x.permute(0, 2, 3, 1) @ torch.ones(4, 6), True),
        (lambda x: x.permute(0, 2, 3, 1).split([1, 3], dim=-1)[1], True),
        (lambda x: torch.nn.functional.unfold(x, 3), False),
    ],
)
def test_moves_of_axes(move, last):
    assert last_after(nn.Conv2d(4, 4, 1), move) == [False, last]


class Heads(nn.Module):
    """Attention of two heads, written out."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 12)

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).reshape(2, 48, 3, 2, 2).permute(2, 0, 3, 1, 4)
        return ((q @ k.transpose(-2, -1)).softmax(-1) @ v).transpose(1, 2).reshape(2, 48, 4)


def test_heads_of_attention_are_split_and_joined():
    back = Does(lambda x: x.transpose(1, 2).reshape(2, 4, 6, 8))
    assert last_after(nn.Conv2d(4, 4, 1), Heads(), back) == [False, True, False]


def test_a_layer_norm_for_maps_gives_maps():
    assert last_after(nn.Conv2d(4, 4, 1), LayerNorm2d(4)) == [False, False]


def test_a_swin_block_adds_but_keeps_the_axis():
    block = drawn(SwinTransformerBlock, 4, 1, [2, 2], [0, 0])
    assert last_after(TO_LAST, nn.LayerNorm(4), block, TO_FIRST) == [True, True, True, False]


def test_attention_is_not_inserted_across_the_wrong_axis():
    block = drawn(SwinTransformerBlock, 4, 1, [2, 2], [0, 0])
    model = Steps(TO_LAST, nn.LayerNorm(4), block, TO_FIRST)
    with pytest.raises(SurgeryError, match="with its channels on the last axis"):
        surgery.apply(model, [surgery.insert(after="2", part="cbam")], X)
    _, report = surgery.apply(model, [surgery.insert(after="3", part="cbam")], X)
    assert report.sites[0].output_shape == (2, 4, 6, 8)


@pytest.mark.parametrize("part", ["dropout2d", "dropblock"])
def test_noise_on_whole_channels_or_squares_is_refused_there_too(part: str):
    model = Steps(TO_LAST, nn.LayerNorm(4), TO_FIRST)
    with pytest.raises(SurgeryError, match="with its channels on the last axis"):
        surgery.apply(model, [surgery.insert(after="1", part=part)], X)
    surgery.apply(model, [surgery.insert(after="1", part="dropout")], X)
    surgery.apply(model, [surgery.insert(after="2", part=part)], X)


def test_a_mark_is_no_property_of_what_the_user_holds():
    tokens = torch.randn(2, 5, 4)
    probe(nn.Linear(4, 4), tokens)
    assert not channels_last(tokens)
