"""Trap 10: a documented random_state is not used. Here: what a training draws depends on its key alone."""

import random

import numpy as np
import pytest
import torch
from tiny import Tiny, fresh, recipe

from ablab.engine.fit import fit


def weights(noise: int, seed: int) -> list[torch.Tensor]:
    """Train (with dropout) after the global generators were left anywhere."""
    random.seed(noise)
    np.random.seed(noise)  # noqa: NPY002 - the point
    torch.manual_seed(noise)
    task = Tiny(recipe(epochs=2, validate_every=1))
    key = ("study", seed)
    fitted = fit(task, fresh(), task.data(key), task.recipe, key=key)
    return list(fitted.model.state_dict().values())


@pytest.mark.parametrize("noise", [1, 2])
def test_global_generators_do_not_reach_a_training(noise: int) -> None:
    assert all(torch.equal(a, b) for a, b in zip(weights(0, seed=3), weights(noise, seed=3), strict=True))


def test_the_key_does() -> None:
    assert not all(torch.equal(a, b) for a, b in zip(weights(0, seed=3), weights(0, seed=4), strict=True))


def test_dropout_is_the_same_in_step_k_whatever_was_drawn_before() -> None:
    """Two arms, one of which draws more in its forward: the other's mask does not move."""

    class Masks(Tiny):
        def __init__(self, greedy: bool) -> None:
            super().__init__(recipe(epochs=2))
            self.greedy, self.masks = greedy, []

        def step(self, model, batch):
            self.masks.append(torch.rand(4))
            if self.greedy:
                torch.rand(17)
            return super().step(model, batch)

    seen = []
    for greedy in (False, True):
        task = Masks(greedy)
        fit(task, fresh(), task.data(("study", 0)), task.recipe, key=("study", 0))
        seen.append(torch.stack(task.masks))
    assert torch.equal(seen[0], seen[1])
    assert len(torch.unique(seen[0], dim=0)) == len(seen[0])  # every step draws anew
