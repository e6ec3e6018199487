"""Dividing a data set: shares, groups, copies, folds, and what it says aloud."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from voc_folder import clean

from ablab.errors import ConfigError, DataError, UnknownName
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats import split
from ablab.tasks.detection.formats.dataset import open_dataset
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.layouts.recognise import read_layout
from ablab.tasks.detection.formats.split import Division, Wish, divide, read_parts, write_division
from ablab.tasks.detection.formats.stratify import deal, seats
from ablab.tasks.detection.recipe import DetectionData

CLASSES = ("car", "bus", "tram")


def image(name: str, labels: list[int], group: str = "", path: Path | None = None) -> Annotation:
    count = len(labels)
    boxes = np.tile([1.0, 1.0, 5.0, 5.0], (count, 1)).reshape(-1, 4)
    no = np.zeros(count, bool)
    return Annotation(name, path or Path(f"{name}.jpg"), 10, 10, boxes, np.array(labels, np.int64), no, no, group)


def layout(*images: Annotation, **splits: list[Annotation]) -> Layout:
    return Layout("voc", Path("set"), CLASSES, {k: tuple(v) for k, v in splits.items()} or {"all": images})


def mixed(count: int, seed: int = 0, groups: int = 0) -> list[Annotation]:
    """Images with many cars, some buses, few trams, and a tenth without objects."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        labels = [k for k, most in enumerate((8, 2, 1)) if rng.random() < (0.8, 0.3, 0.06)[k] for _ in range(most)]
        group = f"g{rng.integers(groups)}" if groups else ""
        made.append(image(f"{number:04d}", [] if rng.random() < 0.1 else labels, group))
    return made


def images_with(division: Division) -> dict[str, dict[str, int]]:
    """Images by part, of all classes ('') and of each."""
    return {
        part: {"": len(images)}
        | {name: sum(label in each.labels for each in images) for label, name in enumerate(division.classes)}
        for part, images in division.parts.items()
    }


def ids(division: Division) -> dict[str, set[str]]:
    return {part: {each.id for each in images} for part, images in division.parts.items()}


@given(st.integers(0, 2000), st.lists(st.floats(0.01, 9), min_size=1, max_size=6))
def test_seats_add_up_and_miss_by_less_than_one(total: int, parts: list[float]) -> None:
    shares = [part / sum(parts) for part in parts]
    whole = seats(total, shares)
    assert sum(whole) == total
    assert all(abs(number - share * total) < 1 for number, share in zip(whole, shares, strict=True))


@pytest.mark.parametrize(("parts", "sizes"), [((6, 2, 2), [60, 20, 20]), ((8, 2), [80, 20]), ((98, 1, 1), [98, 1, 1])])
@pytest.mark.parametrize("stratify", [True, False])
def test_parts_have_their_size_and_nothing_is_lost(parts: tuple[int, ...], sizes: list[int], stratify: bool) -> None:
    images = mixed(100)
    division = divide(layout(*images), Wish(parts=parts, stratify=stratify))
    assert list(division.parts) == ["train", "validation", "test"][: len(parts)]
    assert [len(part) for part in division.parts.values()] == sizes
    assert sorted(each.id for part in division.parts.values() for each in part) == [each.id for each in images]


def test_a_hand_computed_stratification() -> None:
    """Two trams, four buses, four cars, one class an image, in two equal parts: half of each class in each."""
    images = [image(f"{label}{n}", [label]) for label, count in ((2, 2), (1, 4), (0, 4)) for n in range(count)]
    for seed in range(20):
        division = divide(layout(*images), Wish(parts=(1, 1), seed=seed))
        for part in images_with(division).values():
            assert part == {"": 5, "car": 2, "bus": 2, "tram": 1}


def _unfairness(division: Division) -> float:
    """The mean distance between a part's share of a class's images and its share of all images."""
    counts = images_with(division)
    total = {name: sum(found[name] for found in counts.values()) for name in ("", *CLASSES)}
    return float(np.mean([abs(c[name] / total[name] - c[""] / total[""]) for c in counts.values() for name in CLASSES]))


def test_stratified_parts_are_fairer_than_random_ones() -> None:
    """Against chance, over twenty data sets: the classes' shares are off by less than a third as much."""
    off = {
        stratify: np.mean([
            _unfairness(divide(layout(*mixed(200, seed)), Wish((6, 2, 2), stratify=stratify, seed=seed)))
            for seed in range(20)
        ])
        for stratify in (True, False)
    }  # fmt: skip
    assert off[True] < off[False] / 3


@pytest.mark.parametrize("seed", range(10))
def test_a_part_misses_its_share_of_a_class_by_few_images(seed: int) -> None:
    counts = images_with(divide(layout(*mixed(200, seed)), Wish((6, 2, 2), seed=seed)))
    for (part, found), share in zip(counts.items(), (0.6, 0.2, 0.2), strict=True):
        for name, most in (("car", 3.0), ("bus", 1.5), ("tram", 1.0)):
            assert abs(found[name] - share * sum(c[name] for c in counts.values())) < most, (part, name)


def test_images_without_objects_are_shared_out_too() -> None:
    images = [image(f"{n:03d}", [] if n % 5 == 0 else [0]) for n in range(100)]
    parts = divide(layout(*images), Wish((6, 2, 2))).parts
    assert {part: sum(not len(each.labels) for each in found) for part, found in parts.items()} == {
        "train": 12, "validation": 4, "test": 4,
    }  # fmt: skip


@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_group_never_crosses_parts(stratify: bool, seed: int) -> None:
    images = mixed(300, seed, groups=40)
    division = divide(layout(*images), Wish((6, 2, 2), stratify=stratify, seed=seed))
    where = [{each.group for each in part} for part in division.parts.values()]
    assert sum(map(len, where)) == len(set.union(*where)) == 40
    sizes = [len(part) / 300 for part in division.parts.values()]
    assert sizes == pytest.approx([0.6, 0.2, 0.2], abs=0.02)
    assert "40 groups; the images of one stay together" in division.notes


def test_stratified_groups_are_fairer_than_random_ones() -> None:
    off = {
        stratify: np.mean([
            _unfairness(divide(layout(*mixed(400, seed, 60)), Wish((6, 2, 2), stratify=stratify, seed=seed)))
            for seed in range(10)
        ])
        for stratify in (True, False)
    }  # fmt: skip
    assert off[True] < off[False] / 1.5


@pytest.mark.parametrize(("pattern", "key"), [(r"^(\w+)_\d+$", 1), (r"^[a-z]+", 1)])
def test_groups_come_from_a_pattern_on_the_ids(pattern: str, key: int) -> None:
    images = [image(f"{camera}_{n}", [n % 3]) for camera in "abcdefghij" for n in range(4)]
    division = divide(layout(*images), Wish((6, 2, 2), group=pattern))
    where = [{name.split("_")[0] for name in part} for part in ids(division).values()]
    assert [len(part) for part in where] == [6, 2, 2]
    assert len(set.union(*where)) == 10


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    images = [image("a_1", [0]), image("b", [0])]
    with pytest.raises(ConfigError, match=r"'_' does not occur in 1 id \(b\); expected one that occurs in every id"):
        divide(layout(*images), Wish((8, 2), group="_"))
    with pytest.raises(ConfigError, match=r"is no regular expression: .*unterminated"):
        divide(layout(*images), Wish((8, 2), group="("))
    with pytest.raises(ConfigError, match="the data set states no groups"):
        divide(layout(*images), Wish((8, 2), group="group"))


def test_copies_stay_in_one_part_even_across_groups(tmp_path: Path) -> None:
    """A copy ties two groups together."""
    images = []
    for n in range(40):
        path = tmp_path / f"{n}.jpg"
        path.write_bytes(b"same" if n in (3, 17, 31) else f"{n:04d}".encode())
        images.append(image(f"{n:02d}", [0], f"g{n // 2}", path))
    for seed in range(10):
        division = divide(layout(*images), Wish((1, 1), seed=seed))
        where = {each.id: part for part, found in division.parts.items() for each in found}
        assert len({where[n] for n in ("02", "03", "16", "17", "30", "31")}) == 1
    assert "3 images (03, 17, 31): their bytes are those of another; such stay together" in division.notes


@given(st.integers(2, 6), st.integers(6, 60), st.integers(0, 9), st.booleans())
def test_folds_partition(folds: int, count: int, seed: int, stratify: bool) -> None:
    images = mixed(count, seed)
    division = divide(layout(*images), Wish(folds=folds, seed=seed, stratify=stratify))
    assert division.column == "fold"
    assert list(division.parts) == [str(fold) for fold in range(folds)]
    assert sorted(name for part in ids(division).values() for name in part) == [each.id for each in images]
    sizes = [len(part) for part in division.parts.values()]
    assert max(sizes) - min(sizes) <= 1


def test_folds_leave_a_test_split_as_it_is(tmp_path: Path) -> None:
    """And a recipe reads it so: three folds of train and validation, the test split beside."""
    folder = clean(tmp_path)
    for number in range(6):
        folder.add("train", f"more{number}", ("dog", 1, 1, 9, 9))
    before = read_layout(folder.root)
    held = {each.id for each in before.splits["test"]}
    division = divide(before, Wish(folds=3, take=("train", "validation")))
    assert list(division.parts) == ["0", "1", "2", "test"]
    assert ids(division)["test"] == held
    write_division(division, tmp_path / "folds.csv")
    recipe = DetectionData(path=str(folder.root), splits=str(tmp_path / "folds.csv"), fold=1)
    found = {part: {each.id for each in images} for part, images in open_dataset(recipe).splits.items()}
    assert found["validation"] == ids(division)["1"]
    assert found["train"] == ids(division)["0"] | ids(division)["2"]
    assert found["test"] == held
    with pytest.raises(ConfigError, match=r"validation cannot stay as it is.*--from train,validation"):
        divide(before, Wish(folds=3, take=("train",)))


def test_parts_are_what_a_recipe_opens(tmp_path: Path) -> None:
    folder = clean(tmp_path)
    for number in range(9):
        folder.add("train", f"more{number}", ("dog", 1, 1, 9, 9))
    division = divide(read_layout(folder.root), Wish((6, 2, 2)))
    write_division(division, tmp_path / "splits.csv")
    found = open_dataset(DetectionData(path=str(folder.root), splits=str(tmp_path / "splits.csv"))).splits
    assert {part: {each.id for each in images} for part, images in found.items()} == ids(division)


def test_the_same_seed_gives_the_same_file_and_another_another(tmp_path: Path) -> None:
    images = layout(*mixed(200))
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_division(divide(images, Wish((6, 2, 2), seed=seed)), tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_the_file_is_what_a_recipe_takes(tmp_path: Path) -> None:
    images = layout(image("ä, b", [0]), *mixed(9))
    division = divide(images, Wish((8, 2)))
    write_division(division, tmp_path / "splits.csv")
    with (tmp_path / "splits.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "split"]
    assert Counter(row["split"] for row in rows) == {"train": 8, "validation": 2}
    assert {row["image"] for row in rows} == {"ä, b", *(f"{n:04d}" for n in range(9))}


def test_a_file_that_divides_otherwise_is_not_overwritten(tmp_path: Path) -> None:
    images = layout(*mixed(50))
    write_division(divide(images, Wish((8, 2))), tmp_path / "splits.csv")
    before = (tmp_path / "splits.csv").read_bytes()
    write_division(divide(images, Wish((8, 2))), tmp_path / "splits.csv")
    with pytest.raises(ConfigError, match="exists and divides otherwise"):
        write_division(divide(images, Wish((8, 2), seed=1)), tmp_path / "splits.csv")
    assert (tmp_path / "splits.csv").read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["splits.csv"]


def test_a_split_can_stay_as_it_is() -> None:
    images = mixed(120)
    whole = layout(train=images[:80], validation=images[80:100], test=images[100:])
    division = divide(whole, Wish((8, 2), take=("train", "validation")))
    assert {part: len(found) for part, found in division.parts.items()} == {"train": 80, "validation": 20, "test": 20}
    assert ids(division)["test"] == {each.id for each in images[100:]}
    assert ids(division)["validation"] != {each.id for each in images[80:100]}
    again = divide(whole, Wish((6, 2, 2)))
    assert {part: len(found) for part, found in again.parts.items()} == {"train": 72, "validation": 24, "test": 24}


def test_without_parts_a_kept_test_split_is_not_divided_off_again() -> None:
    images = mixed(100)
    division = divide(layout(train=images[:80], test=images[80:]), Wish(take=("train",)))
    assert {part: len(found) for part, found in division.parts.items()} == {"train": 64, "validation": 16, "test": 20}
    assert "divided 8:2, which suits 80 images" in division.notes


def test_a_part_is_not_mixed_with_a_split_that_is_kept() -> None:
    images = mixed(30)
    whole = layout(train=images[:10], validation=images[10:20], test=images[20:])
    with pytest.raises(ConfigError, match=r"would mix with validation.*--from train,validation"):
        divide(whole, Wish((8, 2), take=("train",)))
    with pytest.raises(UnknownName, match="unknown split 'tran' in set; did you mean 'train'"):
        divide(whole, Wish((8, 2), take=("tran",)))


def test_a_copy_of_a_kept_image_is_left_out_and_named(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.jpg" for n in range(12)]
    for n, path in enumerate(paths):
        path.write_bytes(b"%04d" % (n % 11))
    images = [image(f"{n:02d}", [0], path=path) for n, path in enumerate(paths)]
    division = divide(layout(train=images[:11], test=images[11:]), Wish((8, 2), take=("train",)))
    assert sum(len(part) for part in division.parts.values()) == 11
    assert "1 image (00): the same bytes are in a split that is kept, so they are left out" in division.notes


@pytest.mark.parametrize(("count", "parts"), [(99, "6:2:2"), (100, "8:1:1"), (999, "8:1:1"), (1000, "98:1:1")])
def test_the_default_parts_suit_the_size_and_are_said(count: int, parts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a hundredth of the real sizes."""
    assert (split.FEW, split.MANY) == (10_000, 100_000)
    monkeypatch.setattr(split, "FEW", 100)
    monkeypatch.setattr(split, "MANY", 1000)
    division = divide(layout(*mixed(count)), Wish())
    assert f"divided {parts}, which suits {count:,} images" in division.notes
    shares = read_parts(parts)
    assert [len(part) for part in division.parts.values()] == seats(count, [s / sum(shares) for s in shares])


def test_a_class_that_is_too_rare_is_said() -> None:
    images = [*(image(f"{n}", [0, 1]) for n in range(20)), image("rare", [2, 2])]
    notes = divide(layout(*images), Wish((6, 2, 2))).notes
    assert notes == ("class 'tram' is in 1 image, fewer than the 3 parts: none in validation, test",)


def test_an_id_in_two_splits_counts_once() -> None:
    images = mixed(20)
    division = divide(layout(train=images, test=images[:5]), Wish((8, 2)))
    assert sum(len(part) for part in division.parts.values()) == 20


@pytest.mark.parametrize("text", ["6", "6:2:2:1", "6:-2", "a:b", "", "6:0:2", "inf:1", "nan:1"])
def test_parts_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected two or three positive numbers"):
        read_parts(text)


def test_wishes_that_do_not_fit_are_refused() -> None:
    three = layout(*mixed(3))
    with pytest.raises(ConfigError, match="exclude each other"):
        divide(three, Wish((8, 2), folds=3))
    with pytest.raises(ConfigError, match="expected 2 or more, got 1"):
        divide(three, Wish(folds=1))
    with pytest.raises(DataError, match="3 images cannot make 5 parts"):
        divide(three, Wish(folds=5))


def test_dealing_does_not_depend_on_a_class_that_nobody_has() -> None:
    counts = np.array([[1, 0], [1, 0], [0, 0], [1, 0]])
    parts = deal(counts, np.ones(4, np.int64), (0.5, 0.5), np.random.default_rng(0))
    assert sorted(parts.tolist()) == [0, 0, 1, 1]
