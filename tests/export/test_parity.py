"""The limits, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ablab.export.parity import compare

BOXES = np.array([[[0, 0, 100, 50], [10, 10, 20, 20]]], np.float32)
SCORES = np.array([[[0.5, 0.1], [0.01, 0.02]]], np.float32)


def off(box: float = 0, score: float = 0, at: tuple[int, ...] = (0, 0, 2)) -> tuple[np.ndarray, np.ndarray]:
    boxes, scores = BOXES.copy(), SCORES.copy()
    boxes[at] += box
    scores[0, 0, 0] += score
    return boxes, scores


@pytest.mark.parametrize(
    ("box", "score", "exact", "within"),
    [
        (0, 0, True, True),
        (0.1, 0, True, True),  # 100 * 1e-3 + 100 * 1e-5 = 0.101 pixels
        (0.102, 0, True, False),
        (0, 0.0005, True, True),  # 0.5 * 1e-3 + 1e-5
        (0, 0.00052, True, False),
        (4.9, 0.049, False, True),  # a twentieth of the side, and of the score
        (5.1, 0, False, False),
        (0, 0.051, False, False),
        (np.nan, 0, True, False),
        (np.nan, 0, False, False),
    ],
)
def test_limits(box: float, score: float, exact: bool, within: bool) -> None:
    found = compare(off(box, score), (BOXES, SCORES), side=100, exact=exact)
    assert found.within is within
    assert found.boxes == pytest.approx(box, rel=1e-4, nan_ok=True)


def test_a_box_that_nobody_sees_may_move_in_reduced_arithmetic_only() -> None:
    given = off(50, at=(0, 1, 2))  # it scores 0.02
    assert compare(given, (BOXES, SCORES), side=100, exact=False).within
    assert not compare(given, (BOXES, SCORES), side=100, exact=True).within


def test_another_shape_is_not_the_same_model() -> None:
    assert not compare((BOXES[:, :1], SCORES[:, :1]), (BOXES, SCORES), side=100, exact=True).within
