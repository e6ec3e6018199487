"""Composers of one cache at once, at the moments where one acts between two steps of another."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.photo_digits import compose, store
from ablab.tasks.detection.formats.photo_digits.sources import load_glyphs
from ablab.tasks.detection.formats.reading import read_image
from ablab.tasks.detection.recipe import DetectionData

DATA = DetectionData(classes=3, size=64, scenes=(2, 1, 1))
handwriting = cache(load_glyphs)


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("ABLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(store, "load_glyphs", handwriting)
    return tmp_path / "photo-digits"


def images() -> list[np.ndarray]:
    """What a caller of `compose` gets to see."""
    splits: dict[str, tuple[Annotation, ...]] = compose(DATA)[1]
    return [read_image(a.path) for found in splits.values() for a in found]


@pytest.mark.parametrize("put", [False, True], ids=["moved away", "moved away and composed anew"])
def test_a_damaged_cache_that_another_process_is_first_to_replace(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put: bool
) -> None:
    expected = images()
    (folder,) = root.iterdir()
    whole = Path(shutil.copytree(folder, tmp_path / "whole"))
    (folder / "test" / "000000.png").unlink()
    read, found = store._read, []

    def meanwhile(asked: Path) -> store.Scenes | None:
        found.append(read(asked))
        if len(found) == 2:  # the second look, after composing and just before the damaged folder is moved
            asked.rename(tmp_path / "elsewhere")
            if put:
                whole.rename(asked)
        return found[-1]

    monkeypatch.setattr(store, "_read", meanwhile)
    seen = images()
    assert found[:2] == [None, None]
    assert all(np.array_equal(a, b) for a, b in zip(seen, expected, strict=True))
    assert [path.name for path in root.iterdir()] == [folder.name]


def test_another_composer_that_ends_while_leftovers_are_swept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir()
    ending, listed = root / ".composing-other", []

    def glob(path: Path, pattern: str) -> list[Path]:
        listed.append(pattern)
        return [ending]  # it was there when the folder was listed, and is gone when it is looked at

    monkeypatch.setattr(Path, "glob", glob)
    assert len(images()) == 4
    assert listed == [".composing-*"]
