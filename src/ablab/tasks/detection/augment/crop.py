"""Zooming into a window."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from ablab.registry import register
from ablab.tasks.detection.augment.limits import Chance
from ablab.tasks.detection.augment.visible import visible
from ablab.tasks.detection.boxes import Sample

LEAST = 0.5  # of the sides


@register("augmentation", "crop")
class Crop(Chance):
    """Enlarge a window of 0.5 to 1 of both sides to the whole image, with a probability.

    The window holds the centre of one of the boxes, drawn, so that at least a quarter of one object is seen; it is
    anywhere where there is none. Boxes are cut at it (`visible`).
    """

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        luck, share, owner, *place = rng.random(5)
        if luck >= self.probability:
            return sample
        sides = np.array(sample.image.shape[1::-1])  # (W, H)
        window = np.maximum(np.round(sides * (LEAST + (1 - LEAST) * share)), 1)
        low, high = np.zeros(2), sides - window
        if len(sample.boxes):
            box = sample.boxes[int(owner * len(sample.boxes))]
            centre = (box[:2] + box[2:]) / 2
            low, high = np.maximum(low, np.ceil(centre - window)), np.minimum(high, np.floor(centre))
        x, y = np.round(low + (high - low) * np.array(place)).astype(int).tolist()
        width, height = window.astype(int).tolist()
        view = sample.image[y : y + height, x : x + width]
        image = cv2.resize(view, sides.tolist(), interpolation=cv2.INTER_LINEAR)
        boxes, kept = visible((sample.boxes - [x, y, x, y]) * np.tile(sides / window, 2), (0, 0, sides[0], sides[1]))
        return replace(sample, image=image, boxes=boxes[kept], labels=sample.labels[kept])
