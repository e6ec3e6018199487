"""Each promise of the augmentation slot is broken on purpose once."""

from dataclasses import replace

import numpy as np
import pytest
from breaking import assert_breaks_only

from ablab import registry, testing
from ablab.errors import ContractError
from ablab.registry import Entry
from ablab.surgery import contract

CHECKS = [check for name in registry.names("augmentation") for check in testing.checks("augmentation", name)]


def negative(level=255):
    return lambda sample, rng: replace(sample, image=level - sample.image)


def smaller(sample, rng):
    return replace(sample, image=sample.image[1:])


def in_floats(sample, rng):
    return replace(sample, image=sample.image / 255)


def shifted(sample, rng):
    return replace(sample, boxes=sample.boxes + 7)


def flipped(sample, rng):
    """Forgets to sort the corners."""
    width = sample.image.shape[1]
    return replace(sample, boxes=np.abs(sample.boxes - [width, 0, width, 0]))


def lost(sample, rng):
    """Drops a box and keeps its label."""
    return replace(sample, boxes=sample.boxes[1:])


def renamed(sample, rng):
    return replace(sample, labels=sample.labels + 1)


def retold(sample, rng):
    return replace(sample, truth=replace(sample.truth, boxes=sample.truth.boxes / 2))


def in_place(sample, rng):
    sample.image[:4] = 0
    return sample


def private(sample, rng):
    noise = np.random.default_rng().integers(0, 256, sample.image.shape, np.uint8)
    return replace(sample, image=noise)


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_augmentation_keeps_the_contract(check):
    check()


def test_the_slot():
    assert registry.names("augmentation") == [
        *("affine", "blur", "crop", "cutout", "erase", "flip", "hsv", "noise", "randaugment")
    ]


def test_a_sound_one_passes():
    contract.check(Entry("augmentation", "negative", negative))


@pytest.mark.parametrize(
    ("build", "promise", "words"),
    [
        (smaller, "image keeps its size and type", "(61, 96, 3) uint8 became (60, 96, 3) uint8"),
        (in_floats, "image keeps its size and type", "(61, 96, 3) float64"),
        (shifted, "boxes stay valid and in the image", "in an image of 96 x 61 pixels; cut it at the border"),
        (flipped, "boxes stay valid and in the image", "became [91.0, 6.0, 71.0, 30.0], without width or height"),
        (lost, "labels stay with their boxes", "3 boxes have labels (4,) int64"),
        (renamed, "labels stay with their boxes", "labels [0, 1, 2, 3] became [1, 2, 3, 4]"),
        (retold, "labels stay with their boxes", "the sample's id or truth changed"),
        (in_place, "input is left as it is", "it wrote into the image"),
        (private, "equal generators draw alike", "draw from `rng` alone"),
    ],
)
def test_the_broken_promise_is_named_and_no_other(build, promise, words):
    assert_breaks_only(Entry("augmentation", "broken", lambda: build), promise, words)


def test_an_argument_that_does_nothing_is_named():
    with pytest.raises(ContractError, match=r"every argument counts.*'strength' changes nothing"):
        contract.check(Entry("augmentation", "broken", lambda strength=1.0: negative()))
