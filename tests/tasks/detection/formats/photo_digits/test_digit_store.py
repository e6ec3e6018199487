"""The cache: the same bytes from the same seed, whole or absent whatever happens, and frozen evaluation splits."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ablab.errors import DataError, StoreError
from ablab.tasks.detection.formats.dataset import manifest, open_dataset
from ablab.tasks.detection.formats.photo_digits import compose, store
from ablab.tasks.detection.formats.photo_digits.sources import BLOCKS, PHOTOGRAPHS
from ablab.tasks.detection.formats.reading import read_image
from ablab.tasks.detection.recipe import DetectionData

DATA = DetectionData(classes=3, size=64, scenes=(5, 3, 3))


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, glyphs: np.ndarray) -> Path:
    """A cache of the test's own, and handwriting that is at hand."""
    monkeypatch.setenv("ABLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "load_glyphs", lambda: glyphs)
    return tmp_path / "cache"


def contents(root: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too, with the hash of its bytes."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_scenes_are_images_of_the_size_and_classes_asked(cache: Path) -> None:
    classes, splits = compose(DATA)
    assert classes == ("0", "1", "2")
    assert {split: len(found) for split, found in splits.items()} == {"train": 5, "validation": 3, "test": 3}
    for split, found in splits.items():
        for number, a in enumerate(found):
            assert a.id == f"{split}-{number:06d}"
            assert read_image(a.path).shape == (a.height, a.width, 3) == (64, 64, 3)
            assert a.boxes.shape == (len(a.labels), 4)
            assert len(a.difficult) == len(a.crowd) == len(a.labels)
            assert not a.difficult.any()
            assert a.group in {photo.name for photo in PHOTOGRAPHS if photo.split == split}


def test_all_ten_digits_are_the_default(cache: Path) -> None:
    assert compose(DetectionData(size=64, scenes=(1, 1, 1)))[0] == tuple("0123456789")


def test_a_seed_gives_the_same_bytes_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for place, seed in (("a", 0), ("b", 0), ("c", 1)):
        monkeypatch.setenv("ABLAB_CACHE", str(tmp_path / place))
        compose(DATA.model_copy(update={"seed": seed}))
        found.append({Path(name).name: digest for name, digest in contents(tmp_path / place).items()})
    assert found[0] == found[1]
    assert not set(found[0].values()) & set(found[2].values()), "another seed gave one and the same file"


def test_a_scene_does_not_depend_on_how_many_there_are(cache: Path) -> None:
    few = compose(DATA)[1]
    many = compose(DATA.model_copy(update={"scenes": (9, 4, 3)}))[1]
    for split in few:
        for one, other in zip(few[split], many[split], strict=False):
            assert one.path.read_bytes() == other.path.read_bytes()
            np.testing.assert_array_equal(one.boxes, other.boxes)


def test_no_two_scenes_are_alike(cache: Path) -> None:
    compose(DATA)
    images = [digest for name, digest in contents(cache).items() if name.endswith(".png")]
    assert len(set(images)) == len(images) == 11


def test_each_split_is_composed_from_its_own_handwriting(
    cache: Path, glyphs: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out = store.lay_out
    used: list[slice] = []

    def spy(given: np.ndarray, *rest: object) -> object:
        used.append(next(block for block in BLOCKS.values() if np.array_equal(given, glyphs[:, block])))
        return lay_out(given, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "lay_out", spy)
    compose(DATA)
    assert used == [BLOCKS["train"]] * 5 + [BLOCKS["validation"]] * 3 + [BLOCKS["test"]] * 3


def test_validation_and_test_are_frozen(cache: Path) -> None:
    """Boxes, labels and photographs by arithmetic alone. Where this changes, raise COMPOSER."""
    splits = compose(DetectionData(scenes=(1, 20, 20)))[1]
    rows = [[a.id, a.boxes.tolist(), a.labels.tolist(), a.group] for s in ("validation", "test") for a in splits[s]]
    assert hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16] == "d7ca753355583e54"


def test_the_manifest_follows_the_seed(cache: Path) -> None:
    manifests = [manifest(open_dataset(DATA.model_copy(update={"seed": seed}))) for seed in (0, 0, 1)]
    assert manifests[0] == manifests[1] != manifests[2]


def test_what_is_composed_is_not_composed_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compose(DATA)[1]
    monkeypatch.setattr(store, "_compose", lambda *_: pytest.fail("composed again"))
    again = compose(DATA)[1]
    assert [a.boxes.tolist() for a in again["train"]] == [a.boxes.tolist() for a in first["train"]]


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "index", "boxes", "no index", "list"])
def test_a_damaged_cache_is_composed_again(cache: Path, damage: str) -> None:
    image = compose(DATA)[1]["test"][1].path
    before = contents(cache)
    index = image.parents[1] / "scenes.json"
    if damage == "flip":
        data = bytearray(image.read_bytes())
        data[len(data) // 2] ^= 1
        image.write_bytes(data)
    elif damage == "cut":
        image.write_bytes(image.read_bytes()[:-1])
    elif damage == "remove":
        image.unlink()
    elif damage == "index":
        index.write_text(index.read_text()[:-20])
    elif damage == "boxes":
        index.write_text(index.read_text().replace('"labels":[', '"labels":[2,', 1))
    elif damage == "no index":
        index.unlink()
    else:
        index.write_text("[1, 2]")
    compose(DATA)
    assert contents(cache) == before


def test_a_killed_composer_leaves_nothing_that_is_taken_for_a_cache(cache: Path) -> None:
    script = (
        "import os, signal\n"
        "from ablab.tasks.detection.formats.photo_digits import compose\n"
        "from ablab.tasks.detection.recipe import DetectionData\n"
        "data = DetectionData(classes=3, size=64, scenes=(5, 3, 3))\n"
        "compose(data, lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if done == 8 else None)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (cache / "photo-digits").iterdir()
    assert left.name.startswith(".composing-")
    compose(DATA)
    assert len(list((cache / "photo-digits").glob("[!.]*"))) == 1
    assert left.is_dir(), "it might have been at work"
    os.utime(left, (0, 0))
    compose(DATA.model_copy(update={"seed": 1}))
    assert not left.exists(), "an hour later it is not"


def test_an_interrupted_composer_cleans_up(cache: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compose(DATA, interrupt)
    assert contents(cache) == {}


def test_many_at_once_end_with_one_whole_cache(cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(compose, [DATA] * 4))
    images = [[a.path.read_bytes() for split in splits.values() for a in split] for _, splits in found]
    assert images.count(images[0]) == 4
    assert len(list((cache / "photo-digits").iterdir())) == 1


def test_progress_ends_at_the_number_of_scenes(cache: Path) -> None:
    seen: list[tuple[int, int]] = []
    compose(DATA, lambda done, total: seen.append((done, total)))
    assert seen == [(done, 11) for done in range(1, 12)]


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ABLAB_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match=r"cannot compose photo-digits into .*file.*ABLAB_CACHE"):
        compose(DATA)


def test_a_full_disk_is_said_and_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = Path.write_bytes, []

    def full(path: Path, data: bytes) -> int:
        written.append(path)
        if len(written) > 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="No space left on device; make room"):
        compose(DATA)
    assert contents(cache) == {}


def test_without_a_variable_the_users_cache_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ABLAB_CACHE")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / name))
    assert store.cache() == tmp_path / "ablab"


@pytest.mark.parametrize("scenes", [(0, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_a_split_without_scenes_is_refused(cache: Path, scenes: tuple[int, int, int]) -> None:
    with pytest.raises(DataError, match="at least one scene each of train, validation, test"):
        compose(DATA.model_copy(update={"scenes": scenes}))
