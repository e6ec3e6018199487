import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painting import painted, sample, seeds

from ablab.tasks.detection.augment.letterbox import letterbox
from ablab.tasks.detection.augment.pipeline import augment
from ablab.tasks.detection.recipe import AugmentRecipe

NOTHING = dict.fromkeys(("mosaic", "flip", "degrees", "translate", "scale", "shear", "hue", "saturation", "value"), 0)
WILD = {"mosaic": 0.5, "degrees": 180, "shear": 45, "scale": 0.9, "translate": 0.5}


def scenes(count):
    noise = np.random.default_rng(0)
    made = [painted(40 + n, 70 - n, (5, 5, 25, 30), name=str(n)) for n in range(count)]
    return [sample(noise.integers(0, 256, s.image.shape, np.uint8), s.boxes, [n], s.id) for n, s in enumerate(made)]


def test_without_settings_it_is_a_letterbox():
    made = scenes(3)
    out = augment(made.__getitem__, 3, 1, (64, 96), AugmentRecipe(**NOTHING), np.random.default_rng(0))
    plain = letterbox(made[1], (64, 96))
    np.testing.assert_array_equal(out.image, plain.image)
    np.testing.assert_array_equal(out.boxes, plain.boxes)


def test_an_unmoved_mosaic_keeps_the_scale_of_objects():
    made = scenes(1) * 4  # 40 x 70 into 64 x 96: scale 96 / 70
    recipe = AugmentRecipe(**NOTHING | {"mosaic": 1})
    sides = []
    for seed in range(20):
        out = augment(made.__getitem__, 4, 0, (64, 96), recipe, np.random.default_rng(seed))
        inside = (out.boxes[:, :2] > 0).all(1) & (out.boxes[:, 2:] < (96, 64)).all(1)
        sides.extend(out.boxes[inside, 2:] - out.boxes[inside, :2])
    whole = np.array([20, 25]) * 96 / 70
    np.testing.assert_allclose(np.max(sides, axis=0), whole)


@settings(max_examples=60, deadline=None)
@given(seeds, st.booleans())
def test_the_same_generator_gives_the_same_bytes_and_boxes_stay_inside(seed, wild):
    made = scenes(5)
    recipe = AugmentRecipe(**WILD if wild else {})
    one, two = (augment(made.__getitem__, 5, 2, (64, 96), recipe, np.random.default_rng(seed)) for _ in range(2))
    assert one.image.tobytes() == two.image.tobytes()
    np.testing.assert_array_equal(one.boxes, two.boxes)
    assert one.image.shape == (64, 96, 3)
    assert one.image.dtype == np.uint8
    assert one.image.flags.c_contiguous
    assert one.boxes.dtype == np.float64
    assert len(one.boxes) == len(one.labels)
    assert (one.boxes[:, :2] < one.boxes[:, 2:]).all()
    assert (one.boxes[:, :2] >= 0).all()
    assert (one.boxes[:, 2:] <= (96, 64)).all()
    assert (one.id, one.size) == (made[2].id, made[2].size)


@pytest.mark.parametrize("mosaic", [0, 1])
def test_no_boxes(mosaic):
    empty = [sample(np.zeros((30, 40, 3), np.uint8), [])] * 2
    recipe = AugmentRecipe(**WILD | {"mosaic": mosaic})
    out = augment(empty.__getitem__, 2, 0, (64, 64), recipe, np.random.default_rng(0))
    assert out.boxes.shape == (0, 4)
    assert out.labels.shape == (0,)


@pytest.mark.parametrize("change", [{"mosaic": 0.9}, {"degrees": 10}, {"scale": 0}, {"hue": 0}, {"flip": 0.9}])
def test_a_changed_setting_moves_no_other_draw(change):
    """Arms that differ in one setting draw equally often, so the other settings' draws stay where they were."""
    made = scenes(3)
    states = []
    for recipe in (AugmentRecipe(**NOTHING), AugmentRecipe(**NOTHING | change)):
        rngs = [np.random.default_rng(seed) for seed in range(20)]
        for rng in rngs:
            augment(made.__getitem__, 3, 0, (64, 64), recipe, rng)
        states.append([rng.bit_generator.state["state"] for rng in rngs])
    assert states[0] == states[1]
