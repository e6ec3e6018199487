"""The chapters and the proposals: each fault planted by hand is found, none on clean data, and all of it is JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ablab.config import diff, override
from ablab.contracts import Items
from ablab.findings import Case, Chapter, Finding, Proposal
from ablab.records import plain_json
from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.diagnosis.advice import accepts, advise
from ablab.tasks.detection.diagnosis.chapters import read_chapters
from ablab.tasks.detection.diagnosis.remedies import REMEDIES
from ablab.tasks.detection.diagnosis.worklists import LEAKED, SPLITS, SUSPECTS
from ablab.tasks.detection.formats.dataset import Dataset, open_dataset
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.writing import WRITERS, put_by
from ablab.tasks.detection.recipe import DetectionRecipe
from planted import CLASSES, HEIGHT, WIDTH, plant

RECIPE = DetectionRecipe.model_validate({"train": {"image_size": (480, 640)}})
FACTS = {"classes": list(CLASSES), "anchors": DEFAULT.tolist()}
PROVEN = {
    "labels misplaced",
    "labels misnamed",
    "labels missing",
    "class without examples",
    "test images in train",
    "objects too small",
    "anchors misfit",
    "rare class",
}


def annotated(items: Items, folder: Path, prefix: str = "") -> tuple[Annotation, ...]:
    """The truths of some evidence as annotations; no image is written."""
    made = []
    for row, name in enumerate(items["images"].tolist()):
        mine = items["truth_image"] == row
        none = np.zeros(int(mine.sum()), bool)
        path = folder / f"{prefix}{name}.png"
        boxes, labels = items["truth_box"][mine].clip(0, [WIDTH, HEIGHT] * 2), items["truth_label"][mine]
        made.append(Annotation(prefix + name, path, WIDTH, HEIGHT, boxes, labels, none, none))
    return tuple(made)


def dataset(items: Items, folder: Path = Path("nowhere")) -> Dataset:
    train = annotated(plant(50).clean, folder, "t")
    return Dataset("made", CLASSES, {"train": train, "validation": annotated(items, folder), "test": ()})


def case(items: Items, **more: Any) -> Case:
    fields = {"images": False, "replicates": 20} | more
    return Case({"validation": items}, {"threshold": 0.4}, "validation", Path("out"), **fields)


def faults(found: tuple[Chapter, ...]) -> dict[str, Finding]:
    return {finding.fault: finding for chapter in found for finding in chapter.findings}


def without(images: tuple[Annotation, ...], label: int, keep: int = 0) -> tuple[Annotation, ...]:
    """Annotations with only the first `keep` labels of a class."""
    made = []
    for image in images:
        here = image.labels != label
        if keep and not here.all():
            here[np.flatnonzero(~here)[0]] = True
            keep -= 1
        columns = {name: getattr(image, name)[here] for name in ("boxes", "labels", "difficult", "crowd")}
        made.append(replace(image, **columns))
    return tuple(made)


def test_nothing_is_proven_on_clean_data_and_numbers_are_json() -> None:
    items = plant(0).items
    found = read_chapters(case(items), RECIPE, dataset(items), FACTS)
    assert [chapter.name for chapter in found] == ["errors", "data"]
    assert not PROVEN & set(faults(found))
    for chapter in found:
        assert json.dumps(plain_json(chapter.numbers), allow_nan=False)
    assert found[0].numbers["errors"]["costs"][0]["ap50_interval"] is not None
    assert found[1].files[SUSPECTS].startswith(b"split,image,kind,suspicion,label,")


@pytest.mark.parametrize(
    ("planted", "fault"), [("class", "labels misnamed"), ("place", "labels misplaced"), ("missing", "labels missing")]
)
def test_faults_of_labels(planted: str, fault: str) -> None:
    items = plant(1, planted, share=0.15, images=150).items
    data = dataset(items)
    found = read_chapters(case(items), RECIPE, data, FACTS)
    assert PROVEN & set(faults(found)) == {fault}
    assert faults(found)[fault].severity >= 0.8
    first = advise(case(items), found, RECIPE, data)[0]
    assert first.faults[0] == fault
    assert SUSPECTS in first.todo
    assert first.gain is not None
    assert first.gain > 0.02


def test_a_poor_detector_gives_a_note_and_no_fault_of_labels() -> None:
    items = plant(1, "class", share=0.2, spread=0.2).items
    found = read_chapters(case(items), RECIPE, dataset(items), FACTS)
    assert not {"labels misnamed", "labels misplaced", "labels missing"} & set(faults(found))
    assert any("too poor to judge" in note for note in found[1].notes)


def test_a_class_without_examples_and_a_rare_one() -> None:
    items = plant(2).items
    data = dataset(items)
    lacks = replace(data, splits=data.splits | {"train": without(data.splits["train"], 2)})
    found = read_chapters(case(items), RECIPE, lacks, FACTS)
    assert faults(found)["class without examples"].severity == 1
    assert "grain" in faults(found)["class without examples"].sentence
    assert "label objects of grain" in advise(case(items), found, RECIPE, lacks)[0].todo
    rare = replace(data, splits=data.splits | {"train": without(data.splits["train"], 2, keep=6)})
    found = read_chapters(case(items), RECIPE, rare, FACTS)
    assert faults(found)["rare class"].severity < 0.8
    proposals = {p.name: p for p in advise(case(items), found, RECIPE, rare)}
    assert proposals["oversample"].set == {"data.sampler": {"part": "oversample", "args": {"threshold": 0.4}}}
    assert proposals["focal"].set == {"loss.classification": "focal"}


def test_objects_too_small_and_anchors_too_large() -> None:
    items = plant(3).items
    data = dataset(items)
    tiny = override(RECIPE, {"train.image_size": [96, 96]})
    found = read_chapters(case(items), tiny, data, FACTS | {"anchors": (DEFAULT * 10).tolist()})
    assert faults(found)["objects too small"].severity >= 0.8
    assert faults(found)["anchors misfit"].severity >= 0.8
    proposals = {p.name: p for p in advise(case(items), found, tiny, data)}
    larger = next(p for name, p in proposals.items() if name.startswith("image-size"))
    assert larger.gain is not None
    grown = override(tiny, larger.set)
    assert "objects too small" not in faults(read_chapters(case(items), grown, data, FACTS))
    assert proposals["anchors-refit"].set == {"anchors": "refit"}
    assert override(tiny, proposals["anchor-free"].set).model.head == "anchor-free"
    free = read_chapters(case(items), tiny, data, {"classes": list(CLASSES)})
    assert "anchors misfit" not in faults(free)


def test_leaks_and_the_splits_without_them(tmp_path: Path) -> None:
    """Three of ten test images are in train, under other names; the file that is proposed opens and has no copy."""
    rng = np.random.default_rng(0)

    def scene(name: str) -> Annotation:
        path = tmp_path / f"{name}.png"
        coarse = rng.integers(0, 256, (16, 16, 3), np.uint8)
        cv2.imwrite(str(path), cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC))
        none = np.zeros(1, bool)
        return Annotation(name, path, 64, 64, np.array([[8, 8, 40, 40.0]]), np.zeros(1, int), none, none)

    splits = {split: tuple(scene(f"{split}{i}") for i in range(10)) for split in ("train", "validation", "test")}
    copies = tuple(replace(image, id=f"again{row}") for row, image in enumerate(splits["test"][:3]))
    for row, image in enumerate(copies):
        path = tmp_path / f"again{row}.png"
        path.write_bytes(image.path.read_bytes())
        splits["train"] += (replace(image, path=path),)
    WRITERS["coco"](Layout("coco", tmp_path / "data", ("cell",), splits), tmp_path / "data", put_by(link=False))
    recipe = override(DetectionRecipe(), {"data.path": str(tmp_path / "data"), "train.image_size": 64})
    data = open_dataset(recipe.data)
    items = plant(4).items
    asked = replace(case(items, images=True), folder=tmp_path)
    found = read_chapters(asked, recipe, data, {"classes": ["cell"]})
    assert faults(found)["test images in train"].severity == 1
    assert dict(faults(found)["test images in train"].evidence)["share of test in train"] == pytest.approx(0.3)
    assert found[1].files[LEAKED].count(b"\n") == 4
    (tmp_path / SPLITS).write_bytes(found[1].files[SPLITS])
    change = next(p for p in advise(asked, found, recipe, data) if p.name == "splits-without-copies")
    honest = open_dataset(override(recipe, change.set).data)
    assert {split: len(images) for split, images in honest.splits.items()} == dict.fromkeys(splits, 10)
    assert not any("again" in image.id for image in honest.splits["train"])


def test_a_missing_image_folder_gives_notes() -> None:
    items = plant(5).items
    found = read_chapters(case(items, images=True), RECIPE, dataset(items), FACTS)
    assert any("image files are not there" in note for note in found[1].notes)
    assert any("no crops" in note for note in found[1].notes)


def test_evidence_without_objects_gives_notes() -> None:
    items = plant(6, images=3).items
    items = items | {"truth_ignore": np.ones_like(items["truth_ignore"])}
    found = read_chapters(case(items), RECIPE, dataset(items), FACTS)
    assert "nothing to miss" in found[0].notes[0]
    assert any("could not be judged" in note for note in found[1].notes)


def test_operating_points_and_the_shift_against_another_run() -> None:
    items, low = plant(7).items, plant(7).items
    low = low | {"detection_score": low["detection_score"] - np.float32(0.2) * low["detection_score"]}
    goals = {"recall at precision": 0.95, "false positives per image": 0.1, "wishes": 1.0}
    found = read_chapters(case(low, goals=goals, against=(items, {"threshold": 0.4})), RECIPE, dataset(items), FACTS)
    points = found[0].numbers["operating"]
    assert [each["goal"] for each in points] == ["recall at precision", "false positives per image"]
    assert points[0]["point"]["precision"] >= 0.95
    assert points[1]["point"]["false_positives_per_image"] <= 0.1
    assert "scores shifted" in faults(found)
    assert any("wishes" in note for note in found[0].notes)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"model.head": "anchor-free"},
        {"loss.classification": "ce", "augment.mosaic": 1.0, "postprocess.nms": "diou"},
        {"loss.box": "giou", "loss.box_gain": 0.5, "train.freeze": ["backbone.*"], "start": {"weights": "w"}},
        {"anchors": "refit", "loss.label_smoothing": 0.1, "postprocess.nms": "soft", "model.pool": "aspp"},
    ],
)
def test_every_proposal_is_taken_by_the_recipe_and_changes_it(settings: Mapping[str, Any]) -> None:
    items = plant(8, "class", share=0.2).items
    recipe, data = override(RECIPE, settings), dataset(items)
    every = tuple(Finding(fault, 0.5, (("number", 1.0),), "It is so.") for fault in REMEDIES)
    proposals = advise(case(items), [Chapter("any", {}, every)], recipe, data)
    assert {fault for p in proposals for fault in p.faults} >= PROVEN - {"rare class", "anchors misfit"} - {
        "objects too small"  # nothing is, at this size
    }
    for each in proposals:
        _check(each, recipe)
    assert len({p.name for p in proposals}) == len(proposals)


def _check(proposal: Proposal, recipe: DetectionRecipe) -> None:
    assert proposal.because
    assert proposal.ready != bool(proposal.todo)
    assert (proposal.gain is None) == (proposal.bound == "")
    if proposal.ready:
        assert diff(recipe, override(recipe, proposal.set))
        assert accepts(recipe, proposal.set, len(CLASSES))


def test_what_a_recipe_refuses_or_has_is_no_proposal() -> None:
    assert not accepts(RECIPE, {"anchors": "auto"}, 3)
    assert not accepts(RECIPE, {"loss.label_smoothing": 0.1}, 1)
    assert not accepts(RECIPE, {"loss.boxes": "siou"}, 3)
    assert accepts(RECIPE, {"loss.label_smoothing": 0.1}, 3)
