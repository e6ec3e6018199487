import multiprocessing
import os
import pickle
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from ablab.errors import DataError
from ablab.recipe import TrainRecipe
from ablab.tasks.detection import cache, samples
from ablab.tasks.detection.augment.letterbox import letterbox
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.cache import Disk, Memory, open_cache
from ablab.tasks.detection.recipe import AugmentRecipe
from ablab.tasks.detection.samples import DetectionSamples, decode, read_sample

SIZE = (64, 96)
SIZES = [(48, 80), (200, 100), (64, 64), (90, 150), (33, 47)]  # (H, W)
FITTED = sum(3 * h * w for h, w in [(58, 96), (64, 32), (64, 64), (58, 96), (64, 91)])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ABLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture
def annotations(tmp_path: Path) -> list[Annotation]:
    noise = np.random.default_rng(0)
    made = []
    for n, (height, width) in enumerate(SIZES):
        path = tmp_path / f"{n}.png"
        cv2.imwrite(str(path), noise.integers(0, 256, (height, width, 3), np.uint8))
        boxes, flags = np.array([[4, 6, 30, 30]], np.float64), np.zeros(1, bool)
        made.append(Annotation(str(n), path, width, height, boxes, np.array([0]), flags, flags))
    return made


class Counting:
    """Decodes, and remembers what."""

    def __init__(self, size=SIZE):
        self.size, self.seen = size, []

    def __call__(self, annotation):
        self.seen.append(annotation.id)
        return decode(annotation, self.size)


def opened(annotations, decoding=None, **train):
    images, notes = open_cache(annotations, SIZE, TrainRecipe(**train), decoding or partial(decode, size=SIZE))
    return images, notes


def everything(annotations, images):
    """Two epochs augmented, and the plain split, as bytes."""
    augmented = DetectionSamples(annotations, SIZE, AugmentRecipe(degrees=5), ("study", 1), images=images)
    plain = DetectionSamples(annotations, SIZE, images=images)
    made = [augmented[epoch, index] for epoch in (0, 1) for index in range(5)] + [plain[0, n] for n in range(5)]
    return [(s.image.tobytes(), s.boxes.tobytes(), s.labels.tobytes(), s.scale, s.shift, s.size) for s in made]


def test_no_cache_changes_a_byte(annotations):
    whole = everything(annotations, None)
    for train in ({"cache": "none"}, {"cache": "memory"}, {"cache": "disk"}, {"cache": "disk"}, {"cache": "auto"}):
        assert everything(annotations, opened(annotations, **train)[0]) == whole
    assert everything(annotations, opened(annotations, cache="memory", cache_gb=20e-6)[0]) == whole  # some kept


def test_a_plain_sample_is_the_letterboxed_file(annotations):
    images, _ = opened(annotations, cache="disk")
    plain = DetectionSamples(annotations, SIZE, images=images)
    for index, annotation in enumerate(annotations):
        assert plain[0, index].image.tobytes() == letterbox(read_sample(annotation), SIZE).image.tobytes()


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_images_are_decoded_once(annotations, kind):
    decoding = Counting()
    images, notes = opened(annotations, decoding, cache=kind)
    everything(annotations, images)
    assert sorted(decoding.seen) == list("01234")
    assert notes == ()


def test_memory_keeps_what_finds_room(annotations):
    decoding = Counting()
    first, third = 3 * 58 * 96, 3 * 64 * 64
    images, _ = opened(annotations, decoding, cache="memory", cache_gb=(first + third) / 1e9)
    for _ in range(2):
        for n in (0, 2, 1, 3):  # 0 and 2 fill it; nothing is turned out for those that come later
            images(annotations[n])
    assert decoding.seen == ["0", "2", "1", "3", "1", "3"]


def test_workers_share_the_bound(annotations):
    images, _ = opened(annotations, cache="memory", cache_gb=0.1, workers=4, devices=2)
    assert isinstance(images, Memory)
    assert images.room == 1e8 / 8


def test_a_second_process_decodes_nothing(annotations, folder):
    opened(annotations, cache="disk")
    decoding = Counting()
    images, _ = opened(annotations[::-1], decoding, cache="disk")  # the order of the splits is no matter
    assert everything(annotations, images) == everything(annotations, None)
    assert decoding.seen == []
    assert [file.stat().st_size for file in folder.glob("*.rgb")] == [FITTED + cache.CRC]


def test_pixels_of_a_file_cannot_be_written_into(annotations):
    images, _ = opened(annotations, cache="disk")
    with pytest.raises(ValueError, match="read-only"):
        images(annotations[0])[:] = 0


@pytest.mark.parametrize("damage", ["bit", "cut", "empty"])
def test_a_damaged_file_is_built_again(annotations, folder, damage):
    whole = everything(annotations, opened(annotations, cache="disk")[0])
    (file,) = folder.glob("*.rgb")
    data = bytearray(file.read_bytes())
    if damage == "bit":
        data[len(data) // 2] ^= 1
    file.write_bytes({"bit": data, "cut": data[:-100], "empty": b""}[damage])
    decoding = Counting()
    images, notes = opened(annotations, decoding, cache="disk")
    assert (everything(annotations, images), notes) == (whole, ())
    assert len(decoding.seen) == 5


@pytest.mark.parametrize("change", ["pixels", "size", "image size"])
def test_other_images_have_another_file(annotations, folder, change):
    opened(annotations, cache="disk")
    size = SIZE
    if change == "pixels":
        path = annotations[0].path
        cv2.imwrite(str(path), np.full((48, 80, 3), 9, np.uint8))
    elif change == "size":
        annotations = annotations[:4]
    else:
        size = (96, 96)
    decoding = Counting(size)
    images, _ = open_cache(annotations, size, TrainRecipe(cache="disk"), decoding)
    assert len(decoding.seen) == len(annotations)
    assert images(annotations[0]).tobytes() == decode(annotations[0], size).tobytes()
    assert len(list(folder.glob("*.rgb"))) == 2


def test_many_at_once_build_one_file(annotations, folder):
    def build(_):
        decoding = Counting()
        images, notes = opened(annotations, decoding, cache="disk")
        return len(decoding.seen), notes, everything(annotations, images)

    whole = everything(annotations, None)
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(build, range(6)))
    assert sorted(count for count, _, _ in made) == [0] * 5 + [5]
    assert all((notes, out) == ((), whole) for _, notes, out in made)
    assert len(list(folder.glob("*.rgb"))) == 1


def test_a_killed_builder_leaves_nothing_that_is_taken_for_a_cache(annotations, folder):
    def die(annotation):
        if annotation.id == "3":
            os._exit(9)
        return decode(annotation, SIZE)

    fork = multiprocessing.get_context("fork")
    builder = fork.Process(target=lambda: opened(annotations, die, cache="disk"))
    builder.start()
    builder.join(60)
    assert builder.exitcode == 9
    assert list(folder.glob("*.building"))
    assert not list(folder.glob("*.rgb"))
    images, notes = opened(annotations, cache="disk")  # the lock went with its holder
    assert notes == ()
    assert everything(annotations, images) == everything(annotations, None)
    assert not list(folder.glob("*.building"))


def test_the_longest_unused_goes_first(annotations, folder):
    for n in range(3):
        opened(annotations[n : n + 1], cache="disk")
    first, second, third = (Disk(cache._file(annotations[n : n + 1], SIZE), (), SIZE, decode).file for n in range(3))
    for age, file in enumerate((first, third, second)):
        os.utime(file, (1000 - age, 1000 - age))
    mapped, _ = opened(annotations[1:2], cache="disk")  # used again: now the newest
    sizes = {file: file.stat().st_size for file in (first, second, third)}
    room = sizes[second] + sizes[first] + 3 * 58 * 96
    opened(annotations[3:4], cache="disk", cache_gb=room / 1e9)
    assert set(folder.glob("*.rgb")) == {first, second, cache._file(annotations[3:4], SIZE)}
    opened(annotations[4:], cache="disk", cache_gb=3 * 64 * 91 / 1e9)
    assert set(folder.glob("*.rgb")) == {cache._file(annotations[4:], SIZE)}
    np.testing.assert_array_equal(mapped(annotations[1]), decode(annotations[1], SIZE))  # as long as it is mapped


def test_a_folder_that_cannot_be_written_is_said_and_worked_around(annotations, folder):
    folder.parent.write_text("a file where the folder should be")
    images, (note,) = opened(annotations, cache="disk")
    assert isinstance(images, Memory)
    assert note.startswith("images are not cached on disk but in memory, up to 4 GB a process: ")
    assert "Not a directory" in note or "File exists" in note
    assert everything(annotations, images) == everything(annotations, None)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """The system refuses to let a file grow beyond 20 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_and_worked_around(annotations, folder, full_disk):
    images, (note,) = opened(annotations, cache="disk")
    assert isinstance(images, Memory)
    assert "File too large" in note
    assert everything(annotations, images) == everything(annotations, None)
    assert not list(folder.glob("*.rgb"))
    assert not list(folder.glob("*.building"))


def test_more_than_the_bound_is_said(annotations, folder):
    images, (note,) = opened(annotations, cache="disk", cache_gb=1e-5)
    assert isinstance(images, Memory)
    assert note.endswith("they take 6.9e-05 GB, and train.cache_gb is 1e-05")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("train", "free", "kind"),
    [
        ({}, (1e9, 1e9), "Memory"),
        ({}, (3 * FITTED - 3, 1e9), "Disk"),  # more than a third of the memory that is free
        ({"workers": 2}, (1e9, 1e9), "Disk"),  # each worker would decode everything again
        ({"devices": 2}, (1e9, 1e9), "Disk"),
        ({"workers": 2}, (1e9, 2 * FITTED), "partial"),  # would fill the disk
        ({"cache_gb": 1e-5}, (1e9, 1e9), "partial"),
        ({"cache_gb": 0}, (1e9, 1e9), "partial"),
    ],
)
def test_auto(annotations, monkeypatch, train, free, kind):
    memory, disk = free
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": memory}))
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda folder: type("Disk", (), {"free": disk}))
    images, notes = opened(annotations, cache="auto", **train)
    assert type(images).__name__ == kind
    assert notes == ()


def test_a_copy_in_another_process_opens_the_file_itself(annotations, folder):
    decoding = Counting()
    images, _ = opened(annotations, decoding, cache="disk")
    packed = pickle.dumps(images)
    assert len(packed) < FITTED / 10
    there = pickle.loads(packed)  # noqa: S301 - what a loader does with its data set
    assert everything(annotations, there) == everything(annotations, None)
    for file in folder.glob("*.rgb"):
        file.unlink()
    without = pickle.loads(packed)  # noqa: S301
    assert everything(annotations, without) == everything(annotations, None)


@pytest.mark.parametrize("kind", ["none", "memory", "disk"])
def test_an_image_that_no_longer_decodes_is_named(annotations, kind):
    path = annotations[2].path
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"2\.png"):
        everything(annotations, opened(annotations, cache=kind)[0])


def test_an_image_that_has_gone_is_named(annotations):
    annotations[2].path.unlink()
    with pytest.raises(DataError, match=r"no image at .*2\.png"):
        opened(annotations, cache="disk")


def test_forked_readers_share_the_file(annotations, monkeypatch):
    images, _ = opened(annotations, cache="disk", workers=2)
    whole = everything(annotations, None)
    monkeypatch.setattr(samples, "read_image", None)  # nobody decodes from here on
    fork = multiprocessing.get_context("fork")
    with fork.Pool(2) as pool:
        assert pool.starmap(everything, [(annotations, images)] * 2) == [whole] * 2
