"""The next study: its file reads back as what was meant, and what cannot be built is left out with its reason."""

from dataclasses import dataclass, field

import pytest
import yaml

from ablab.config import override
from ablab.diagnose import next_study
from ablab.diagnose.next_study import as_yaml, priced, read
from ablab.engine.events import Silent
from ablab.findings import Proposal
from ablab.recipe import Edit
from ablab.study.design import BASELINE, Arm, arms
from ablab.study.spec import Judge
from ablab.tasks.detection.recipe import DetectionRecipe

RECIPE = override(
    DetectionRecipe(),
    {
        "data.classes": 3,
        "data.size": 64,
        "data.scenes": [8, 4, 4],
        "train.image_size": 64,
        "train.batch": 2,
        "train.epochs": 1,
        "train.threads": 1,
        "anchors": [[[8, 9], [10, 11], [12, 13]], [[20, 20], [22, 30], [30, 22]], [[40, 40], [44, 60], [60, 44]]],
        "optimizer.lr": 0.004,
    },
)


@dataclass
class Run:
    """What of a patient a study wants."""

    arm: Arm = field(default_factory=lambda: Arm(BASELINE, "baseline", "", RECIPE))
    judge: Judge = field(default_factory=lambda: Judge(metric="AP50", smallest_interesting=0.03))


LARGER = Proposal("larger", "small objects", ("objects too small",), {"train.image_size": 96})
CBAM = Proposal(
    "cbam", "attention", ("errors: background",), edits=({"op": "insert", "after": "backbone.out", "part": "cbam"},)
)
LOOK = Proposal("look", "labels", ("labels misplaced",), todo="look through suspects.csv")


def test_the_file_reads_back_as_the_runs_recipe_with_a_change_a_ready_proposal():
    text = as_yaml(next_study.next_study(Run(), [LARGER, CBAM, LOOK]))  # type: ignore[arg-type]
    study = read(yaml.safe_load(text))
    assert study.baseline == RECIPE
    assert [(change.name, change.because) for change in study.changes] == [
        ("larger", "small objects"), ("cbam", "attention")
    ]  # fmt: skip
    assert study.judge == Run().judge
    assert len(study.seeds) == 5
    assert [arm.name for arm in arms(study)] == ["baseline", "larger", "cbam"]


def test_an_arm_with_edits_is_a_change_and_its_edits_are_in_every_other():
    own = Edit(op="replace", of="silu", part="hardswish")
    arm = Arm("hard", "change", "cheaper", RECIPE, (own,))
    study = read(next_study.next_study(Run(arm), [LARGER, CBAM]))  # type: ignore[arg-type]
    assert study.name == "next-hard"
    assert [[edit.part for edit in change.edits] for change in study.changes] == [
        ["hardswish"], ["hardswish"], ["hardswish", "cbam"]
    ]  # fmt: skip


@pytest.mark.usefixtures("_cache")
def test_prices_are_ratios_and_what_cannot_be_built_is_left_out_with_its_reason():
    broken = Proposal(
        "broken", "?", ("dead layer",), edits=({"op": "insert", "after": "nowhere.at.all", "part": "se"},)
    )
    longer = Proposal("longer", "too short", ("too short",), {"train.epochs": 9})
    kept, costs, notes = priced(Run(), [LARGER, broken, LOOK, longer], Silent())  # type: ignore[arg-type]
    assert [each.name for each in kept] == ["larger", "look", "longer"]
    assert (costs["longer"]["flops"], costs["longer"]["latency_ms"]) == (1, 1)
    assert costs["longer"]["train_seconds"] > 1
    assert costs["larger"]["parameters"] == 1
    assert costs["larger"]["flops"] == pytest.approx(96**2 / 64**2, rel=0.01)
    assert set(costs) == {"larger", "longer"}
    assert len(notes) == 1
    assert "broken" in notes[0]
    assert "nowhere.at.all" in notes[0]


def test_without_a_ready_proposal_nothing_is_priced():
    assert priced(Run(), [LOOK], Silent()) == ([LOOK], {}, [])  # type: ignore[arg-type]
