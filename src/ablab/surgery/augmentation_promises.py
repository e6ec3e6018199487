"""What augmentations promise: (sample, rng) -> sample, with an image of the same size and boxes that are in it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ablab.errors import ContractError
from ablab.registry import SLOTS
from ablab.streams import stream
from ablab.surgery.specimen import Specimen

SIZES = ((61, 96), (96, 61), (64, 64))  # (H, W) in pixels: odd sides, both aspects
DRAWS = 8  # generators on each sample: what has a probability happens in some


def samples() -> list[Any]:
    """Smooth colours with four one-coloured objects of four labels, one of them at the border; the last has none."""
    room: Any = import_module(SLOTS["augmentation"])
    made = []
    for index, (height, width) in enumerate((*SIZES, SIZES[0])):
        rows, columns = np.mgrid[:height, :width]
        image = np.stack([rows * 2, columns * 2, rows + columns], axis=2).astype(np.uint8)
        boxes = np.array([[5, 6, 25, 30], [30, 8, 48, 20], [20, 35, 60, 55], [0, 40, 12, height]], np.float64)
        boxes = boxes[: 4 if index < len(SIZES) else 0]
        labels = np.arange(len(boxes))
        for box, label in zip(boxes.astype(int), labels, strict=True):
            image[box[1] : box[3], box[0] : box[2]] = 40 * label + 60
        none, area = np.zeros(len(boxes), bool), (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        truth = room.Truth(str(index), boxes, labels, area, none, none)
        made.append(room.Sample(str(index), image, boxes, labels, truth, (height, width)))
    return made


def augmented(part: Specimen) -> Iterator[tuple[Any, Any]]:
    """(what went in, what came out) for every sample and generator."""
    build = part.build()
    for number, before in enumerate(samples()):
        for draw in range(DRAWS):
            yield before, build(before, stream("augmentation", number, draw))


def image_keeps_its_size_and_type(part: Specimen) -> None:
    """(H, W, 3) uint8 in, the same out, at odd sizes and without any box."""
    for before, after in augmented(part):
        image, shape = np.asarray(after.image), before.image.shape
        if image.shape != shape or image.dtype != np.uint8:
            raise ContractError(f"an image {shape} uint8 became {image.shape} {image.dtype}; keep its size and type")


def boxes_stay_valid_and_in_the_image(part: Specimen) -> None:
    """x1 < x2 and y1 < y2, between 0 and the image's sides; a box that is gone is dropped."""
    for before, after in augmented(part):
        height, width = before.image.shape[:2]
        boxes = np.asarray(after.boxes)
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
            raise ContractError(
                f"boxes {before.boxes.shape} became {boxes.shape}, expected (N, 4), all finite; keep four numbers a box"
            )
        flat = ~(boxes[:, :2] < boxes[:, 2:]).all(axis=1)
        if flat.any():
            raise ContractError(f"a box became {boxes[flat][0].tolist()}, without width or height; drop it")
        out = ((boxes < 0) | (boxes > np.array([width, height] * 2))).any(axis=1)
        if out.any():
            raise ContractError(
                f"a box became {boxes[out][0].tolist()} in an image of {width} x {height} pixels; cut it at the border"
            )


def labels_stay_with_their_boxes(part: Specimen) -> None:
    """A label a box, int64, none that was not there before."""
    for before, after in augmented(part):
        labels = np.asarray(after.labels)
        if labels.shape != (len(after.boxes),) or labels.dtype != np.int64:
            raise ContractError(
                f"{len(after.boxes)} boxes have labels {labels.shape} {labels.dtype}, expected one each, int64; "
                "drop a box and its label together"
            )
        if not set(labels.tolist()) <= set(before.labels.tolist()):
            raise ContractError(
                f"labels {sorted(set(before.labels.tolist()))} became {sorted(set(labels.tolist()))}; keep them"
            )
        if after.id != before.id or not np.array_equal(after.truth.boxes, before.truth.boxes):
            raise ContractError("the sample's id or truth changed; use dataclasses.replace, and leave them as they are")


def input_is_left_as_it_is(part: Specimen) -> None:
    """Nothing is written into the sample that comes in: its image is shared with other epochs."""
    for before, _ in augmented(part):
        fresh = samples()[int(before.id)]
        for name in ("image", "boxes", "labels"):
            if not np.array_equal(getattr(before, name), getattr(fresh, name)):
                raise ContractError(f"it wrote into the {name} that it was given; copy before you write")


def equal_generators_draw_alike(part: Specimen) -> None:
    """The same generator gives the same bytes, whatever was drawn before elsewhere (trap 16)."""
    for one, two in zip(evidence(part), evidence(part), strict=True):
        if not torch.equal(one, two):
            raise ContractError("equal generators gave unlike samples; draw from `rng` alone")


def evidence(part: Specimen) -> list[Tensor]:
    """Everything that comes out."""
    return [
        torch.from_numpy(np.array(value))
        for _, after in augmented(part)
        for value in (after.image, after.boxes, after.labels)
    ]
