"""Costs against counts by hand; every slot has a workload that its parts run."""

from __future__ import annotations

import pytest
from torch import nn

from ablab import registry
from ablab.catalogue import SIZES, WORK, Cost, amount_of, costs
from ablab.registry import Entry

PLACES = 32 * 32


def test_parameters_and_flops_are_those_counted_by_hand() -> None:
    found = costs([registry.get(name, "conv") for name in ("conv", "pointwise", "depthwise-separable")])
    assert (found["conv"].parameters, found["conv"].flops) == (9 * 64 * 64, 2 * 9 * 64 * 64 * PLACES)
    assert (found["pointwise"].parameters, found["pointwise"].flops) == (64 * 64, 2 * 64 * 64 * PLACES)
    assert found["depthwise-separable"].flops == 2 * (9 + 64) * 64 * PLACES


def test_a_part_follows_the_channels_of_the_size() -> None:
    found = costs([registry.get("attention/se")], (1, 128, 8, 8))["se"]
    assert found.parameters == 2 * 128 * 8 + 8 + 128


@pytest.mark.parametrize("slot", registry.SLOTS)
def test_every_part_of_every_slot_is_timed(slot: str) -> None:
    entries = [registry.get(name, slot) for name in registry.names(slot)]
    smallest = min(SIZES[slot], key=lambda size: size[-1])
    for cost in costs(entries, smallest).values():
        assert cost.failed == ""
        assert cost.ms is not None
        assert cost.ms >= 0
        assert cost.iqr_ms is not None
    stands = slot in ("backbone", *SIZES) and "map" in WORK[slot][1]
    assert not stands or all(cost.flops is not None for cost in costs(entries[:1]).values())


def test_a_part_that_fails_says_why_and_leaves_the_others_be() -> None:
    class Failing(nn.Module):
        def forward(self, x: object) -> object:
            raise ValueError("not today")

    found = costs([Entry("activation", "failing", Failing), Entry("activation", "relu", nn.ReLU)])
    assert found["failing"] == Cost(failed="ValueError: not today")
    assert found["relu"].ms is not None
    assert costs([Entry("activation", "failing", Failing)]) == {"failing": found["failing"]}


def test_sizes_in_words() -> None:
    assert amount_of("attention", (1, 64, 32, 32)) == "map of 1 x 64 x 32 x 32"
    assert amount_of("box_loss", (10_000,)) == "10,000 pairs of boxes"
    assert set(SIZES) == set(WORK) == set(registry.SLOTS)
