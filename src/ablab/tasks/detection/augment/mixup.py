"""Two images seen through each other (Zhang et al. 2018, https://arxiv.org/abs/1710.09412)."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ablab.tasks.detection.boxes import Sample

BETA = 8.0  # of the symmetric beta distribution: both images stay to be seen, as in YOLOv5 and YOLOX


def mixup(sample: Sample, second: Sample, rng: np.random.Generator) -> Sample:
    """Blend with a second sample of the same size, by shares from Beta(8, 8); the first gives id and truth.

    The boxes of both are kept and weigh the same, as in YOLOv5 and YOLOX: a half-transparent object is an object.
    """
    share = rng.beta(BETA, BETA)
    return replace(
        sample,
        image=cv2.addWeighted(sample.image, share, second.image, 1 - share, 0),
        boxes=np.concatenate([sample.boxes, second.boxes]),
        labels=np.concatenate([sample.labels, second.labels]),
    )
