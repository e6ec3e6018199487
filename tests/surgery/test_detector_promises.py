"""Promises of the slots `assigner` and `distribution_loss`: ours keep them, each is broken on purpose once."""

import pytest
import torch

from ablab.errors import ConfigError, ContractError
from ablab.registry import Entry
from ablab.surgery import contract
from ablab.tasks.detection.assigners import Assignment


def to_the_first_place(objects, grid, predict):
    count = len(objects.labels)
    return Assignment(torch.zeros(count).long(), torch.arange(count), torch.ones(count))


def never_none(objects, grid, predict):
    return Assignment(torch.zeros(1).long(), torch.zeros(1).long(), torch.ones(1))


def past_the_end(objects, grid, predict):
    found = to_the_first_place(objects, grid, predict)
    return Assignment(found.place + grid.count, found.object, found.score)


def in_floats(objects, grid, predict):
    found = to_the_first_place(objects, grid, predict)
    return Assignment(found.place.float(), found.object, found.score)


def scores_of_two(objects, grid, predict):
    found = to_the_first_place(objects, grid, predict)
    return Assignment(found.place, found.object, 2 * found.score)


def in_turn(objects, grid, predict):
    """The k-th object goes to the k-th place."""
    found = to_the_first_place(objects, grid, predict)
    return Assignment(found.object, found.object, found.score)


def refuses(objects, grid, predict):
    raise ConfigError("not with me")


def cross_entropy(logits, distances):
    """With the nearest bin; correct where the distance is whole."""
    last = logits.shape[-1] - 1
    bins = distances.clamp(0, last).round().long()
    return -logits.log_softmax(dim=-1).gather(-1, bins[..., None]).mean(dim=(1, 2))


def reduced(logits, distances):
    return cross_entropy(logits, distances).mean()


def unclamped(logits, distances):
    where = torch.where((distances < 0) | (distances > logits.shape[-1] - 1), torch.nan, 0.0)
    return cross_entropy(logits, distances) + where.sum(dim=1)


def one_side(logits, distances):
    return cross_entropy(logits[:, :1], distances[:, :1])


def offset(logits, distances):
    return cross_entropy(logits, distances) + 0.5


def entropy(logits, distances):
    """Being certain is enough, of whatever bin."""
    return -(logits.softmax(dim=-1) * logits.log_softmax(dim=-1)).sum(dim=-1).mean(dim=-1)


def branching(logits, distances):
    return cross_entropy(logits, distances) if len(logits) else torch.zeros(0)


BROKEN = [
    ("assigner", never_none, "no object works", "gave 1 pairs, expected none"),
    ("assigner", past_the_end, "indices in range", "place: 189 to 189, expected 0 to 188"),
    ("assigner", in_floats, "indices in range", "torch.float32"),
    ("assigner", scores_of_two, "indices in range", "a score is outside 0..1"),
    ("assigner", in_turn, "order does not matter", "other pairs"),
    ("assigner", refuses, "order does not matter", "neither with anchors nor without (not with me, not with me)"),
    ("distribution_loss", reduced, "one loss a distribution", "gave (), expected (7,)"),
    ("distribution_loss", unclamped, "one loss a distribution", "NaN or inf; count them as the nearer end"),
    ("distribution_loss", one_side, "one loss a distribution", "a side gets no gradient"),
    ("distribution_loss", offset, "zero where the distribution is right", "costs up to 0.5, expected 0"),
    ("distribution_loss", entropy, "nearer costs less", "no more than one beside"),
    ("distribution_loss", branching, "no distribution stays in the graph", "expected (0,) with a gradient"),
]


@pytest.mark.parametrize(("slot", "build", "promise", "words"), BROKEN)
def test_the_broken_promise_is_named(slot, build, promise, words):
    with pytest.raises(ContractError) as caught:
        contract.check(Entry(slot, "broken", lambda: build))
    lines = [line for line in str(caught.value).splitlines() if line.startswith(f"{slot}/broken: {promise}? No: ")]
    assert len(lines) == 1
    assert words in lines[0]


def test_sound_ones_pass():
    contract.check(Entry("assigner", "first", lambda: to_the_first_place))
    contract.check(Entry("distribution_loss", "nearest", lambda: cross_entropy))


def test_an_argument_that_does_nothing_is_found():
    def deaf(topk: int = 3):
        return to_the_first_place

    with pytest.raises(ContractError, match="'topk' changes nothing"):
        contract.check(Entry("assigner", "deaf", deaf))
