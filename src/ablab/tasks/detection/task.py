"""Detection as a task: what the engine and the study know of it, behind `contracts.Task`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ablab.config import fingerprint
from ablab.contracts import Batch, Items, Objects, Panel, Sampling, Settings, Splits, Step
from ablab.errors import ConfigError
from ablab.findings import Case, Chapter, Proposal
from ablab.parts.sampler import Shuffle
from ablab.registry import make
from ablab.streams import Key, stream
from ablab.tasks.detection import anchors as fitting
from ablab.tasks.detection.augment.letterbox import letterbox, rectangle
from ablab.tasks.detection.boxes import Detections, Sample, Truth
from ablab.tasks.detection.cache import open_cache
from ablab.tasks.detection.diagnosis.advice import advise
from ablab.tasks.detection.diagnosis.chapters import read_chapters
from ablab.tasks.detection.draw import draw
from ablab.tasks.detection.formats.dataset import Dataset, manifest, open_dataset
from ablab.tasks.detection.formats.reading import read_image
from ablab.tasks.detection.losses.criterion import Criterion
from ablab.tasks.detection.losses.defaults import resolve
from ablab.tasks.detection.losses.teaching import anchor_free_gaps, anchor_gaps
from ablab.tasks.detection.metrics.meter import DetectionMeter
from ablab.tasks.detection.model import STRIDES, build_model, check_size
from ablab.tasks.detection.panels import panels
from ablab.tasks.detection.postprocess import postprocess, to_detections
from ablab.tasks.detection.recipe import DetectionRecipe
from ablab.tasks.detection.samples import DetectionSamples, decode

Place = tuple[tuple[int, int], float, tuple[float, float]]  # an image's (H, W), its scale and its shift in a letterbox


class Detection:
    """A detector's training, bound to a recipe. `facts` holds the class names and, for an anchor head, the anchors."""

    def __init__(self, recipe: DetectionRecipe, facts: dict[str, Any] | None = None) -> None:
        check_size(recipe.train.image_size)
        resolve(recipe.loss, recipe.model.head)
        self.recipe = recipe
        self._given = facts

    @cached_property
    def dataset(self) -> Dataset:
        """The data, opened once."""
        return open_dataset(self.recipe.data)

    @cached_property
    def _facts(self) -> dict[str, Any]:
        if self._given is not None:
            return self._given
        classes = list(self.dataset.classes)
        if self.recipe.model.head == "anchor-free":
            return {"classes": classes, "note": "no anchors: the head is anchor-free"}
        # Drawn from one stream for all arms and seeds: an anchor is data, not luck.
        rng = stream("anchors", fingerprint(self.recipe.data.model_dump(exclude={"path", "splits", "fold", "sampler"})))
        chosen, note = fitting.choose(self.recipe.anchors, self.targets(), rng)
        return {"classes": classes, "anchors": chosen.round(2).tolist(), "note": note}

    def facts(self) -> dict[str, Any]:
        """Class names, anchors (3, 3, 2) in pixels where the head has any, and a sentence about them."""
        return self._facts

    def targets(self) -> np.ndarray:
        """Widths and heights of all training boxes in pixels of the network's input.  -> (N, 2)"""
        height, width = self.recipe.train.image_size
        sizes = [
            (a.boxes[:, 2:] - a.boxes[:, :2]) * min(height / a.height, width / a.width)
            for a in self.dataset.splits["train"]
        ]
        return np.concatenate(sizes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of their labels."""
        return tuple(self._facts["classes"])

    @cached_property
    def _criterion(self) -> Criterion:
        free = self.recipe.model.head == "anchor-free"
        return Criterion.of(
            self.recipe.loss,
            STRIDES,
            len(self.classes),
            anchors=None if free else torch.tensor(self._facts["anchors"]),
            bins=self.recipe.model.bins if free else None,
        )

    def build(self) -> nn.Module:
        """The baseline network, drawn from torch's current generator."""
        free = self.recipe.model.head == "anchor-free"
        return build_model(self.recipe.model, len(self.classes), None if free else np.array(self._facts["anchors"]))

    def data(self, key: Key) -> Splits:
        """The splits; training augments from streams that begin with `key`, (study, seed).

        Raises ConfigError where the classes are not those that the facts came with, or a sampler would do nothing.
        """
        dataset = self.dataset
        if self._given is not None and list(dataset.classes) != list(self._given["classes"]):
            raise ConfigError(
                f"{self.recipe.data.path} has the classes {', '.join(dataset.classes)}, but the model was trained on "
                f"{', '.join(self._given['classes'])}; give it data with the same classes"
            )
        sampling = self._sampling()
        train, size, splits = self.recipe.train, self.recipe.train.image_size, dataset.splits
        everything = [annotation for split in splits.values() for annotation in split]
        images, notes = open_cache(everything, size, train, partial(decode, size=size))
        plain = partial(
            DetectionSamples, image_size=size, images=images, rectangular=self.recipe.postprocess.rectangular
        )
        return Splits(
            train=DetectionSamples(splits["train"], size, self.recipe.augment, key, images=images, epochs=train.epochs),
            plain=plain(splits["train"]),
            validation=plain(splits["validation"]),
            test=plain(splits["test"]),
            classes=dataset.classes,
            manifest=manifest(dataset),
            notes=dataset.notes + notes,
            sampling=sampling,
        )

    def _sampling(self) -> Sampling | None:
        """What the recipe's sampler makes of the objects in the training images; None for shuffle."""
        part = self.recipe.data.sampler
        sampler = make(part.part, "sampler", **part.args)
        if isinstance(sampler, Shuffle):
            return None
        classes = len(self.dataset.classes)
        counts = [np.bincount(a.labels[~a.crowd], minlength=classes) for a in self.dataset.splits["train"]]
        return sampler(np.stack(counts))

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """images (B, 3, H, W) uint8; boxes (M, 4) and labels (M,) of all images, whose index is image_index (M,).

        With multi-scale, the first sample says which size the batch has.
        """
        if sides := samples[0].batch_sides:
            samples = [letterbox(sample, sides) for sample in samples]
        images = np.stack([sample.image for sample in samples])  # (B, H, W, 3)
        counts = [len(sample.labels) for sample in samples]
        return {
            "images": torch.from_numpy(images).permute(0, 3, 1, 2),
            "boxes": torch.from_numpy(np.concatenate([s.boxes for s in samples]).astype(np.float32)),
            "labels": torch.from_numpy(np.concatenate([s.labels for s in samples]).astype(np.int64)),
            "image_index": torch.from_numpy(np.repeat(np.arange(len(samples)), counts)),
            "ids": [sample.id for sample in samples],
            "truth": [sample.truth for sample in samples],
            "placement": [(sample.size, sample.scale, sample.shift) for sample in samples],
        }

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Forward and criterion."""
        raw = model(batch["images"].float() / 255)
        loss, parts = self._criterion(raw, batch["boxes"], batch["labels"], batch["image_index"])
        return Step(loss, parts)

    def distil(self, student: Sequence[Tensor], teacher: Sequence[Tensor], temperature: float) -> dict[str, Tensor]:
        """What the student's raw maps lack to be the teacher's, as `losses.teaching` has it for either head."""
        if self.recipe.model.head == "anchor-free":
            return anchor_free_gaps(student, teacher, temperature, self.recipe.model.bins)
        return anchor_gaps(student, teacher, temperature, torch.tensor(self._facts["anchors"]), STRIDES)

    def decode(self, model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) uint8 -> boxes (B, N, 4) in their pixels and scores (B, N, C): every place's answer."""
        head: Any = model.get_submodule("head")
        boxes, scores = head.decode(model(images.float() / 255))
        return boxes, scores

    def predict(self, model: nn.Module, batch: Batch) -> list[Detections]:
        """Detections in the pixels of each annotated image."""
        boxes, scores = self.decode(model, batch["images"])
        found = postprocess(boxes, scores, self.recipe.postprocess)
        return [to_detections(f, *place) for f, place in zip(found, batch["placement"], strict=True)]

    def surest(self, model: nn.Module, output: Any) -> Tensor:
        """The highest score of any class of any box."""
        decode: Any = model.get_submodule("head").decode
        _, scores = decode(output)
        return scores.max()

    def meter(self) -> DetectionMeter:
        """A fresh meter."""
        return DetectionMeter(self.classes, self.recipe.postprocess.most)

    def example(self) -> Tensor:
        """One grey image (1, 3, H, W) of the training size."""
        return torch.full((1, 3, *self.recipe.train.image_size), 0.5)

    def read(self, path: Path) -> np.ndarray:
        """An image file as people see it: upright.  -> (H, W, 3) uint8; raises DataError as `read_image`"""
        return read_image(path, upright=True)

    def fit(self, image: np.ndarray) -> tuple[np.ndarray, Place]:
        """An image (H, W, 3), letterboxed as in evaluation, and its size, scale and shift."""
        size = self.recipe.train.image_size
        height, width = image.shape[:2]
        sides = rectangle(height, width, size) if self.recipe.postprocess.rectangular else size
        none = np.zeros(0, np.int64)
        truth = Truth("", np.zeros((0, 4)), none, none, none, none)
        fitted = letterbox(Sample("", image, truth.boxes, none, truth), sides)
        return fitted.image, ((height, width), fitted.scale, fitted.shift)

    def found(self, boxes: np.ndarray, scores: np.ndarray, places: Sequence[Place], least: np.ndarray) -> list[Objects]:
        """Detections in the pixels of each image that `fit` took, of class c only those of `least[c]` or more."""
        decoded = torch.from_numpy(boxes), torch.from_numpy(scores)
        found = postprocess(*decoded, self.recipe.postprocess, torch.from_numpy(least))
        seen = [to_detections(f, *place) for f, place in zip(found, places, strict=True)]
        return [Objects(each.boxes, each.scores, each.labels) for each in seen]

    def draw(self, image: np.ndarray, objects: Objects) -> np.ndarray:
        """Objects, with their names and scores, on a copy of an image (H, W, 3)."""
        return draw(image, objects.boxes, objects.labels, self.classes, objects.scores)

    def panels(
        self, before: tuple[Items, Settings], after: tuple[Items, Settings], split: str, arm: str, against: str
    ) -> Sequence[Panel]:
        """Pictures of what `arm` fixed and broke of what `against` did, on images of a split."""
        annotations = {annotation.id: annotation for annotation in self.dataset.splits[split]}
        return panels(annotations, self.classes, before, after, arm=arm, against=against)

    def diagnose(self, case: Case) -> Sequence[Chapter]:
        """The chapters "errors" and "data", as `diagnosis.chapters` reads them."""
        return read_chapters(case, self.recipe, self.dataset, self.facts())

    def advise(self, case: Case, chapters: Sequence[Chapter]) -> Sequence[Proposal]:
        """Proposals against the findings, as `diagnosis.advice` ranks them."""
        return advise(case, chapters, self.recipe, self.dataset)
