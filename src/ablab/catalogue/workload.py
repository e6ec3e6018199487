"""What the parts of each slot are timed on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.measure.forward import Example
from ablab.measure.seeding import forked
from ablab.registry import SLOTS, Entry
from ablab.streams import stream
from ablab.surgery import augmentation_promises, sampler_promises
from ablab.surgery.loss_promises import boxes, distances
from ablab.surgery.specimen import FACTS, Specimen, draw, specimen

Size = tuple[int, ...]
MAPS: tuple[Size, ...] = ((1, 64, 32, 32), (1, 64, 80, 80), (1, 128, 40, 40), (1, 256, 20, 20))
IN_NETWORKS = ("activation", "attention", "norm", "conv", "upsample", "dropout", "wrapper")
# The reference first, then the three of `ablab parts show`: a detector's maps at 640 pixels where there are maps.
SIZES: dict[str, tuple[Size, ...]] = {
    **dict.fromkeys(IN_NETWORKS, MAPS),
    "backbone": ((1, 3, 160, 160), (1, 3, 160, 160), (1, 3, 320, 320), (1, 3, 640, 640)),
    **dict.fromkeys(("box_loss", "class_loss", "distribution_loss"), ((1000,), (100,), (1000,), (10000,))),
    "assigner": ((100,), (10,), (100,), (1000,)),
    "augmentation": ((320, 320), (160, 160), (320, 320), (640, 640)),
    "initialisation": ((64, 64, 3, 3), (64, 64, 3, 3), (128, 128, 3, 3), (256, 256, 3, 3)),
    "optimizer": ((100_000,), (10_000,), (100_000,), (1_000_000,)),
    "sampler": ((1000,), (100,), (1000,), (10000,)),
}
CLASSES, BINS, STRIDES = 80, 16, (8, 16, 32)
IMAGES, SCENE = 8, 640  # of an assigner: a batch, pixels a side
ANCHORS = [[[10.0, 13], [16, 30]], [[30, 61], [62, 45]], [[116, 90], [156, 198]]]


# What is timed, and on how much of what.
WORK = {
    **dict.fromkeys(IN_NETWORKS, ("forward in evaluation", "map of {}")),
    "conv": ("forward in evaluation, a 3x3 site", "map of {}"),
    "wrapper": ("forward in evaluation, around a 3x3 convolution that counts too", "map of {}"),
    "backbone": ("forward in evaluation", "image of {}"),
    "box_loss": ("forward and backward", "{} pairs of boxes"),
    "class_loss": ("forward and backward", f"{{}} places of {CLASSES} classes"),
    "distribution_loss": ("forward and backward", f"{{}} places of 4 sides and {BINS} bins"),
    "assigner": ("one assignment", f"{{}} objects in {IMAGES} images of {SCENE} x {SCENE} pixels"),
    "augmentation": ("one call", "image of {} pixels with four boxes"),
    "initialisation": ("one draw", "weight of {}"),
    "optimizer": ("one step", "{} numbers"),
    "sampler": ("one epoch", "{} images"),
}


def amount_of(slot: str, size: Size) -> str:
    """A size in words: `map of 1 x 64 x 32 x 32`."""
    return WORK[slot][1].format(" x ".join(f"{side:,}" for side in size))


def workload(entry: Entry, size: Size) -> tuple[nn.Module, Example]:
    """A module and what it is to be called on: the part itself in a network, else an act around it."""
    part = specimen(entry)
    if entry.slot in IN_NETWORKS:
        facts = {name: size[1] for name in FACTS if name.endswith("channels")}
        return part.build(**facts), draw(*size)
    if entry.slot == "backbone":
        return part.build(), draw(*size).sigmoid()
    return Act(_ACTS[entry.slot](part, *size)), torch.zeros(())


class Act(nn.Module):
    """A plain function where a module is expected, outside of inference mode: losses want gradients."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self.act = act

    def forward(self, nothing: Tensor) -> Tensor:
        with torch.inference_mode(False):
            self.act()
        return nothing


def _loss(part: Specimen, inputs: Tensor, targets: Tensor) -> Callable[[], object]:
    built = part.build()
    inputs = inputs.float().requires_grad_()

    def act() -> object:
        return torch.autograd.grad(built(inputs, targets.float()).sum(), inputs)

    return act


def _assign(part: Specimen, count: int) -> Callable[[], object]:
    """On the grid of a head without anchors, or of one with them where the part wants some."""
    room: Any = import_module(SLOTS["assigner"])
    sizes = tuple((SCENE // stride, SCENE // stride) for stride in STRIDES)
    objects = room.Objects(
        boxes(count).float() * (SCENE / 100), torch.arange(count) % CLASSES, torch.arange(count) % IMAGES
    )
    built = part.build()

    def act(anchors: Tensor | None) -> Callable[[], object]:
        grid = room.Grid(STRIDES, sizes, torch.device("cpu"), anchors)
        near = boxes(grid.count, salt=1).float().expand(IMAGES, -1, -1) * (SCENE / 100)
        predicted = room.Predictions(near.contiguous(), draw(IMAGES, grid.count, CLASSES).sigmoid())
        return lambda: built(objects, grid, lambda: predicted)

    try:
        act(None)()
    except ConfigError:
        return act(torch.tensor(ANCHORS))
    return act(None)


def _augment(part: Specimen, height: int, width: int) -> Callable[[], object]:
    given = {"probability": 1.0} if "probability" in part.entry.arguments else {}
    built = part.build(**given)
    sample = augmentation_promises.samples()[2]
    scale = np.array([width, height] * 2) / np.array([*sample.image.shape[1::-1]] * 2)
    sample = replace(sample, image=cv2.resize(sample.image, (width, height)), boxes=sample.boxes * scale)
    rng = stream("augmentation", "cost")
    return lambda: built(sample, rng)


def _draw(part: Specimen, *shape: int) -> Callable[[], object]:
    built, weight = part.build(), torch.zeros(shape)

    def act() -> None:
        with forked("initialisation"), torch.no_grad():
            built(weight)

    return act


def _step(part: Specimen, count: int) -> Callable[[], object]:
    weight = nn.Parameter(draw(count))
    given: dict[str, Any] = {"params": [weight], "lr": 1e-3, "weight_decay": 1e-4}
    made: Any = part.build(**{name: value for name, value in given.items() if name in part.entry.arguments})

    def closure() -> Tensor:
        made.zero_grad()
        loss = weight.square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return lambda: made.step(closure)


def _epoch(part: Specimen, images: int) -> Callable[[], object]:
    counts = np.resize(sampler_promises.counts(), (images, 4))
    sampling = part.build()(counts)
    rng = stream("sampler", "cost")
    return lambda: sampling.draw(rng)


_ACTS: dict[str, Callable[..., Callable[[], object]]] = {
    "box_loss": lambda part, n: _loss(part, boxes(n), boxes(n, salt=1)),
    "class_loss": lambda part, n: _loss(part, draw(n, CLASSES), draw(n, CLASSES, salt=1).sigmoid().round()),
    "distribution_loss": lambda part, n: _loss(part, draw(n, 4, BINS), distances(n, BINS)),
    "assigner": _assign,
    "augmentation": _augment,
    "initialisation": _draw,
    "optimizer": _step,
    "sampler": _epoch,
}
