"""Four images around one joint (YOLOv4, Bochkovskiy et al. 2020, https://arxiv.org/abs/2004.10934, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ablab.tasks.detection.augment.letterbox import GREY, fit
from ablab.tasks.detection.augment.visible import visible
from ablab.tasks.detection.boxes import Sample


def mosaic(samples: Sequence[Sample], size: tuple[int, int], rng: np.random.Generator) -> Sample:
    """Lay four samples around a joint in the middle half of a canvas of `size` (H, W); the first gives id and truth.

    0 | 1      Each is fitted into a quarter of the canvas and touches the joint with a corner;
    --+--      what stands over the canvas is cut, what is left empty is grey.
    2 | 3
    """
    height, width = size
    share = rng.uniform(0.25, 0.75, 2)
    joint_x, joint_y = round(share[0] * width), round(share[1] * height)
    canvas = np.full((height, width, 3), GREY, np.uint8)
    boxes, labels = [], []
    for corner, sample in enumerate(samples):
        tile = fit(sample, (height // 2, width // 2))
        h, w = tile.image.shape[:2]
        left = joint_x - w if corner % 2 == 0 else joint_x
        top = joint_y - h if corner < 2 else joint_y
        x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + w, width), min(top + h, height)
        canvas[y1:y2, x1:x2] = tile.image[y1 - top : y2 - top, x1 - left : x2 - left]
        cut, kept = visible(tile.boxes + np.array([left, top, left, top]), (x1, y1, x2, y2))
        boxes.append(cut[kept])
        labels.append(tile.labels[kept])
    return replace(samples[0], image=canvas, boxes=np.concatenate(boxes), labels=np.concatenate(labels))
