"""A window of another image (Yun et al. 2019, https://arxiv.org/abs/1905.04899, section 3.1)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ablab.tasks.detection.augment.visible import uncovered, visible
from ablab.tasks.detection.boxes import Sample


def cutmix(sample: Sample, second: Sample, rng: np.random.Generator) -> Sample:
    """Show a second sample of the same size through a window; the first gives id and truth.

    The window's share of the area is uniform (the paper's Beta(1, 1)), its centre anywhere; it is cut at the border.
    The second's boxes are cut at the window; of the first's, those that the window hides are dropped.
    """
    height, width = sample.image.shape[:2]
    share, *centre = rng.random(3)
    side = np.sqrt(share) / 2
    x1, x2 = (round(width * float(np.clip(centre[0] + edge, 0, 1))) for edge in (-side, side))
    y1, y2 = (round(height * float(np.clip(centre[1] + edge, 0, 1))) for edge in (-side, side))
    image = sample.image.copy()
    image[y1:y2, x1:x2] = second.image[y1:y2, x1:x2]
    stay = uncovered(sample.boxes, (x1, y1, x2, y2))
    cut, kept = visible(second.boxes, (x1, y1, x2, y2))
    return replace(
        sample,
        image=image,
        boxes=np.concatenate([sample.boxes[stay], cut[kept]]),
        labels=np.concatenate([sample.labels[stay], second.labels[kept]]),
    )
