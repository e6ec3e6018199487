import pickle

import cv2
import numpy as np
import pytest

from ablab.errors import DataError
from ablab.tasks.detection import samples as module
from ablab.tasks.detection.augment.letterbox import letterbox
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.recipe import AugmentRecipe
from ablab.tasks.detection.samples import DetectionSamples, read_sample

SIZES = [(48, 80), (200, 100), (64, 64), (90, 150)]  # (H, W)


@pytest.fixture
def annotations(tmp_path):
    noise = np.random.default_rng(0)
    made = []
    for n, (height, width) in enumerate(SIZES):
        path = tmp_path / f"{n}.png"
        cv2.imwrite(str(path), noise.integers(0, 256, (height, width, 3), np.uint8))
        boxes = np.array([[4, 6, 30, 40], [10, 10, 60, 44]], np.float64)
        flags = np.zeros(2, bool)
        made.append(Annotation(str(n), path, width, height, boxes, np.array([0, 1]), flags, flags))
    return made


def test_without_augmentation_a_sample_is_a_letterbox(annotations):
    samples = DetectionSamples(annotations, (64, 96))
    assert samples.ids == ("0", "1", "2", "3")
    assert len(samples) == 4
    for index, annotation in enumerate(annotations):
        sample, plain = samples[0, index], letterbox(read_sample(annotation), (64, 96))
        assert sample.image.tobytes() == plain.image.tobytes() == samples[7, index].image.tobytes()
        back = (sample.boxes - np.tile(sample.shift, 2)) / sample.scale
        np.testing.assert_allclose(back, annotation.boxes, atol=1e-9)
        np.testing.assert_array_equal(sample.truth.boxes, annotation.boxes)
        assert sample.size == (annotation.height, annotation.width)
        assert sample.id == sample.truth.image == annotation.id


@pytest.mark.parametrize("augment", [None, AugmentRecipe(degrees=10)])
def test_the_cache_changes_no_byte(annotations, augment, monkeypatch):
    cached = DetectionSamples(annotations, (64, 96), augment, ("study", 1))
    first = [cached[3, index] for index in range(4)]
    again = [cached[3, index] for index in range(4)]
    monkeypatch.setattr(module, "CACHE_BYTES", 0)
    fresh = DetectionSamples(annotations, (64, 96), augment, ("study", 1))
    decoded = [fresh[3, index] for index in range(4)]
    for one, two, three in zip(first, again, decoded, strict=True):
        assert one.image.tobytes() == two.image.tobytes() == three.image.tobytes()
        np.testing.assert_array_equal(one.boxes, three.boxes)
    assert not fresh._cache


def test_images_are_decoded_once(annotations, monkeypatch):
    reads = []
    monkeypatch.setattr(module, "read_image", lambda path, read=module.read_image: reads.append(path) or read(path))
    samples = DetectionSamples(annotations, (64, 96), AugmentRecipe(mosaic=1), ("study", 1))
    for epoch in range(5):
        for index in range(4):
            samples[epoch, index]
    assert sorted(reads) == [a.path for a in annotations]


def test_writing_into_a_sample_leaves_the_next_alone(annotations):
    samples = DetectionSamples(annotations, (64, 64))
    before = samples[0, 2].image.copy()  # needs neither resize nor padding
    samples[0, 2].image[:] = 0
    np.testing.assert_array_equal(samples[0, 2].image, before)


def test_crowds_are_no_targets_but_stay_in_the_truth(annotations):
    a = annotations[0]
    crowded = Annotation(a.id, a.path, a.width, a.height, a.boxes, a.labels, a.difficult, np.array([True, False]))
    sample = read_sample(crowded)
    np.testing.assert_array_equal(sample.boxes, a.boxes[1:])
    np.testing.assert_array_equal(sample.labels, [1])
    np.testing.assert_array_equal(sample.truth.crowd, [True, False])


def test_an_image_without_boxes(annotations):
    a, none = annotations[0], np.zeros(0, bool)
    empty = Annotation(a.id, a.path, a.width, a.height, np.zeros((0, 4)), np.zeros(0, np.int64), none, none)
    for augment in (None, AugmentRecipe(mosaic=0), AugmentRecipe(mosaic=1)):
        assert DetectionSamples([empty], (64, 64), augment)[0, 0].boxes.shape == (0, 4)


def test_an_image_of_another_size_is_refused(annotations):
    a = annotations[0]
    wrong = Annotation(a.id, a.path, 70, 48, a.boxes, a.labels, a.difficult, a.crowd)
    with pytest.raises(DataError, match=r"annotated as 70 x 48 pixels, but the file holds 80 x 48"):
        DetectionSamples([wrong], (64, 64))[0, 0]


def test_a_copy_in_another_process_gives_the_same(annotations):
    samples = DetectionSamples(annotations, (64, 96), AugmentRecipe(), ("study", 1))
    there = pickle.loads(pickle.dumps(samples))  # noqa: S301 - what a loader does with its data set
    assert there[2, 1].image.tobytes() == samples[2, 1].image.tobytes()
