"""The eight faults: each takes a clean data set and a clean recipe, and gives them back with one thing wrong.

Faults of labels are planted into every split, as an annotator would; those of the data and the recipe where they arise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ablab.tasks.detection.anchors import DEFAULT, fit
from ablab.tasks.detection.boxes import Annotation

Splits = dict[str, tuple[Annotation, ...]]
SHARE = 0.1  # of the labels
MOVED = 0.4  # of a box's sides: the IoU with where it was is 0.35 to 0.43
LEAKED = 0.2  # of the test images
TINY = 32  # pixels: the least image size; a digit of 30 pixels in a scene of 128 has 7
DEAD = "backbone.stage4.1.merge"  # what strides 16 and 32 see; stride 8 has a way past it


def shifted(splits: Splits, rng: np.random.Generator) -> Splits:
    """A tenth of the boxes, each moved by four tenths of its sides in a direction of its own."""

    def move(image: Annotation) -> Annotation:
        hit = rng.random(len(image.labels)) < SHARE
        angle = rng.uniform(0, 2 * np.pi, len(image.labels))
        sides = image.boxes[:, 2:] - image.boxes[:, :2]
        by = MOVED * np.stack([np.cos(angle), np.sin(angle)], axis=1) * sides * hit[:, None]
        limits = np.array([image.width, image.height] * 2, float)
        return replace(image, boxes=(image.boxes + np.tile(by, 2)).clip(0, limits), area=None)

    return _each(splits, move)


def misnamed(splits: Splits, rng: np.random.Generator) -> Splits:
    """A tenth of the labels, each with another class."""

    def rename(image: Annotation) -> Annotation:
        hit = rng.random(len(image.labels)) < SHARE
        other = (image.labels + rng.integers(1, 3, len(image.labels))) % 3
        return replace(image, labels=np.where(hit, other, image.labels))

    return _each(splits, rename)


def without_class(splits: Splits, rng: np.random.Generator) -> Splits:
    """No example of one class in train: its labels are gone there, its objects are not."""
    gone = int(rng.integers(3))

    def drop(image: Annotation) -> Annotation:
        keep = image.labels != gone
        columns = {name: getattr(image, name)[keep] for name in ("boxes", "labels", "difficult", "crowd")}
        return replace(image, **columns, area=None)

    return splits | {"train": tuple(map(drop, splits["train"]))}


def leaked(splits: Splits, rng: np.random.Generator, folder: Path) -> Splits:
    """A fifth of the test images in train as well, under other names: half as they are, half as JPEG."""
    folder.mkdir(parents=True, exist_ok=True)
    test = splits["test"]
    copies = []
    for place, row in enumerate(rng.permutation(len(test))[: round(LEAKED * len(test))].tolist()):
        made = folder / f"copy{place:04}{('.png', '.jpg')[place % 2]}"
        with Image.open(test[row].path) as image:
            image.convert("RGB").save(made)
        copies.append(replace(test[row], id=made.stem, path=made))
    return splits | {"train": (*splits["train"], *copies)}


def _each(splits: Splits, change: Callable[[Annotation], Annotation]) -> Splits:
    return {name: tuple(map(change, images)) for name, images in splits.items()}


def too_small() -> Mapping[str, Any]:
    """An input at which most digits have a few pixels."""
    return {"train.image_size": TINY}


def too_fast(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ten times the recipe's learning rate."""
    return {"optimizer.lr": 10 * recipe["optimizer"]["lr"]}


def too_large(splits: Splits, size: int, rng: np.random.Generator) -> Mapping[str, Any]:
    """Anchors that were fitted to the training boxes, ten times as large."""
    boxes = [
        (image.boxes[:, 2:] - image.boxes[:, :2]) * (size / max(image.width, image.height)) for image in splits["train"]
    ]
    fitted = fit(np.concatenate(boxes), DEFAULT.size // 2, rng=rng).reshape(DEFAULT.shape)
    return {"anchors": (10 * fitted).round(2).tolist()}


def dead(weights: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Starting weights whose norm at `DEAD` says the same whatever comes in, and the parameters that must not move.

    With a scale of 0 and a shift of -10 the SiLU behind it gives -0.0005: a layer that died, not one that was cut out.
    """
    made = {name: tensor.clone() for name, tensor in weights.items()}
    held = [f"{DEAD}.norm.weight", f"{DEAD}.norm.bias"]
    made[held[0]].fill_(0.0)
    made[held[1]].fill_(-10.0)
    return made, held
