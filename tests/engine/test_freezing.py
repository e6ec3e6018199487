from typing import Any

import pytest
import torch
from torch import nn

from ablab.engine.freezing import Freezing
from ablab.errors import ConfigError


class Block(nn.Sequential):
    def __init__(self, affine: bool = True) -> None:
        super().__init__(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, affine=affine), nn.Dropout(0.5))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.head = Block(), Block(affine=False), nn.Linear(3, 2)


def free(model: nn.Module) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


def test_a_glob_freezes_what_it_names_and_an_epoch_lets_go() -> None:
    model = Net()
    freezing = Freezing(model, ["stem.*", "body.*"], {3: ["body.*"], 5: ["*"]})
    assert free(model) == {"head.weight", "head.bias"}
    assert [freezing.enter(epoch) for epoch in (1, 2)] == [False, False]
    assert freezing.enter(3)
    assert free(model) == {"head.weight", "head.bias", "body.0.weight", "body.0.bias"}
    assert freezing.enter(5)
    assert len(free(model)) == 8


def test_a_later_epoch_brings_what_was_due_before() -> None:
    """As a training that goes on from a snapshot of epoch 4 needs it."""
    model = Net()
    freezing = Freezing(model, ["stem.*", "body.*"], {3: ["body.*"], 9: ["*"]})
    assert freezing.enter(4)
    assert "body.0.weight" in free(model)
    assert "stem.0.weight" not in free(model)
    freezing.end()
    assert len(free(model)) == 8


def test_norms_of_frozen_layers_hold_their_statistics_and_dropout_stays_on() -> None:
    model = Net()
    freezing = Freezing(model, ["stem.*", "body.0.bias"], {2: ["stem.1.*"]})
    freezing.train()
    assert not model.stem[1].training  # all of its parameters are frozen
    assert model.body[1].training  # it has none, and its block's weight moves
    assert model.stem[2].training
    assert model.stem[0].training
    freezing.enter(2)
    freezing.train()
    assert model.stem[1].training


def test_a_norm_without_parameters_goes_with_its_block() -> None:
    model = Net()
    freezing = Freezing(model, ["body.*"], {})
    freezing.train()
    assert not model.body[1].training
    assert model.stem[1].training


def test_what_came_frozen_stays_so() -> None:
    model = Net()
    model.stem.requires_grad_(False)
    freezing = Freezing(model, ["body.*"], {2: ["body.*"]})
    freezing.enter(2)
    freezing.end()
    assert free(model) == {"head.weight", "head.bias", "body.0.weight", "body.0.bias"}


def test_a_shared_parameter_freezes_under_any_of_its_names() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    Freezing(model, ["1.weight"], {})
    assert free(model) == {"0.bias", "1.bias"}


@pytest.mark.parametrize(
    ("freeze", "unfreeze", "words"),
    [
        (["stme.*"], {}, r"train\.freeze: 'stme\.\*' matches no parameter's name; did you mean 'stem\.\*'"),
        (["stem.*"], {2: ["boddy.*"]}, r"train\.unfreeze in epoch 2: .*did you mean 'body\.\*'"),
        (["stem.*"], {2: ["body.*"]}, "'body.*' names nothing that is frozen by then"),
        (["stem.*"], {2: ["stem.*"], 4: ["stem.0.*"]}, "epoch 4: .* names nothing that is frozen by then"),
        (["*"], {2: ["*"]}, "leaves no parameter to train"),
    ],
)
def test_a_glob_that_would_do_nothing_is_refused(freeze: list[str], unfreeze: dict[int, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Freezing(Net(), freeze, unfreeze)


def test_torch_skips_a_parameter_without_gradient() -> None:
    """What the class relies on: neither decay nor momentum moves what has no gradient, and no state is made for it."""
    for made in (torch.optim.AdamW, torch.optim.SGD):
        still, moving = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
        optimizer = made([still, moving], lr=0.1, weight_decay=0.1, fused=True)
        for _ in range(2):
            moving.grad = torch.ones(2)
            optimizer.step()
        assert still.tolist() == [1.0, 1.0]
        assert moving[0] < 1
        assert still not in optimizer.state
