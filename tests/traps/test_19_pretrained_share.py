"""Trap 19: an added module changes how many pretrained weights load (210 of 373 against 355 of 355)."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm

from ablab.engine import checkpoint
from ablab.measure.seeding import forked
from ablab.recipe import Edit
from ablab.records import RunKey, RunRecord
from ablab.study import spec
from ablab.study.build import Made, build
from ablab.study.design import Arm, arms
from ablab.study.judge import warnings
from ablab.tasks.detection.task import Detection

STUDY = spec.build(
    {
        "name": "s",
        "baseline": {"task": "detection"},
        "changes": [
            {"name": name, "edits": [{"op": "insert", "after": "backbone.out", "part": name}]}
            for name in ("cbam", "se")
        ],
    },
    "s.yaml",
    Path.cwd(),
)


def record(arm: str, seed: int, share: float) -> RunRecord:
    return RunRecord(RunKey("s", arm, seed, "f" * 16), "done", batch_hash="same", weights_loaded=share)


def test_an_arm_that_loaded_less_is_named() -> None:
    records = [record("baseline", 0, 355 / 355), record("cbam", 0, 210 / 373), record("se", 0, 1.0)]
    said = warnings(arms(STUDY), records)
    assert said == ["cbam loaded another share of the pretrained weights than the baseline (seeds 0)"]


def test_equal_shares_are_no_warning() -> None:
    assert warnings(arms(STUDY), [record(arm, 0, 0.9) for arm in ("baseline", "cbam", "se")]) == []


def arm(edits: list[dict[str, object]], start: Path | None, **model: object) -> Arm:
    recipe = {
        "task": "detection",
        "model": model,
        "data": {"path": "photo-digits", "classes": 3, "size": 64, "scenes": [6, 3, 3]},
        "train": {"image_size": 64, "threads": 1},
        "start": {"weights": str(start)} if start else None,
    }
    made = spec.recipe(recipe, "here", Path.cwd())
    return Arm("arm", "change", "", made, tuple(Edit.model_validate(edit) for edit in edits), stream="s")


def built(one: Arm) -> Made:
    return build(Detection(one.recipe), one, 0)  # type: ignore[arg-type]


DROPS = [{"op": "replace", "of": "backbone.stage5.1", "part": "se"}]  # of another kind, in the place of weights
KEEPS = [{"op": "insert", "after": "backbone.stage4", "part": "se"}]  # the stage's own names change to `...host...`


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of an unoperated network, as a file."""
    path = tmp_path_factory.mktemp("start") / "weights.safetensors"
    checkpoint.save_weights(path, built(arm([], None)).model)
    return path


def test_a_real_build_counts_what_an_edit_dropped(pretrained: Path) -> None:
    baseline, drops, keeps = (built(arm(edits, pretrained)) for edits in ([], DROPS, KEEPS))
    assert baseline.weights_loaded == keeps.weights_loaded == 1.0
    state = checkpoint.read_weights(pretrained)
    state.pop("head.anchors")  # a constant of the network
    lost = [name for name in state if name.startswith("backbone.stage5.1.")]
    assert len(lost) > 20
    assert drops.weights_loaded == (len(state) - len(lost)) / len(state)
    assert built(arm(DROPS, None)).weights_loaded is None


def test_an_edit_of_a_pretrained_backbone_counts_too(tmp_path: Path) -> None:
    with forked("whole"):
        whole = timm.create_model("mobilenetv3_small_100").state_dict()
    checkpoint.save_weights(tmp_path / "w.safetensors", whole)

    def backbone(pretrained: bool | str) -> dict[str, object]:
        return {"part": "timm", "args": {"name": "mobilenetv3_small_100", "pretrained": pretrained}}

    edits = [{"op": "replace", "of": "relu", "part": "frelu", "within": "backbone.**"}]
    file = str(tmp_path / "w.safetensors")
    assert built(arm([], None, backbone=backbone(file))).weights_loaded == 1.0
    assert built(arm(edits, None, backbone=backbone(file))).weights_loaded == 1.0  # activations hold no weights
    gone = [{"op": "remove", "of": "backbone.body.net.blocks.4.2"}]
    share = built(arm(gone, None, backbone=backbone(file))).weights_loaded
    assert share is not None
    assert 0.5 < share < 1.0
    assert built(arm(gone, None, backbone=backbone(False))).weights_loaded is None
