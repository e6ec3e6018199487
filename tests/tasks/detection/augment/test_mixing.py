import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from painting import Fixed, painted, sample, seeds

from ablab.tasks.detection.augment.cutmix import cutmix
from ablab.tasks.detection.augment.mixup import mixup


def flat(value, boxes=(), labels=None):
    return sample(np.full((40, 60, 3), value, np.uint8), boxes, labels)


@settings(max_examples=40)
@given(seeds)
def test_mixup_of_an_image_with_itself_is_itself(seed):
    rng = np.random.default_rng(seed)
    scene = sample(rng.integers(0, 256, (20, 30, 3), np.uint8), [[1, 2, 8, 9]], [3])
    out = mixup(scene, scene, rng)
    np.testing.assert_array_equal(out.image, scene.image)
    np.testing.assert_array_equal(out.boxes, [[1, 2, 8, 9]] * 2)


def test_mixup_hand_computed():
    out = mixup(flat(200, [[1, 2, 8, 9]], [3]), flat(100, [[4, 4, 9, 9]], [5]), Fixed(0.25))
    assert (out.image == 125).all()
    np.testing.assert_array_equal(out.boxes, [[1, 2, 8, 9], [4, 4, 9, 9]])
    np.testing.assert_array_equal(out.labels, [3, 5])


def test_mixup_shows_both():
    shares = [mixup(flat(255), flat(0), np.random.default_rng(seed)).image[0, 0, 0] / 255 for seed in range(400)]
    # Beta(8, 8): mean 1/2, variance ab / ((a + b)^2 (a + b + 1)) = 1 / 68.
    assert abs(np.mean(shares) - 0.5) < 0.02
    assert abs(np.var(shares) - 1 / 68) < 0.003


def test_cutmix_hand_computed():
    # A quarter of the area about the centre of 60 x 40: columns 15 to 45, rows 10 to 30.
    first = flat(0, [[0, 0, 60, 40], [14, 10, 30, 30], [50, 0, 60, 10]], [0, 1, 2])
    second = flat(255, [[0, 0, 60, 40], [20, 5, 40, 12], [0, 0, 15, 40]], [3, 4, 5])
    out = cutmix(first, second, Fixed(0.25, 0.5, 0.5))
    shown = np.zeros((40, 60), bool)
    shown[10:30, 15:45] = True
    np.testing.assert_array_equal(out.image[..., 0] == 255, shown)
    # The first's second box is hidden by 15/16; the second's third is outside the window.
    np.testing.assert_array_equal(out.labels, [0, 2, 3, 4])
    np.testing.assert_array_equal(out.boxes[2:], [[15, 10, 45, 30], [20, 10, 40, 12]])


def test_a_window_of_no_size_shows_nothing():
    first, second = flat(0, [[0, 0, 60, 40]]), flat(255, [[0, 0, 60, 40]])
    out = cutmix(first, second, Fixed(0, 0.5, 0.5))
    np.testing.assert_array_equal(out.image, first.image)
    np.testing.assert_array_equal(out.boxes, first.boxes)


def test_a_window_of_full_size_shows_the_second():
    first, second = flat(0, [[5, 5, 60, 40]], [0]), flat(255, [[0, 0, 60, 40]], [1])
    out = cutmix(first, second, Fixed(1, 0.5, 0.5))
    np.testing.assert_array_equal(out.image, second.image)
    np.testing.assert_array_equal(out.labels, [1])


@settings(max_examples=60)
@given(seeds, st.integers(0, 6))
def test_cutmix_keeps_boxes_valid_and_the_inputs_alone(seed, count):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 30, (count, 2))
    boxes = np.concatenate([start, start + rng.uniform(2, 10, (count, 2))], axis=1)
    one, two = flat(0, boxes, np.arange(count)), painted(40, 60, (5, 5, 30, 20))
    out = cutmix(one, two, rng)
    assert (one.image == 0).all()
    assert len(out.boxes) == len(out.labels)
    assert (out.boxes[:, :2] < out.boxes[:, 2:]).all()
    assert (out.boxes >= 0).all()
    assert (out.boxes[:, 2:] <= (60, 40)).all()
