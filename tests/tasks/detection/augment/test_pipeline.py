from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painting import painted, sample, seeds

from ablab.streams import stream
from ablab.tasks.detection.augment.letterbox import letterbox
from ablab.tasks.detection.augment.pipeline import augment
from ablab.tasks.detection.recipe import AugmentRecipe

NOTHING = dict.fromkeys(("mosaic", "flip", "degrees", "translate", "scale", "shear", "hue", "saturation", "value"), 0)
WILD = {"mosaic": 0.5, "degrees": 180, "shear": 45, "scale": 0.9, "translate": 0.5}
MORE = {
    **WILD,
    "mixup": 0.4,
    "cutmix": 0.6,
    "crop": 0.5,
    "randaugment": 2,
    "magnitude": 30,
    "blur": 0.5,
    "noise": 0.5,
    "erase": 0.5,
}


def streams(seed):
    return partial(stream, "augment", seed)


def scenes(count):
    noise = np.random.default_rng(0)
    made = [painted(40 + n, 70 - n, (5, 5, 25, 30), name=str(n)) for n in range(count)]
    return [sample(noise.integers(0, 256, s.image.shape, np.uint8), s.boxes, [n], s.id) for n, s in enumerate(made)]


def test_without_settings_it_is_a_letterbox():
    made = scenes(3)
    out = augment(made.__getitem__, 3, 1, (64, 96), AugmentRecipe(**NOTHING), streams(0))
    plain = letterbox(made[1], (64, 96))
    np.testing.assert_array_equal(out.image, plain.image)
    np.testing.assert_array_equal(out.boxes, plain.boxes)


def test_an_unmoved_mosaic_keeps_the_scale_of_objects():
    made = scenes(1) * 4  # 40 x 70 into 64 x 96: scale 96 / 70
    recipe = AugmentRecipe(**NOTHING | {"mosaic": 1})
    sides = []
    for seed in range(20):
        out = augment(made.__getitem__, 4, 0, (64, 96), recipe, streams(seed))
        inside = (out.boxes[:, :2] > 0).all(1) & (out.boxes[:, 2:] < (96, 64)).all(1)
        sides.extend(out.boxes[inside, 2:] - out.boxes[inside, :2])
    whole = np.array([20, 25]) * 96 / 70
    np.testing.assert_allclose(np.max(sides, axis=0), whole)


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from([{}, WILD, MORE]))
def test_the_same_generator_gives_the_same_bytes_and_boxes_stay_inside(seed, wild):
    made = scenes(5)
    recipe = AugmentRecipe(**wild)
    one, two = (augment(made.__getitem__, 5, 2, (64, 96), recipe, streams(seed)) for _ in range(2))
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
    out = augment(empty.__getitem__, 2, 0, (64, 64), recipe, streams(0))
    assert out.boxes.shape == (0, 4)
    assert out.labels.shape == (0,)


CHANGES = {
    "mosaic": {"mosaic": 1},
    "mixup": {"mixup": 1},
    "cutmix": {"cutmix": 1},
    "crop": {"crop": 1},
    "affine": {"degrees": 10},
    "hsv": {"hue": 0.1},
    "randaugment": {"randaugment": 2},
    "blur": {"blur": 1},
    "noise": {"noise": 1},
    "flip": {"flip": 1},
    "erase": {"erase": 1},
}


class Recorded:
    """Streams by name, and what they drew: the state of each generator afterwards."""

    def __init__(self, seed):
        self.streams, self.made = streams(seed), {}

    def __call__(self, name):
        assert name not in self.made, f"{name} is asked for twice: its draws would repeat"
        self.made[name] = self.streams(name)
        return self.made[name]

    def states(self):
        return {name: str(rng.bit_generator.state["state"]) for name, rng in self.made.items()}


@pytest.mark.parametrize("name", CHANGES)
def test_switching_one_on_moves_no_draw_of_the_others(name):
    made = scenes(3)
    off, on = AugmentRecipe(**NOTHING), AugmentRecipe(**NOTHING | CHANGES[name])
    moved = 0
    for seed in range(10):
        before, after = Recorded(seed), Recorded(seed)
        one = augment(made.__getitem__, 3, 0, (64, 64), off, before)
        two = augment(made.__getitem__, 3, 0, (64, 64), on, after)
        assert before.states().items() - {name: before.states().get(name)}.items() <= after.states().items()
        assert set(after.made) - set(before.made) <= {name}
        moved += one.image.tobytes() != two.image.tobytes()
    assert moved


@pytest.mark.parametrize("colour", ["noise", "blur", "hsv"])
def test_what_changes_colours_leaves_boxes_to_the_bit(colour):
    made = scenes(4)
    geometry = dict(WILD, mosaic=0.5, mixup=0.5, cutmix=0.5, crop=0.5, erase=0.5)
    for seed in range(12):
        one, two = (
            augment(made.__getitem__, 4, 1, (64, 96), AugmentRecipe(**geometry | change), streams(seed))
            for change in ({}, CHANGES[colour])
        )
        assert one.boxes.tobytes() == two.boxes.tobytes()
        assert one.labels.tobytes() == two.labels.tobytes()


def test_one_image_has_no_partner():
    made = scenes(1)
    recipe = AugmentRecipe(**NOTHING | {"mixup": 1, "cutmix": 1})
    out = augment(made.__getitem__, 1, 0, (64, 64), recipe, streams(0))
    np.testing.assert_array_equal(out.image, letterbox(made[0], (64, 64)).image)


@pytest.mark.parametrize("mosaic", [0, 1])
def test_mixup_shows_both_images_boxes(mosaic):
    made = scenes(2)
    alone = AugmentRecipe(**NOTHING | {"mosaic": mosaic})
    mixed = alone.model_copy(update={"mixup": 1.0})
    for seed in range(5):
        one = augment(made.__getitem__, 2, 0, (64, 64), alone, streams(seed))
        two = augment(made.__getitem__, 2, 0, (64, 64), mixed, streams(seed))
        np.testing.assert_array_equal(two.boxes[: len(one.boxes)], one.boxes)
        assert mosaic or two.labels.tolist() == [0, 1]
