"""Seeds as they are asked for, and looks that are refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from tiny_study import tiny

from ablab.config import override
from ablab.errors import ConfigError
from ablab.study.design import study_fingerprint
from ablab.study.seeds import Seeds

LOOKS = {"max": 12, "looks": [5, 8, 12]}


def test_a_number_and_a_list_are_as_they_were() -> None:
    assert tiny(seeds=3).seeds == (0, 1, 2)
    assert tiny(seeds=[4, 2]).seeds == (4, 2)
    assert tiny(seeds=3).seeds.looks == ()
    assert tiny(seeds=3).model_dump(mode="json")["seeds"] == [0, 1, 2]


def test_looks_stand_beside_the_seeds() -> None:
    seeds = tiny(seeds=LOOKS | {"futility": 0.1}).seeds
    assert (seeds, seeds.looks, seeds.futility) == (tuple(range(12)), (5, 8, 12), 0.1)
    assert seeds.plain() == LOOKS | {"futility": 0.1}
    assert tiny(seeds=LOOKS).model_dump(mode="json")["seeds"] == LOOKS


@pytest.mark.parametrize("again", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])  # noqa: S301 - our own
def test_a_copy_looks_alike(again: Any) -> None:
    seeds = Seeds(range(8), (5, 8), 0.2)
    assert (again(seeds), again(seeds).looks, again(seeds).futility) == (seeds, (5, 8), 0.2)


def test_overrides_reach_looks_and_take_them_away() -> None:
    study = tiny(seeds=LOOKS)
    assert override(study, {"seeds": 3}).seeds.looks == ()
    assert override(study, {"seeds.looks": [6, 12]}).seeds.looks == (6, 12)


def test_looks_are_part_of_the_fingerprint_and_nothing_else_changed_it() -> None:
    prints = [study_fingerprint(tiny(seeds=s)) for s in (12, LOOKS, {"max": 12, "looks": [5, 12]}, list(range(12)))]
    assert len({*prints}) == 3
    assert prints[0] == prints[3]


def cell(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "set": {path: 2}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": {"max": 12, "looks": [5, 8]}}, "the last one is max"),
        ({"seeds": {"max": 12, "looks": [8, 5, 12]}}, "growing numbers of seeds"),
        ({"seeds": {"max": 12, "looks": []}}, "looks"),
        ({"seeds": {"max": 12, "looks": [5, 12], "futility": 1.5}}, "futility"),
        ({"seeds": {"max": 12, "look": [5, 12]}}, "did you mean 'looks'"),
        ({"seeds": {"max": 12}}, "the key 'looks' is missing"),
        ({"seeds": [0, -1]}, "zero or more"),
        ({"seeds": [0, 1.5]}, "a whole number"),
        ({"seeds": {"max": 12, "looks": [3, 12]}}, "the first look of 2 arms is at 5 seeds or later, got 3"),
        ({"seeds": {"max": 12, "looks": [2, 12]}, "controls": []}, "the first look of 1 arms is at 3"),
        ({"seeds": LOOKS, "judge": {"metric": "AP50", "split": "test"}}, "test has no looks"),
        ({"seeds": LOOKS, "judge": {"metric": "AP50", "method": "dunnett"}}, "not by 'dunnett'"),
        (
            {
                "seeds": LOOKS,
                "design": "factorial",
                "controls": [],
                "changes": [cell("a", "train.epochs"), cell("b", "train.batch")],
            },
            "a factorial has no looks",
        ),
    ],
)
def test_looks_that_cannot_be_are_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        tiny(**changes)


def test_one_arm_may_be_looked_at_after_three_seeds() -> None:
    assert tiny(seeds={"max": 4, "looks": [3, 4]}, controls=[]).seeds.looks == (3, 4)
