"""Whether a shipped model is still the same model: its raw outputs, and its score on the validation split.

In float32, every box and score must lie within the limits below of the network's own. In bf16 and fp16 a rounding is
2^-8 and 2^-11 of a number, so the score on the split is the judge there, and the raw limits only catch what is broken.
In int8 a rounding is up to 2^-8 of a channel's whole range: single scores move far, so the mean of all is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablab.export.deployed import Outputs

RTOL = 1e-3
ATOL = 1e-5  # of a score; of a box, times the longer side of the input
REDUCED = 0.05  # bf16, fp16: of a score; of a box that is seen, times the longer side
SEEN = 0.05  # the score from which a box counts there
COARSE = 0.1  # int8: of the mean difference of all scores that are seen
TOLERANCE = 0.001  # of the metric on the split
TOLERANCE_REDUCED = 0.005  # bf16, fp16: on BCCD's 87 images of validation, roundings alone moved AP by 0.003
TOLERANCE_INT8 = 0.01


@dataclass(frozen=True)
class Difference:
    """The largest differences of boxes in pixels and of scores, and whether they are within the limits."""

    boxes: float
    scores: float
    within: bool


def compare(given: Outputs, expected: Outputs, side: int, exact: bool, coarse: bool = False) -> Difference:
    """Hold boxes (B, N, 4) and scores (B, N, C) against the expected ones; `side` is the input's longer one in pixels.

    `exact` is float32 against float32: the limits of every box and score are ATOL (boxes: ATOL * side) + RTOL * |x|.
    `coarse` is int8.
    """
    boxes, scores = given
    if (boxes.shape, scores.shape) != (expected[0].shape, expected[1].shape):
        return Difference(np.inf, np.inf, within=False)
    box, score = (np.abs(new.astype(np.float64) - old) for new, old in zip(given, expected, strict=True))
    if exact:
        limits = (ATOL * (side, 1)[i] + RTOL * np.abs(old) for i, old in enumerate(expected))
        within = all(bool((off <= limit).all()) for off, limit in zip((box, score), limits, strict=True))
    elif coarse:
        seen = expected[1].max(axis=-1) >= SEEN  # (B, N)
        moved = float(score[seen].mean()) if seen.any() else 0.0
        within = moved <= COARSE and bool(np.isfinite(boxes).all() and np.isfinite(scores).all())
    else:
        seen = expected[1].max(axis=-1) >= SEEN  # (B, N)
        within = bool((score <= REDUCED).all() and (box[seen] <= REDUCED * side).all() and np.isfinite(boxes).all())
    return Difference(float(box.max(initial=0)), float(score.max(initial=0)), within)
