import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from painting import extent, painted, sample, scenes, seeds
from torchvision.transforms.v2 import functional

from ablab.tasks.detection.augment.randaugment import BENDS, COLOURS, OPERATIONS, RandAugment, operate

# torchvision's own implementation on tensors, which shares no code with Pillow, at its magnitudes of 30.
PEERS = {
    "identity": lambda image, s: image,
    "autocontrast": lambda image, s: functional.autocontrast(image),
    "equalize": lambda image, s: functional.equalize(image),
    "posterize": lambda image, s: functional.posterize(image, 8 - round(4 * abs(s))),
    "solarize": lambda image, s: functional.solarize(image, round(256 * (1 - abs(s)))) if s else image,
    "brightness": lambda image, s: functional.adjust_brightness(image, 1 + 0.9 * s),
    "colour": lambda image, s: functional.adjust_saturation(image, 1 + 0.9 * s),
    "contrast": lambda image, s: functional.adjust_contrast(image, 1 + 0.9 * s),
    "sharpness": lambda image, s: functional.adjust_sharpness(image, 1 + 0.9 * s),
}
# A level or two of rounding, and equalize's lookup table, which torchvision builds one step aside.
TOLERANCE = {"equalize": 3, "autocontrast": 1, "brightness": 1, "colour": 2, "contrast": 2, "sharpness": 2}


def photograph():
    y, x = np.mgrid[0:40, 0:60]
    waves = np.stack([90 + 60 * np.sin(x / 7), 120 + 70 * np.cos(y / 5), 60 + 2 * x], axis=2)
    return (waves + np.random.default_rng(0).normal(0, 8, waves.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("strength", [-1.0, -0.3, 0.0, 0.4, 1.0])
def test_colours_agree_with_torchvision(name, strength):
    image = photograph()
    out = operate(sample(image, []), name, strength).image.astype(int)
    peer = PEERS[name](torch.from_numpy(image).permute(2, 0, 1), strength).permute(1, 2, 0).numpy()
    assert np.abs(out - peer).max() <= TOLERANCE.get(name, 0)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"autocontrast", "equalize"}))
def test_no_strength_changes_nothing(name):
    scene = sample(photograph(), [[4, 5, 30, 25]])
    out = operate(scene, name, 0.0)
    np.testing.assert_array_equal(out.image, scene.image)
    np.testing.assert_array_equal(out.boxes, scene.boxes)


@settings(max_examples=60)
@given(scenes(least=60, most=90, side=12), st.sampled_from(sorted(BENDS)), st.floats(-1, 1))
def test_bends_move_pixels_and_boxes_alike(scene, name, strength):
    out = operate(scene, name, strength)
    for box in out.boxes:  # the box around a turned box is looser than what is seen of it once that is cut
        seen = extent(out.image)
        assert (box[:2] - 1.5 <= seen[:2]).all()
        assert (seen[2:] <= box[2:] + 1.5).all()


def test_translation_hand_computed():
    out = operate(painted(40, 331, (10, 5, 30, 20)), "translate x", 1.0)
    np.testing.assert_allclose(out.boxes, [[160, 5, 180, 20]])


@settings(max_examples=40)
@given(seeds, st.integers(0, 4), st.floats(0, 30))
def test_equal_generators_equal_bytes_and_valid_boxes(seed, count, magnitude):
    scene = sample(photograph(), [[4, 5, 30, 25], [0, 0, 60, 40]], [0, 1])
    one, two = (RandAugment(count, magnitude)(scene, np.random.default_rng(seed)) for _ in range(2))
    assert one.image.tobytes() == two.image.tobytes()
    assert one.image.shape == scene.image.shape
    assert one.image.dtype == np.uint8
    assert len(one.boxes) == len(one.labels)
    assert (one.boxes[:, :2] < one.boxes[:, 2:]).all()
    assert (one.boxes >= 0).all()
    assert (one.boxes[:, 2:] <= (60, 40)).all()


def test_no_operations_are_none():
    scene = sample(photograph(), [])
    assert RandAugment(0, 9)(scene, np.random.default_rng(0)) is scene


def test_every_operation_is_drawn():
    drawn = {OPERATIONS[i] for i in np.random.default_rng(0).integers(len(OPERATIONS), size=500)}
    assert drawn == set(OPERATIONS)
    assert len(OPERATIONS) == 14  # the paper's
