"""Sizes after letterboxing by hand, and the input size that lifts objects, held by trying it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablab.errors import ConfigError
from ablab.tasks.detection.augment.letterbox import letterbox
from ablab.tasks.detection.boxes import Annotation, Sample, Truth
from ablab.tasks.detection.diagnosis.labels import Labels
from ablab.tasks.detection.diagnosis.reach import lift, reach


def annotation(
    width: int, height: int, sides: list[tuple[float, float]], labels: list[int] | None = None
) -> Annotation:
    boxes = np.array([(1, 2, 1 + w, 2 + h) for w, h in sides], float).reshape(-1, 4)
    none = np.zeros(len(sides), bool)
    return Annotation("a", Path("a"), width, height, boxes, np.array(labels or [0] * len(sides)), none, none)


def test_labels_are_as_large_as_the_letterboxed_sample_says() -> None:
    image = annotation(640, 480, [(40, 10), (300.5, 77)])
    sample = Sample("a", np.zeros((480, 640, 3), np.uint8), image.boxes, image.labels, Truth.of(image))
    shown = letterbox(sample, (320, 320)).boxes
    labels = Labels.of([image], (320, 320))
    np.testing.assert_allclose(labels.sides, shown[:, 2:] - shown[:, :2])
    np.testing.assert_allclose(labels.side, [10, np.sqrt(150.25 * 38.5)])
    np.testing.assert_allclose(labels.boxes[0], [1 / 640, 2 / 480, 41 / 640, 12 / 480])


def test_shares_below_by_hand() -> None:
    """At half the size: 3, 6, 12 and 40 pixels."""
    image = annotation(640, 640, [(6, 6), (12, 12), (24, 24), (80, 80)], [0, 0, 1, 1])
    seen = reach(Labels.of([image], (320, 320)), ("cell", "seed", "grain"), (320, 320), stride=8)
    assert dict(seen.below) == {4: 0.25, 8: 0.5, 16: 0.75, 32: 0.75}
    assert seen.below_stride == 0.5
    assert seen.by_class[:2] == (("cell", 4.5, 1.0), ("seed", 26.0, 0.0))
    assert np.isnan(seen.by_class[2][1:]).all()
    assert dict(seen.quantiles)[0.5] == 9


def test_an_input_size_by_hand() -> None:
    """Ten objects of 1 to 10 pixels: one may stay behind, so that of 2 decides; 8 pixels want four times the size."""
    image = annotation(640, 480, [(2 * k, 2 * k) for k in range(1, 11)])
    labels = Labels.of([image], (320, 320))
    made = lift(labels, (320, 320), 8)
    assert (made.size, made.factor, made.enlarged) == ((1280, 1280), 4, 1)
    assert lift(labels, (320, 320), 4).size == (640, 640)
    assert lift(labels, (320, 320), 4).enlarged == 0  # 640 pixels are shown as 640
    assert lift(labels, (320, 320), 4.01).size == (672, 672)


@given(
    st.integers(0, 2**32 - 1), st.sampled_from([(320, 320), (320, 480), (640, 384)]), st.sampled_from([4.0, 8.0, 32.0])
)
def test_the_size_lifts_and_a_stride_less_does_not(seed: int, size: tuple[int, int], pixels: float) -> None:
    rng = np.random.default_rng(seed)
    images = [
        annotation(int(w), int(h), [tuple(s) for s in rng.uniform(3, 60, (rng.integers(1, 9), 2))])
        for w, h in rng.integers(100, 900, (12, 2))
    ]
    labels = Labels.of(images, size)
    made = lift(labels, size, pixels)
    assert (Labels.of(images, made.size).side >= pixels - 1e-9).mean() >= 0.9
    assert (labels.side * made.factor * (1 - 1e-6) >= pixels).mean() < 0.9  # nothing smaller does


def test_no_objects() -> None:
    nothing = Labels.of([annotation(64, 64, [])], (64, 64))
    seen = reach(nothing, ("cell",), (64, 64), 8)
    assert seen.lifts == ()
    assert np.isnan(seen.below_stride)
    with pytest.raises(ConfigError, match="no input size lifts 90% of 0 objects"):
        lift(nothing, (64, 64), 8)
