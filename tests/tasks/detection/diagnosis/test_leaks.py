"""Copies that were planted between splits are found, and what they flatter is taken off."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ablab.tasks.detection.boxes import Annotation, Detections, Truth
from ablab.tasks.detection.diagnosis.leaks import flattered, leaks
from ablab.tasks.detection.formats.dataset import Dataset
from ablab.tasks.detection.metrics.meter import DetectionMeter


def annotation(path: Path) -> Annotation:
    none = np.zeros(1, bool)
    return Annotation(path.stem, path, 64, 64, np.array([[8, 8, 24, 24.0]]), np.zeros(1, int), none, none)


def photographs(folder: Path, split: str, count: int, seed: int) -> list[Path]:
    rng = np.random.default_rng(seed)
    paths = [folder / f"{split}{i}.png" for i in range(count)]
    for path in paths:
        coarse = rng.integers(0, 256, (16, 16, 3), np.uint8)
        cv2.imwrite(str(path), cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC))
    return paths


def dataset(**splits: list[Path]) -> Dataset:
    return Dataset("made", ("cell",), {split: tuple(map(annotation, paths)) for split, paths in splits.items()})


def test_planted_copies_are_found_and_nothing_else(tmp_path: Path) -> None:
    train, validation, test = (
        photographs(tmp_path, split, count, seed)
        for seed, (split, count) in enumerate({"train": 6, "validation": 4, "test": 4}.items())
    )
    same = tmp_path / "test-same.png"
    same.write_bytes(train[1].read_bytes())
    like = tmp_path / "test-like.jpg"
    cv2.imwrite(str(like), cv2.imread(str(train[2])), [cv2.IMWRITE_JPEG_QUALITY, 60])
    twice = tmp_path / "train-twice.png"
    twice.write_bytes(train[0].read_bytes())
    made = dataset(train=[*train, twice], validation=[*validation, train[3]], test=[*test, same, like])
    seen = leaks(made, workers=1)
    assert seen.splits["train"].leaked == ()
    assert seen.splits["train"].repeated == ("train-twice",)
    assert seen.splits["validation"].leaked == ("train3",)
    assert seen.splits["validation"].share == pytest.approx(1 / 5)
    assert set(seen.splits["test"].leaked) == {"test-same", "test-like"}
    assert seen.splits["test"].share == pytest.approx(2 / 6)
    assert len(seen.found) == 4


def test_a_clean_set_has_none_and_an_empty_split_no_share(tmp_path: Path) -> None:
    seen = leaks(
        dataset(train=photographs(tmp_path, "train", 5, 3), validation=photographs(tmp_path, "v", 5, 4), test=[])
    )
    assert seen.found == ()
    assert seen.splits["validation"].share == 0
    assert np.isnan(seen.splits["test"].share)


def test_the_score_without_what_leaked() -> None:
    """Four images, of which the two that leaked are found and the others are not: AP50 falls to 0."""
    meter = DetectionMeter(("cell",))
    box, one, no = np.array([[0, 0, 10, 10.0]]), np.zeros(1, int), np.zeros(1, bool)
    for name, right in {"a": True, "b": True, "c": False, "d": False}.items():
        found = Detections(box + 0 if right else box + 50, np.full(1, 0.9), one)
        meter.update([found], [Truth(name, box, one, np.full(1, 100.0), no, no)])
    items = meter.items()
    everything, honest = flattered(items, ("a", "b"))
    assert everything == pytest.approx(float(meter.score(items, {})["AP50"][0]))
    assert everything > 0.4
    assert honest == 0
    assert np.isnan(flattered(items, ("a", "b", "c", "d"))[1])
