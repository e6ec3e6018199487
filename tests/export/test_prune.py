"""Pruning: which channels go, what is left without them, and the same network again from its weights."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ablab import registry
from ablab.errors import ConfigError
from ablab.export import prune as pruning
from ablab.export.prune import left, prune, resize, sizes
from ablab.measure import parameters
from ablab.study.single import read_recipe

SMALL = {"data.classes": 3, "data.size": 64, "data.scenes": [4, 2, 2], "train.image_size": 64, "model.width": 0.05}
WORTH = torch.tensor([5.0, 1.0, 0.2, 4.0, 3.0, 0.1, 2.0, 6.0])  # 2 and 5 are the least


def chain() -> nn.Sequential:
    """Convolution, norm, convolution: the channels between have the worths WORTH, whatever counts them."""
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1)
    )
    with torch.no_grad():
        for index in (0, 3):
            weight = made[index].weight  # (out, in, 3, 3)
            shape = (8, 1, 1, 1) if index == 0 else (1, 8, 1, 1)
            weight.copy_(weight.sign() * WORTH.reshape(shape))
        made[1].weight.copy_(WORTH)
        made[1].bias.uniform_(-1, 1)
        made[1].running_mean.uniform_(-1, 1)
    return made.eval()


def test_the_weakest_channels_of_a_chain_go_and_leave_what_zeroing_them_leaves() -> None:
    whole, images = chain(), torch.rand(2, 3, 8, 8)
    pruned: Any = prune(whole, 0.25, images)
    stay = [0, 1, 3, 4, 6, 7]
    assert torch.equal(pruned[0].weight, whole[0].weight[stay])
    assert torch.equal(pruned[1].running_mean, whole[1].running_mean[stay])
    assert torch.equal(pruned[3].weight, whole[3].weight[:, stay])
    # 3 * 8 * 9 + 2 * 8 + 8 * 4 * 9 + 4 = 524 before; with 6 channels 162 + 12 + 216 + 4
    assert (parameters(whole), parameters(pruned)) == (524, 394)
    with torch.no_grad():
        whole[3].weight[:, [2, 5]] = 0
        torch.testing.assert_close(pruned(images), whole(images))
    assert whole[0].weight.shape[0] == 8


@pytest.mark.parametrize(
    ("channels", "share", "stay"),
    [
        (8, 0.3, 6),
        (8, 0.9, 1),
        (16, 0.3, 12),
        (16, 0.9, 4),
        (32, 0.3, 24),
        (64, 0.5, 32),
        (256, 0.3, 176),
        (3, 0.01, 3),
    ],
)
def test_whole_blocks_of_channels_stay(channels: int, share: float, stay: int) -> None:
    assert left(channels, share) == stay


@pytest.mark.parametrize("head", ["anchor", "anchor-free"])
def test_a_detector_keeps_its_outputs_and_comes_back_from_its_weights(head: str) -> None:
    task = registry.task("detection")[1](read_recipe(None, SMALL | {"model.head": head}))
    torch.manual_seed(1)
    whole, example = task.build().eval(), torch.rand(2, 3, 64, 64)
    before = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    pruned = prune(whole, 0.5, example)
    outputs = pruned(example)
    assert [each.shape for each in outputs] == [each.shape for each in whole(example)]
    assert parameters(pruned) < 0.45 * parameters(whole)
    assert all(torch.equal(tensor, before[name]) for name, tensor in whole.state_dict().items())
    again = task.build().eval()
    weights = pruned.state_dict()
    resize(again, sizes(whole, pruned), weights)
    again.load_state_dict(weights)
    assert all(torch.equal(one, other) for one, other in zip(again(example), outputs, strict=True))
    with pytest.raises(ConfigError, match=r"nowhere\.out_channels, and this one has not"):
        resize(again, {"nowhere": {"out_channels": 3}}, weights)
    with pytest.raises(ConfigError, match="this one has not"):
        resize(again, {"head": {"forward": 3}}, weights)


class Bound(nn.Module):
    """A network whose forward pass knows its number of channels by heart."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 32, 1), nn.Conv2d(32, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x) * torch.linspace(0, 1, 32).reshape(1, 32, 1, 1))


def test_what_cannot_be_pruned_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(1, 3, 8, 8)
    for share in (0.0, 0.95, -1.0, float("nan")):
        with pytest.raises(ConfigError, match=r"above 0 and at most 0\.9"):
            prune(chain(), share, images)
    with pytest.raises(ConfigError, match=r"Bound cannot be pruned: .*leave prune out"):
        prune(Bound(), 0.5, images)
    with monkeypatch.context() as hurried:  # as a network is met that the library goes round and round in
        hurried.setattr(pruning, "LONGEST", -1.0)
        with pytest.raises(ConfigError, match="cannot be pruned: TimeoutError: its channels cannot be followed"):
            prune(chain(), 0.5, images)
    with pytest.raises(ConfigError, match=r"prune/0\.01 would take no channel of Sequential"):
        prune(chain(), 0.01, images)
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(ConfigError, match=r"package torch_pruning, .*pip install 'ablab\[export\]'"):
        prune(chain(), 0.5, images)


def test_what_is_frozen_stays_frozen() -> None:
    whole = chain()
    whole[0].requires_grad_(False)
    pruned: Any = prune(whole, 0.25, torch.rand(1, 3, 8, 8))
    assert [p.requires_grad for p in pruned.parameters()] == [p.requires_grad for p in whole.parameters()]
