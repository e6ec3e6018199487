"""Trap 21: a class that is missing from a bootstrap resample scores 0, or vanishes from the mean."""

from __future__ import annotations

import numpy as np

from ablab.streams import stream
from ablab.tasks.detection.boxes import Detections, Truth
from ablab.tasks.detection.metrics.meter import DetectionMeter

IMAGES = 12


def rare() -> tuple[DetectionMeter, dict[str, np.ndarray]]:
    """Class `rare` stands on one image of twelve, and is found there; `common` is found on every other image."""
    meter = DetectionMeter(["common", "rare"])
    boxes = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
    for i in range(IMAGES):
        real = np.arange(2 if i == 0 else 1)
        seen = real[i % 2 :]
        none = np.zeros(len(real), bool)
        truth = Truth(str(i), boxes[real], real, np.full(len(real), 100.0), none, none)
        meter.update([Detections(boxes[seen], 0.9 - 0.01 * i + 0 * seen, seen)], [truth])
    return meter, meter.items()


def test_exponential_weights_keep_a_rare_class():
    meter, items = rare()
    weights = stream("trap", 21).standard_exponential((200, IMAGES))
    scores = meter.score(items, {"threshold": 0.5}, weights)
    assert all(np.isfinite(scores[name]).all() for name in ("AP", "AP/rare", "AP50/rare", "F1", "AR100"))
    np.testing.assert_allclose(scores["AP/rare"], 1, atol=1e-9)
    assert scores["AP/common"].std() > 0.01, "the weights should matter"


def test_counts_lose_it_and_it_is_not_called_nought():
    meter, items = rare()
    counts = stream("trap", 21).multinomial(IMAGES, np.full(IMAGES, 1 / IMAGES), 200)
    scores = meter.score(items, {}, counts)
    lost = counts[:, 0] == 0
    assert 0.2 < lost.mean() < 0.5
    assert np.isnan(scores["AP/rare"][lost]).all()
    np.testing.assert_allclose(scores["AP"][lost], scores["AP/common"][lost], atol=1e-12)
    np.testing.assert_allclose(scores["AP/rare"][~lost], 1, atol=1e-9)
