"""Augmentations that the recipe adds, one from a plug-in file of three lines among them."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from painting import painted, sample

from ablab import registry
from ablab.config import parse
from ablab.errors import ConfigError, ContractError, UnknownName
from ablab.streams import stream
from ablab.tasks.detection.augment.extra import Extra, unsound
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.recipe import AugmentRecipe
from ablab.tasks.detection.samples import DetectionSamples

PLUGIN = '''
from dataclasses import replace
from ablab import register

@register("augmentation", "negative")
def negative(level: int = 255):
    """Photographic negative."""
    return lambda sample, rng: replace(sample, image=level - sample.image)
'''
draws = partial(stream, "augment", "study", 1)


def extra(*parts):
    return Extra(parse(AugmentRecipe, {"extra": list(parts)}, "test").extra)


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory):
    file = tmp_path_factory.mktemp("plugin") / "my_augmentation.py"
    file.write_text(PLUGIN)
    registry.load_plugins([file])
    yield
    del registry._parts["augmentation", "negative"]


def samples(**recipe):
    """A set of two, whose images are in memory."""
    made = [painted(50, 70, (5, 5, 25, 30), name=str(n)) for n in range(2)]
    none = np.zeros(1, bool)
    annotations = [Annotation(s.id, Path(s.id), 70, 50, s.boxes, s.labels, none, none) for s in made]
    return DetectionSamples(
        annotations,
        (50, 70),
        parse(AugmentRecipe, recipe, "test"),
        ("study", 1),
        images=lambda annotation: made[int(annotation.id)].image,
    )


def test_a_part_of_ones_own_comes_last():
    plain, negative = samples(), samples(extra=["negative"])
    dark = samples(extra=[{"part": "negative", "args": {"level": 200}}])
    for key in ((0, 0), (3, 1)):
        np.testing.assert_array_equal(negative[key].image, 255 - plain[key].image)
        np.testing.assert_array_equal(dark[key].image, 200 - plain[key].image)
        np.testing.assert_array_equal(negative[key].boxes, plain[key].boxes)


def test_an_import_string_needs_no_registration():
    part = f"{__name__}:mirrored"
    out = extra(part)(painted(40, 60, (5, 6, 20, 30)), draws)
    assert out.boxes.tolist() == [[40, 6, 55, 30]]


def mirrored():
    return registry.make("flip", "augmentation", probability=1.0)


def test_each_has_a_stream_of_its_own():
    """One more before it moves no draw of another; a second one of a name draws anew."""
    noisy = {"part": "noise", "args": {"probability": 1.0}}
    scene = sample(np.full((40, 60, 3), 128, np.uint8), [])
    one = extra(noisy)(scene, draws).image.astype(int)
    behind = extra("negative", noisy)(scene, draws).image.astype(int)
    np.testing.assert_array_equal(one - 128, behind - 127)  # 255 - 128 = 127; far from black and white
    twice = extra(noisy, noisy)(scene, draws).image.astype(int)
    assert not np.array_equal(twice - one, one - 128)


def test_order_is_as_written():
    scene = sample(np.full((40, 60, 3), 10, np.uint8), [])
    hole = {"part": "cutout", "args": {"probability": 1.0, "side": 1.0}}
    first, last = extra(hole, "negative")(scene, draws), extra("negative", hole)(scene, draws)
    assert set(np.unique(first.image)) <= {255 - 114, 245}
    assert set(np.unique(last.image)) <= {114, 245}


def test_unknown_names_and_arguments_are_refused_before_training():
    with pytest.raises(UnknownName, match="unknown augmentation 'negativ'; did you mean 'negative'"):
        samples(extra=["negativ"])
    with pytest.raises(ConfigError, match="augmentation/blur takes no 'probabilty'; did you mean 'probability'"):
        samples(extra=[{"part": "blur", "args": {"probabilty": 1}}])


def cropping():
    return lambda s, rng: sample(s.image[1:], s.boxes)


def emptying():
    return lambda s, rng: sample(s.image, s.boxes[:, [0, 1, 0, 3]])


def losing():
    return lambda s, rng: sample(s.image, s.boxes, labels=[])


def leaving():
    return lambda s, rng: sample(s.image, s.boxes + 50)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cropping", r"the image is \(39, 60, 3\) uint8, expected \(40, 60, 3\)"),
        ("emptying", "a box has no width"),
        ("losing", r"boxes \(1, 4\) and labels \(0,\)"),
        ("leaving", "a box leaves the image of 60 x 40 pixels"),
    ],
)
def test_a_broken_part_is_named_where_it_breaks(name, words):
    with pytest.raises(ContractError, match=rf"augment\.extra/.*:{name}, image a: {words}"):
        extra(f"{__name__}:{name}")(painted(40, 60, (5, 6, 20, 30)), draws)


def test_no_box_is_sound():
    assert unsound(sample(np.zeros((4, 6, 3), np.uint8), []), (4, 6, 3)) == ""


def test_the_slot_needs_no_torch():
    code = "import sys; from ablab import registry; registry.names('augmentation'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
