"""One split of a detection data set, as the engine reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ablab.errors import DataError
from ablab.streams import Key, stream
from ablab.tasks.detection.augment.extra import Extra
from ablab.tasks.detection.augment.letterbox import STRIDE, fit, fitting, letterbox, rectangle
from ablab.tasks.detection.augment.pipeline import augment
from ablab.tasks.detection.boxes import Annotation, Sample, Truth
from ablab.tasks.detection.cache import Images
from ablab.tasks.detection.formats.reading import read_image
from ablab.tasks.detection.recipe import AugmentRecipe

NO_PIXELS = np.zeros((0, 0, 3), np.uint8)


class DetectionSamples:
    """A `contracts.SampleSet` over annotations: `samples[epoch, index]` is a `boxes.Sample` of `image_size` (H, W).

    With `augment`, every draw comes from the stream ("augment", *key, epoch, image id, augmentation), and mosaics end
    after their share of `epochs`; without it, a sample is a plain letterbox, cut to whole strides where `rectangular`.
    `images` gives fitted pixels, from a cache. Crowds are no targets (a box around many is not one object), but stay
    in `truth`. Raises UnknownName or ConfigError for an extra augmentation that cannot be built.
    """

    def __init__(
        self,
        annotations: Sequence[Annotation],
        image_size: tuple[int, int],
        augment: AugmentRecipe | None = None,
        key: Key = (),
        *,
        images: Images | None = None,
        epochs: int | None = None,
        rectangular: bool = False,
    ) -> None:
        self.annotations = tuple(annotations)
        self.ids = tuple(annotation.id for annotation in annotations)
        self.image_size = image_size
        self.augment = augment
        self.extra = Extra(augment.extra if augment else ())
        self.key = key
        self.images = images or partial(decode, size=image_size)
        self.mosaics = None if augment is None or epochs is None else round(augment.mosaic_epochs * epochs)
        self.shapes: tuple[tuple[int, int], ...] | None = None
        if rectangular and augment is None:
            self.shapes = tuple(rectangle(a.height, a.width, image_size) for a in self.annotations)
        self._known: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, index = key
        if self.augment is None:
            return letterbox(self._load(index), self.shapes[index] if self.shapes else self.image_size)
        settings = self.augment
        if self.mosaics is not None and epoch >= self.mosaics:
            settings = settings.model_copy(update={"mosaic": 0.0})
        draws = partial(stream, "augment", *self.key, epoch, self.ids[index])
        sample = self.extra(augment(self._load, len(self), index, self.image_size, settings, draws), draws)
        if settings.multi_scale:
            factor = 1 + settings.multi_scale * draws("multi-scale").uniform(-1, 1)
            sample.batch_sides = _strides(self.image_size, factor)
        return sample

    def _load(self, index: int) -> Sample:
        """The fitted image.  Its array is shared: nobody may write into it."""
        annotation = self.annotations[index]
        if index not in self._known:
            self._known[index] = _placed(annotation, self.image_size)
        return replace(self._known[index], image=self.images(annotation))


def read_sample(annotation: Annotation) -> Sample:
    """Read an annotation's image, as it is on disk.

    Raises DataError where its size is not the annotated one: the boxes would stand in the wrong place.
    """
    image = read_image(annotation.path)
    size = (annotation.height, annotation.width)
    if image.shape[:2] != size:
        height, width = image.shape[:2]
        raise DataError(
            f"{annotation.path}: annotated as {annotation.width} x {annotation.height} pixels, but the file holds "
            f"{width} x {height}; correct the annotation or restore the image it was made for"
        )
    return replace(_placed(annotation, size), image=image)


def decode(annotation: Annotation, size: tuple[int, int]) -> np.ndarray:
    """An annotation's image, fitted into `size` (H, W).  -> (h, w, 3) uint8; raises DataError as `read_sample`"""
    return fit(read_sample(annotation), size).image


def _placed(annotation: Annotation, size: tuple[int, int]) -> Sample:
    """All of a fitted sample but its pixels."""
    scale, _ = fitting(annotation.height, annotation.width, size)
    targets = ~annotation.crowd
    boxes = annotation.boxes.reshape(-1, 4).astype(np.float64)[targets] * scale
    shape = (annotation.height, annotation.width)
    return Sample(annotation.id, NO_PIXELS, boxes, annotation.labels[targets], Truth.of(annotation), shape, scale)


def _strides(size: tuple[int, int], factor: float) -> tuple[int, int]:
    """A size (H, W) times a factor, in whole strides, one at least."""
    height, width = (STRIDE * max(round(side * factor / STRIDE), 1) for side in size)
    return height, width
