"""Two processes that share a batch have the gradient of one that does not."""

from __future__ import annotations

import halves
import pytest
import torch
from two_heads import ANCHOR, ANCHOR_FREE, Head

from ablab.engine.distributed import ALONE
from ablab.engine.events import Silent
from ablab.recipe import TrainRecipe
from ablab.study.executors.ranks import together
from ablab.tasks.detection.losses.divisor import divisor


def test_alone_it_is_the_count_and_at_least_one() -> None:
    assert divisor(torch.tensor([0.0, 0.5, 7.0]), 3).tolist() == [1.0, 1.0, 7.0]


@pytest.mark.parametrize("head", [ANCHOR, ANCHOR_FREE], ids=lambda head: head.name)
def test_uneven_shares_give_the_whole_batchs_gradient(head: Head) -> None:
    """Five images, three and two of them, with unlike numbers of objects; torch's own mean over two processes."""
    train = TrainRecipe(devices=2, batch=5, device="cpu", threads=1)
    shared = together(halves.gradients, (head.name, True), train, Silent())
    whole = halves.gradients(head.name, False, Silent(), ALONE)
    for ours, expected in zip(shared, whole, strict=True):
        assert max(map(abs, expected)) > 1e-4
        torch.testing.assert_close(torch.tensor(ours), torch.tensor(expected), atol=1e-7, rtol=1e-5)
