"""Intervals for new images, from evidence made by hand: against binomial standard errors, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as reference
from tiny_study import tiny

from ablab.records import RunKey, RunRecord, Status, write_items, write_json
from ablab.study import images
from ablab.study.design import arms
from ablab.study.judge import judge
from ablab.study.spec import Study
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics.meter import DetectionMeter

BOX = np.array([[10.0, 10.0, 40.0, 40.0]])
COUNT = 400
METRIC = "recall@0.5"  # with one object an image: the share of images whose object was found


def asked(**judge: Any) -> Study:
    return tiny(controls=[], seeds=5, judge={"metric": METRIC, "smallest_interesting": 0.05, **judge})


def evidence(found: np.ndarray, group: list[str] | None = None) -> dict[str, np.ndarray]:
    """One object an image, found where `found` (I,) says so."""
    meter = DetectionMeter(["0"])
    none = np.zeros(1, bool)
    for i, here in enumerate(found):
        truth = Truth(f"{i // 10:02}-{i % 10}", BOX, none.astype(int), np.full(1, 900.0), none, none)
        if group:
            truth = Truth(**vars(truth) | {"group": group[i]})
        seen = Detections(BOX[: int(here)], np.full(int(here), 0.9), np.zeros(int(here), int))
        meter.update([seen], [truth])
    return meter.items()


class Folder:
    """A study's folder with evidence and records, and no training."""

    def __init__(self, path: Path, study: Study) -> None:
        self.path, self.study = path, study
        self.records: list[RunRecord] = []

    def add(self, arm: str, seed: int, items: dict[str, np.ndarray] | None, status: Status = "done") -> None:
        key = RunKey("tiny", arm, seed, "f" * 16)
        scores = {}
        if items is not None:
            place = self.path / key.folder
            recipe = self.study.baseline.model_dump(mode="json")
            facts = {"classes": items["classes"].tolist(), "anchors": [], "note": ""}
            write_json(place / "run.json", {"arm": {"recipe": recipe}, "facts": facts, "settings": {"threshold": 0.5}})
            write_items(place / f"items-{self.study.judge.split}.npz", items)
            found = DetectionMeter(items["classes"].tolist()).score(items, {"threshold": 0.5})
            scores = {name: float(values[0]) for name, values in found.items()} | {"own": 0.5}
        self.records.append(RunRecord(key, status, scores={"validation": scores}))

    def row(self, test: dict[str, dict[int, float]] | None = None) -> dict[str, Any]:
        document = judge(self.study, arms(self.study), self.records, test, self.path)
        return {row["arm"]: row for row in document["arms"]}["cbam"]


def half(interval: list[float]) -> float:
    return (interval[1] - interval[0]) / 2


def one_in(count: int) -> np.ndarray:
    return np.arange(COUNT) % count == 0


@pytest.mark.parametrize(("group", "size"), [("(.*)", 1), ("^(.*)-", 10)])
def test_images_alone_are_a_binomial(tmp_path: Path, group: str, size: int) -> None:
    """The same images are gained under every seed: a tenth of all, or of the groups; seeds bound nothing then."""
    folder = Folder(tmp_path, asked(group=group))
    unit = np.arange(COUNT) // size
    for seed in range(5):
        folder.add("baseline", seed, evidence(unit % 2 == 0))
        folder.add("cbam", seed, evidence((unit % 2 == 0) | (unit % 10 == 1)))
    found = folder.row()["population"]
    units = COUNT // size
    expected = reference.t.ppf(0.975, units - 1) * math.sqrt(0.1 * 0.9 / (units - 1))
    assert found["groups"] == units
    assert found["refused"] == ""
    assert found["seeds"] == [pytest.approx(0.1), pytest.approx(0.1)]
    assert half(found["images"]) == pytest.approx(expected, rel=0.1)
    assert sum(found["images"]) / 2 == pytest.approx(0.1)
    assert found["both"] == pytest.approx(found["images"])


def test_seeds_on_their_own_images_count_once(tmp_path: Path) -> None:
    """Each seed gains other images: the spread over images is the seeds' own, and `both` is no wider than needed."""
    folder = Folder(tmp_path, asked(group="(.*)"))
    rng = np.random.Generator(np.random.Philox(1))
    for seed in range(5):
        folder.add("baseline", seed, evidence(rng.random(COUNT) < 0.5))
        folder.add("cbam", seed, evidence(rng.random(COUNT) < 0.6))
    row = folder.row()
    found = row["population"]
    assert found["seeds"] == pytest.approx(row["interval"])
    alone = reference.t.ppf(0.975, COUNT - 1) * math.sqrt((0.5 * 0.5 + 0.6 * 0.4) / COUNT / 5)
    assert half(found["images"]) == pytest.approx(alone, rel=0.15)
    assert half(found["both"]) < math.hypot(half(found["seeds"]), half(found["images"]))
    assert half(found["both"]) >= half(found["seeds"])


def test_luck_with_images_cancels_between_equal_arms(tmp_path: Path) -> None:
    folder = Folder(tmp_path, asked(group="(.*)"))
    for seed in range(5):
        for arm in ("baseline", "cbam"):
            folder.add(arm, seed, evidence(one_in(seed + 2)))
    assert folder.row()["population"]["images"] == [0.0, 0.0]


def test_groups_that_the_data_set_states_are_kept_whole(tmp_path: Path) -> None:
    folder = Folder(tmp_path, asked())
    slides = [f"slide {i % 20}" for i in range(COUNT)]
    for seed in range(5):
        folder.add("baseline", seed, evidence(one_in(2), slides))
        folder.add("cbam", seed, evidence(one_in(1), slides))
    assert folder.row()["population"]["groups"] == 20


def test_few_groups_are_refused_in_the_record(tmp_path: Path) -> None:
    folder = Folder(tmp_path, asked(group="^([0-3])"))
    for seed in range(5):
        folder.add("baseline", seed, evidence(one_in(2)))
        folder.add("cbam", seed, evidence(one_in(1)))
    found = folder.row()["population"]
    assert found["groups"] == 4
    assert "fewer than 10" in found["refused"]
    assert found["images"] == found["both"] == [None, None]
    assert found["seeds"] == [pytest.approx(0.5), pytest.approx(0.5)]


def test_a_diverged_run_has_the_declared_score_in_every_replicate(tmp_path: Path) -> None:
    folder = Folder(tmp_path, asked(group="(.*)", on_divergence=0.2))
    for seed in range(5):
        folder.add("baseline", seed, evidence(np.ones(COUNT, bool)))  # found everywhere: 1 under any weights
        folder.add("cbam", seed, None, "diverged")
    found = folder.row()["population"]
    assert found["images"] == [pytest.approx(-0.8), pytest.approx(-0.8)]


@pytest.mark.parametrize(("metric", "words"), [("own", "'own' cannot be scored under weights"), (METRIC, "no file")])
def test_what_cannot_be_resampled_is_refused_with_the_reason(tmp_path: Path, metric: str, words: str) -> None:
    folder = Folder(tmp_path, asked(metric=metric))
    for seed in range(5):
        folder.add("baseline", seed, evidence(one_in(2)))
        folder.add("cbam", seed, evidence(one_in(3)))
    if metric == METRIC:
        (tmp_path / folder.records[3].key.folder / "items-validation.npz").unlink()
    row = folder.row()
    assert words in row["population"]["refused"]
    assert row["population"]["images"] == [None, None]
    assert row["population"]["seeds"] == row["interval"]


def test_other_images_are_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path, asked())
    for seed in range(5):
        folder.add("baseline", seed, evidence(one_in(2)))
        folder.add("cbam", seed, evidence(one_in(3)[:-1]))
    assert "other images" in folder.row()["population"]["refused"]


def test_no_pair_is_refused(tmp_path: Path) -> None:
    folder = Folder(tmp_path, asked())
    folder.add("baseline", 0, evidence(one_in(2)))
    found = folder.row()["population"]
    assert found["seeds"] == [None, None]
    assert found["refused"] == "no seed has a score on both sides"


def test_test_evidence_is_read_where_test_decides(tmp_path: Path) -> None:
    folder = Folder(tmp_path, asked(split="test", group="(.*)"))
    for seed in range(5):
        folder.add("baseline", seed, evidence(one_in(2)))
        folder.add("cbam", seed, evidence(one_in(1)))
    assert folder.row()["population"]["refused"] == "no seed has a score on both sides"  # before closing
    test = {"baseline": dict.fromkeys(range(5), 0.5), "cbam": dict.fromkeys(range(5), 1.0)}
    assert folder.row(test)["population"]["groups"] == COUNT


def test_replicates_are_kept_and_belong_to_what_was_asked(tmp_path: Path) -> None:
    folder = Folder(tmp_path, asked(group="(.*)"))
    for seed in range(5):
        folder.add("baseline", seed, evidence(one_in(2)))
        folder.add("cbam", seed, evidence(one_in(2) | one_in(3)))
    first = folder.row()["population"]
    for record in folder.records:
        (tmp_path / record.key.folder / "items-validation.npz").unlink()
    assert folder.row()["population"] == first
    folder.study = asked(group="(.*)", metric="AP50")
    assert "no file" in folder.row()["population"]["refused"]
    (tmp_path / images.CACHE).write_bytes(b"damaged")
    folder.study = asked(group="(.*)")
    assert "no file" in folder.row()["population"]["refused"]


def test_the_mean_of_several_arms(tmp_path: Path) -> None:
    """A factorial's main effect: (all, none) against (half, half) is no effect of 0.5 against 0.5, image by image."""
    study = asked(group="(.*)")
    folder = Folder(tmp_path, study)
    for seed in range(2):
        for arm, found in (("baseline", one_in(2)), ("a", one_in(1)), ("b", ~one_in(1)), ("c", ~one_in(2))):
            folder.add(arm, seed, evidence(found))
    row = {"arm": "with", "against": "without", "differences": {"0": 0.0, "1": 0.0}}
    sides = {"with": ["a", "b"], "without": ["baseline", "c"]}
    made = images.add_populations(tmp_path, study, folder.records, [row], sides)[0]["population"]
    assert made["images"] == pytest.approx([0.0, 0.0], abs=1e-12)


def test_a_factorials_effects_are_means_over_its_cells(tmp_path: Path) -> None:
    """`a` gains a tenth of the images with `b` or without; `b` gains nothing. Cells called as changes are not meant."""
    change = {"because": "why", "edits": [{"op": "insert", "after": "backbone.out", "part": "cbam"}]}
    second = {"name": "b", "because": "why", "set": {"optimizer.lr": 0.002}}
    study = tiny(
        design="factorial", controls=[], seeds=5, changes=[{"name": "a", **change}, second],
        judge={"metric": METRIC, "smallest_interesting": 0.05, "group": "(.*)"},
    )  # fmt: skip
    folder = Folder(tmp_path, study)
    tens = np.arange(COUNT) % 10
    for seed in range(5):
        for arm in arms(study):
            folder.add(arm.name, seed, evidence((tens % 2 == 0) | (("a" in arm.changes) & (tens == 1))))
    combined = judge(study, arms(study), folder.records, None, tmp_path)["factorial"]
    found = {row["arm"]: row["population"] for row in combined["main"] + combined["interactions"]}
    expected = reference.t.ppf(0.975, COUNT - 1) * math.sqrt(0.1 * 0.9 / (COUNT - 1))
    assert half(found["a"]["images"]) == pytest.approx(expected, rel=0.1)
    assert sum(found["a"]["images"]) / 2 == pytest.approx(0.1)
    assert found["b"]["images"] == pytest.approx([0, 0], abs=1e-12)
    assert found["a * b"]["images"] == pytest.approx([0, 0], abs=1e-12)


def test_the_draws_do_not_depend_on_how_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    items, meter = evidence(one_in(3)), DetectionMeter(["0"])
    labels = np.arange(COUNT) // 4
    whole = images.replicates(meter, items, {}, METRIC, labels, ("a",), 30)
    monkeypatch.setattr(images, "WEIGHTS_BYTES", 7 * 8 * COUNT)
    np.testing.assert_array_equal(images.replicates(meter, items, {}, METRIC, labels, ("a",), 30), whole)
    assert whole.std() > 0
