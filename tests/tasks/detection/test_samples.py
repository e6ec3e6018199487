import pickle

import cv2
import numpy as np
import pytest

from ablab.errors import DataError
from ablab.tasks.detection.augment.letterbox import STRIDE, letterbox
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


def test_mosaics_end_with_their_share_of_epochs(annotations):
    """Of five epochs the first 60%; from then on, a sample is what it would be without mosaics."""
    mosaics, none = AugmentRecipe(mosaic=1, mosaic_epochs=0.6), AugmentRecipe(mosaic=0)
    ending = DetectionSamples(annotations, (64, 96), mosaics, ("study", 1), epochs=5)
    always = DetectionSamples(annotations, (64, 96), AugmentRecipe(mosaic=1), ("study", 1), epochs=5)
    never = DetectionSamples(annotations, (64, 96), none, ("study", 1), epochs=5)
    for epoch in range(5):
        like, unlike = (always, never) if epoch < 3 else (never, always)
        assert ending[epoch, 1].image.tobytes() == like[epoch, 1].image.tobytes()
        assert ending[epoch, 1].image.tobytes() != unlike[epoch, 1].image.tobytes()


def test_multi_scale_asks_for_whole_strides_within_its_range(annotations):
    samples = DetectionSamples(annotations, (256, 320), AugmentRecipe(mosaic=0, multi_scale=0.5), ("study", 1))
    sides = {samples[epoch, 0].batch_sides for epoch in range(60)}
    assert sides == {samples[epoch, 0].batch_sides for epoch in range(60)}
    heights, widths = ({side[axis] for side in sides} for axis in (0, 1))
    assert heights == set(range(128, 385, 32))
    assert widths == set(range(160, 481, 32))
    assert all(abs(h / 256 - w / 320) <= 16 / 256 + 16 / 320 for h, w in sides)  # one factor, rounded twice
    assert DetectionSamples(annotations, (256, 320), AugmentRecipe(), ("study", 1))[0, 0].batch_sides is None


def test_multi_scale_moves_no_other_draw(annotations):
    one, two = (
        DetectionSamples(annotations, (64, 96), AugmentRecipe(multi_scale=scale), ("study", 1)) for scale in (0, 0.5)
    )
    for index in range(4):
        assert one[0, index].image.tobytes() == two[0, index].image.tobytes()


def test_a_rectangle_is_the_letterbox_less_whole_strides_of_grey(annotations):
    whole = DetectionSamples(annotations, (640, 640))
    cut = DetectionSamples(annotations, (640, 640), rectangular=True)
    assert whole.shapes is None
    # 48 x 80 -> 384 x 640: 128 rows of grey above and below, of which 64 stay; 200 x 100 -> 640 x 320: 160 columns at
    # either side, of which 96 can go; 64 x 64 -> 640 x 640; 90 x 150 -> 384 x 640.
    assert cut.shapes == ((512, 640), (640, 448), (640, 640), (512, 640))
    for index, (height, width) in enumerate(cut.shapes):
        large, small = whole[0, index], cut[0, index]
        top, left = (640 - height) // 2, (640 - width) // 2
        np.testing.assert_array_equal(small.image, large.image[top : top + height, left : left + width])
        np.testing.assert_allclose(small.boxes + np.array([left, top, left, top]), large.boxes)
        assert (top % STRIDE, left % STRIDE) == (0, 0)  # every cell stays where it was
        assert small.scale == large.scale


def test_training_is_never_rectangular(annotations):
    assert DetectionSamples(annotations, (640, 640), AugmentRecipe(), ("study", 1), rectangular=True).shapes is None
