"""What `Detection.data` and `Detection.collate` make of a recipe: sampling, rectangles, multi-scale, caches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ablab.engine.loading import load
from ablab.errors import ConfigError
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.dataset import Dataset
from ablab.tasks.detection.recipe import DetectionRecipe
from ablab.tasks.detection.task import Detection

KEY = ("study", 1)


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function of recipe sections that gives a task with twelve small training images of two sizes."""
    import cv2

    monkeypatch.setenv("ABLAB_CACHE", str(tmp_path / "cache"))
    noise = np.random.default_rng(0)

    def annotation(split: str, n: int) -> Annotation:
        height, width = ((48, 80), (80, 48))[n % 2]
        path = tmp_path / f"{split}-{n}.png"
        cv2.imwrite(str(path), noise.integers(0, 256, (height, width, 3), np.uint8))
        labels = np.array([0, 0, 1] if n == 0 else [0])
        boxes = np.tile([[4.0, 6, 30, 40]], (len(labels), 1)) + noise.uniform(0, 8, (len(labels), 4))
        none = np.zeros(len(labels), bool)
        return Annotation(path.stem, path, width, height, boxes, labels, none, none)

    sizes = {"train": 12, "validation": 4, "test": 3}
    splits = {split: tuple(annotation(split, n) for n in range(count)) for split, count in sizes.items()}
    made = Dataset("made", ("common", "rare"), splits, ("a note of the reader",))

    def build(**sections: Any) -> Detection:
        sections = {"train": {"image_size": [64, 96]}, "anchors": "keep"} | sections
        task = Detection(DetectionRecipe.model_validate(sections))
        task.__dict__["dataset"] = made
        return task

    return build


def test_shuffle_is_left_to_the_engine(task: Any) -> None:
    assert task().data(KEY).sampling is None


def test_a_sampler_is_given_the_objects_of_each_training_image(task: Any) -> None:
    sampling = task(data={"sampler": {"part": "oversample", "args": {"threshold": 1 / 3}}}).data(KEY).sampling
    # The rare class is in one of twelve images: sqrt((1/3) / (1/12)) = 2.
    assert len(sampling) == 13
    drawn = sampling.draw(np.random.default_rng(0))
    np.testing.assert_array_equal(np.bincount(drawn), [2] + [1] * 11)


def test_a_sampler_that_would_do_nothing_is_refused(task: Any) -> None:
    with pytest.raises(ConfigError, match="would repeat no image"):
        task(data={"sampler": {"part": "oversample", "args": {"threshold": 0.01}}}).data(KEY)


def test_a_sampler_moves_no_anchor(task: Any) -> None:
    """Arms that differ in the sampler alone have the same network."""
    plain, other = (task(anchors="refit", data={"sampler": part}) for part in ("shuffle", "weighted"))
    assert plain.facts() == other.facts()


def test_evaluation_is_rectangular_where_asked(task: Any) -> None:
    train = {"image_size": [640, 640]}
    plain, cut = (task(train=train, postprocess={"rectangular": yes}).data(KEY) for yes in (False, True))
    for name in ("plain", "validation", "test"):
        assert getattr(plain, name).shapes is None
        samples = getattr(cut, name)
        assert samples.shapes == ((512, 640), (640, 512)) * (len(samples) // 2) + ((512, 640),) * (len(samples) % 2)
        for index, shape in enumerate(samples.shapes):
            assert samples[0, index].image.shape == (*shape, 3)
    assert cut.train.shapes is None


def test_multi_scale_changes_the_whole_batch_and_its_boxes(task: Any) -> None:
    still = {"mosaic": 0, "flip": 0, "translate": 0, "scale": 0, "hue": 0, "saturation": 0, "value": 0}
    one = task(augment=still)
    two = task(augment=still | {"multi_scale": 0.5})
    sizes = set()
    for epoch in range(8):
        keys = [(epoch, index) for index in (3, 1, 2)]
        plain = one.collate([one.data(KEY).train[key] for key in keys])
        made = two.collate([two.data(KEY).train[key] for key in keys])
        height, width = made["images"].shape[2:]
        sizes.add((height, width))
        assert (height % 32, width % 32) == (0, 0)
        scale = min(height / 64, width / 96)
        shift = [(width - round(96 * scale)) // 2, (height - round(64 * scale)) // 2] * 2
        torch.testing.assert_close(made["boxes"], plain["boxes"] * scale + torch.tensor(shift))
        assert torch.equal(made["image_index"], plain["image_index"])
    assert len(sizes) > 2


@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
def test_batches_depend_on_neither_workers_nor_cache(task: Any, cache: str) -> None:
    augment = {"mosaic": 0.5, "mixup": 0.5, "cutmix": 0.5, "crop": 0.5, "randaugment": 1, "noise": 0.5, "erase": 0.5}
    augment |= {"multi_scale": 0.5, "mosaic_epochs": 0.5}
    batches = [[(epoch, index) for index in range(at, at + 4)] for epoch in range(2) for at in (0, 4, 8)]

    def run(workers: int, cache: str) -> list[bytes]:
        train = {"image_size": [64, 96], "workers": workers, "cache": cache, "epochs": 2}
        made = task(augment=augment, train=train)
        stream = load(made.data(KEY).train, batches, made.collate, workers=workers)
        return [b["images"].numpy().tobytes() + b["boxes"].numpy().tobytes() for b in stream]

    whole = run(0, "none")
    assert len(set(whole)) == 6
    for workers in (0, 2):
        assert run(workers, cache) == whole


def test_a_cache_that_could_not_be_had_is_noted(task: Any, tmp_path: Path) -> None:
    assert task().data(KEY).notes == ("a note of the reader",)
    (tmp_path / "cache").write_text("no folder")
    _, note = task(train={"image_size": [64, 96], "cache": "disk"}).data(KEY).notes
    assert note.startswith("images are not cached on disk but in memory")
