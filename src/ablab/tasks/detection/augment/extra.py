"""Augmentations that the recipe adds at the end of the pipeline, the user's own among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ablab.errors import ContractError
from ablab.recipe import PartSpec
from ablab.registry import make
from ablab.tasks.detection.boxes import Sample


class Extra:
    """Parts of the slot `augmentation`, one after another, each with a stream of its own.

    A stream is called `extra/PART`, and `extra/PART/2` where the part stands there twice: adding one moves no other's
    draws. Raises UnknownName for a part, ConfigError for an argument that does not exist.
    """

    def __init__(self, parts: Sequence[PartSpec]) -> None:
        seen: Counter[str] = Counter()
        self.parts: dict[str, Any] = {}
        for spec in parts:
            seen[spec.part] += 1
            again = f"/{seen[spec.part]}" if seen[spec.part] > 1 else ""
            self.parts[f"extra/{spec.part}{again}"] = make(spec.part, "augmentation", **spec.args)

    def __call__(self, sample: Sample, draws: Callable[[str], np.random.Generator]) -> Sample:
        """`draws` gives a stream by name. Raises ContractError naming a part whose sample cannot be trained on."""
        for name, part in self.parts.items():
            shape = sample.image.shape
            sample = part(sample, draws(name))
            if wrong := unsound(sample, shape):
                raise ContractError(f"augment.{name}, image {sample.id}: {wrong}; see `ablab check`")
        return sample


def unsound(sample: Sample, shape: tuple[int, ...]) -> str:
    """What is wrong with an augmented sample whose image was of `shape` (H, W, 3) before; empty where nothing is."""
    image, boxes = sample.image, sample.boxes
    if image.shape != shape or image.dtype != np.uint8:
        return f"the image is {image.shape} {image.dtype}, expected {shape} uint8; keep its size and type"
    if boxes.ndim != 2 or boxes.shape[1:] != (4,) or sample.labels.shape != boxes.shape[:1]:
        return f"boxes {boxes.shape} and labels {sample.labels.shape}, expected (N, 4) and (N,); drop both together"
    if not (boxes[:, :2] < boxes[:, 2:]).all():
        return "a box has no width or no height, or NaN; drop it and its label"
    if (boxes < 0).any() or (boxes > (shape[1], shape[0]) * 2).any():
        return f"a box leaves the image of {shape[1]} x {shape[0]} pixels; cut it at the border"
    return ""
