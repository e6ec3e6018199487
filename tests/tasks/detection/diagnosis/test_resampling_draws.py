"""The image bootstrap of detection's readings against that of `ablab.stats`."""

from __future__ import annotations

import numpy as np
import pytest

from ablab.stats import population
from ablab.tasks.detection.diagnosis.resampling import resampling


def test_intervals_are_those_of_stats_for_a_mean() -> None:
    """Of 60 groups of two images; percentiles and a t interval agree where the mean is normal."""
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=60), 2)
    items = {"groups": np.repeat(np.arange(60).astype(str), 2), "images": np.arange(120).astype(str)}
    over = resampling(items, 4000, np.random.default_rng(1))
    assert over is not None
    assert over.weights.mean(axis=1) == pytest.approx(np.ones(4000))
    assert np.array_equal(over.weights[:, ::2], over.weights[:, 1::2])
    drawn = over.weights @ values / len(values)
    expected = population([values.mean()], drawn[:, None], 60).images
    assert over.interval(float(values.mean()), drawn) == pytest.approx(expected, abs=0.03)


def test_nothing_is_drawn_of_too_few_groups_or_without_replicates() -> None:
    images, rng = np.arange(100).astype(str), np.random.default_rng(0)
    assert resampling({"groups": np.repeat(["a", "b"], 50), "images": images}, 100, rng) is None
    alone = {"groups": np.repeat("", 100), "images": images}  # each by itself: a hundred groups
    assert resampling(alone, 0, rng) is None
    assert resampling(alone, 100, rng) is not None
