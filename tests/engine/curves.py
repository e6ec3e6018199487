"""The first steps of a detector's training on one batch, in any arithmetic: what the tests of agreement compare."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ablab.engine.precision import Precision, choose
from ablab.measure.seeding import forked
from ablab.recipe import TrainRecipe
from ablab.streams import stream
from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.losses.criterion import Criterion
from ablab.tasks.detection.model import build_model
from ablab.tasks.detection.recipe import DetectionModel, LossRecipe

IMAGES, SIDE, CLASSES = 4, 64, 3


@dataclass(frozen=True)
class Steps:
    """Losses (steps,) and gradients (steps, parameters) of the steps that were taken; how many the scaler skipped."""

    losses: Tensor
    gradients: Tensor
    skipped: int


def chosen(precision: str, device: str = "cpu") -> Precision:
    return choose(TrainRecipe.model_validate({"precision": precision, "device": device, "threads": 1}))


def first_steps(precision: Precision, head: str, steps: int) -> Steps:
    """YOLOv5n from the same weights on the same rectangles, by AdamW in its warm-up, each step as `fit` makes it."""
    free = head == "anchor-free"
    has = {"bins": 8} if free else {"anchors": torch.from_numpy(DEFAULT).float()}
    with forked("curves", head):
        model = build_model(
            DetectionModel(head=head, bins=8) if free else DetectionModel(), CLASSES, has.get("anchors")
        )
    criterion = Criterion.of(LossRecipe(), model.head.strides, CLASSES, **has)
    batch = precision.to_device(pictures())
    model, scaler = precision.place(model).train(), precision.scaler()
    made = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    losses, gradients, skipped = [], [], 0
    with precision.settled():
        while len(losses) < steps:
            for group in made.param_groups:
                group["lr"] = 1e-3 * (len(losses) + 1) / steps
            with precision.autocast():
                loss, _ = criterion(model(batch["images"]), batch["boxes"], batch["labels"], batch["image_index"])
            made.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(made)
            gradient = torch.cat([p.grad.float().flatten() for p in model.parameters()]).cpu()
            scaler.step(made)
            scaler.update()
            if gradient.isfinite().all():
                losses.append(loss.item())
                gradients.append(gradient)
            else:
                skipped += 1
    return Steps(torch.tensor(losses), torch.stack(gradients), skipped)


def pictures() -> dict[str, Tensor]:
    """Noise with two rectangles an image, each of its class's colour."""
    rng = stream("curves", "pictures")
    images = torch.from_numpy(rng.uniform(0.2, 0.6, (IMAGES, 3, SIDE, SIDE)).astype("float32"))
    rows, labels = [], []
    for image in range(IMAGES):
        for side in (16, 30):
            label, (x, y) = int(rng.integers(CLASSES)), rng.integers(0, SIDE - side, 2).tolist()
            images[image, label, y : y + side, x : x + side] = 1.0
            rows.append([x, y, x + side, y + side])
            labels.append(label)
    return {
        "images": images,
        "boxes": torch.tensor(rows, dtype=torch.float32),
        "labels": torch.tensor(labels),
        "image_index": torch.arange(IMAGES).repeat_interleave(2),
    }
