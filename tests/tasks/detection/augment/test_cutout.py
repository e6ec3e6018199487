import numpy as np
import pytest
from hypothesis import given
from painting import painted, sample, seeds

from ablab.errors import ConfigError
from ablab.tasks.detection.augment.affine import Affine
from ablab.tasks.detection.augment.cutout import Cutout
from ablab.tasks.detection.augment.flip import Flip
from ablab.tasks.detection.augment.hsv import HSV
from ablab.tasks.detection.augment.letterbox import GREY
from ablab.tasks.detection.augment.randaugment import RandAugment


class At:
    """Draws a probability of 0 and then these centres."""

    def __init__(self, *centres):
        self.centres = centres

    def random(self, shape=None):
        return 0.0 if shape is None else np.array(self.centres, float)


def greyed(image):
    return (image == GREY).all(axis=2)


def test_a_hole_in_the_middle():
    """A quarter of 40 pixels around the centre of 40 x 60."""
    out = Cutout(side=0.25)(sample(np.zeros((40, 60, 3), np.uint8), []), At((0.5, 0.5)))
    rows, columns = np.nonzero(greyed(out.image))
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (15, 25, 25, 35)
    assert greyed(out.image).sum() == 100


def test_a_hole_at_a_corner_is_a_quarter_of_one():
    out = Cutout(side=0.5)(sample(np.zeros((40, 60, 3), np.uint8), []), At((0, 0)))
    assert greyed(out.image)[:10, :10].all()
    assert greyed(out.image).sum() == 100


def test_boxes_that_a_hole_hides_are_dropped():
    """A box of 20 x 20 from 10: a hole over its left 12 columns leaves it (60%), over 13 it is gone."""
    scene = painted(80, 80, (10, 10, 30, 30))
    kept, gone = (Cutout(side=0.5)(scene, At(((right - 20) / 80, 0.25))) for right in (22, 23))
    assert len(kept.boxes) == len(kept.labels) == 1
    assert len(gone.boxes) == len(gone.labels) == 0


@given(seeds)
def test_as_many_draws_whatever_happens(seed):
    scene = painted(40, 60, (5, 6, 20, 30))
    off, on = np.random.default_rng(seed), np.random.default_rng(seed)
    assert Cutout(0.0, holes=3)(scene, off) is scene
    out = Cutout(1.0, holes=3)(scene, on)
    assert 0 < greyed(out.image).sum() <= 300
    assert off.random() == on.random()


@pytest.mark.parametrize(
    ("build", "args"),
    [
        (Cutout, {"side": 1.5}),
        (Cutout, {"holes": -1}),
        (Flip, {"probability": 2}),
        (HSV, {"hue": 0.6}),
        (Affine, {"degrees": -1}),
        (RandAugment, {"magnitude": 31}),
    ],
)
def test_senseless_settings_are_refused(build, args):
    (name,) = args
    with pytest.raises(ConfigError, match=rf"augmentation {build.__name__}: {name} must be .*, got {args[name]}"):
        build(**args)
