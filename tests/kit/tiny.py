"""A task of thirty lines: which of three colours dominates a noisy 12 x 12 image?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ablab.contracts import Splits, Step
from ablab.recipe import DataRecipe, ModelRecipe, Recipe, TrainRecipe
from ablab.streams import stream

SIDE = 12


def recipe(**train: Any) -> Recipe:
    settings = {"epochs": 3, "image_size": 32, "batch": 8, "threads": 1, "precision": "fp32", "device": "cpu"}
    return Recipe(
        task="tiny", model=ModelRecipe(name="tiny"), data=DataRecipe(path="-"), train=TrainRecipe(**settings | train)
    )


class Images:
    """`key` given: augmented, with noise from ("augment", *key, epoch, id)."""

    def __init__(self, name: str, count: int, key: tuple[str | int, ...] | None = None) -> None:
        rng = stream("tiny", name)
        self.ids = [f"{name}-{i}" for i in range(count)]
        self.labels = rng.integers(0, 3, count)
        self.images = rng.integers(0, 120, (count, SIDE, SIDE, 3))
        for image, label in zip(self.images, self.labels, strict=True):
            image[..., label] += 40
        self.key = key
        self.asked: list[tuple[int, int]] = []
        self.shapes: list[tuple[int, int]] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        epoch, index = key
        self.asked.append(key)
        image = self.images[index]
        if self.key is not None:
            rng = stream("augment", *self.key, epoch, self.ids[index])
            image = image + rng.integers(0, 60, image.shape)
        return {"id": self.ids[index], "image": image.astype(np.uint8), "label": int(self.labels[index])}


class Accuracy:
    def __init__(self) -> None:
        self.right: list[float] = []

    def update(self, predictions: Any, truth: Any) -> None:
        self.right += [float(p == t) for p, t in zip(predictions, truth, strict=True)]

    def items(self) -> dict[str, np.ndarray]:
        return {"right": np.array(self.right)}

    def choose(self, items: dict[str, np.ndarray]) -> dict[str, float]:
        return {}

    def score(self, items: Any, settings: Any, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        weights = np.ones((1, len(items["right"]))) if weights is None else weights
        return {"accuracy": weights @ items["right"] / weights.sum(1)}


class Net(nn.Sequential):
    """Convolution, norm, dropout: everything that draws or remembers."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.SiLU(),
            nn.Conv2d(8, 8, 3, 2, 1),
            nn.PReLU(8),
            nn.Dropout(0.2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 3),
        )


class Tiny:
    def __init__(self, given: Recipe, count: int = 36) -> None:
        self.recipe, self.count = given, count

    def build(self) -> nn.Module:
        return Net()

    def data(self, key: tuple[str | int, ...]) -> Splits:
        plain = {name: Images(name, 20) for name in ("validation", "test")}
        train = Images("train", self.count, key)
        return Splits(train=train, plain=Images("train", self.count), **plain, classes=("r", "g", "b"), manifest="-")

    def collate(self, samples: Any) -> dict[str, Any]:
        return {
            "images": torch.from_numpy(np.stack([s["image"] for s in samples])).permute(0, 3, 1, 2),
            "labels": torch.tensor([s["label"] for s in samples]),
            "ids": [s["id"] for s in samples],
            "truth": [s["label"] for s in samples],
        }

    def step(self, model: nn.Module, batch: dict[str, Any]) -> Step:
        loss = nn.functional.cross_entropy(model(batch["images"].float() / 255), batch["labels"])
        return Step(loss, {"entropy": loss.detach()})

    def predict(self, model: nn.Module, batch: dict[str, Any]) -> list[int]:
        return model(batch["images"].float() / 255).argmax(1).tolist()

    def meter(self) -> Accuracy:
        return Accuracy()


def fresh(seed: int = 0) -> nn.Module:
    """A network from a seed of its own; the global generator stands as it stood."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Net()
