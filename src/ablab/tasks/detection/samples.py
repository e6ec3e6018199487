"""One split of a detection data set, as the engine reads it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ablab.errors import DataError
from ablab.streams import Key, stream
from ablab.tasks.detection.augment.letterbox import fit, letterbox
from ablab.tasks.detection.augment.pipeline import augment
from ablab.tasks.detection.boxes import Annotation, Sample, Truth
from ablab.tasks.detection.formats.reading import read_image
from ablab.tasks.detection.recipe import AugmentRecipe

CACHE_BYTES = 2 * 1024**3  # a split that is larger once fitted is decoded anew each time


class DetectionSamples:
    """A `contracts.SampleSet` over annotations: `samples[epoch, index]` is a `boxes.Sample` of `image_size` (H, W).

    With `augment`, every draw comes from the stream ("augment", *key, epoch, image id); without it, a sample is a
    plain letterbox. Images are kept once decoded and fitted, where the whole split fits into `CACHE_BYTES`. Crowds are
    no targets (a box around many is not one object), but stay in `truth`.
    """

    shapes: Sequence[tuple[int, int]] | None = None

    def __init__(
        self,
        annotations: Sequence[Annotation],
        image_size: tuple[int, int],
        augment: AugmentRecipe | None = None,
        key: Key = (),
    ) -> None:
        self.annotations = tuple(annotations)
        self.ids = tuple(annotation.id for annotation in annotations)
        self.image_size = image_size
        self.augment = augment
        self.key = key
        self._cache: dict[int, Sample] = {}
        self._caching = sum(_fitted_bytes(a, image_size) for a in self.annotations) <= CACHE_BYTES

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, index = key
        if self.augment is None:
            return letterbox(self._load(index), self.image_size)
        rng = stream("augment", *self.key, epoch, self.ids[index])
        return augment(self._load, len(self), index, self.image_size, self.augment, rng)

    def _load(self, index: int) -> Sample:
        """The fitted image, from the cache or from its file.  Its array is shared: nobody may write into it."""
        if index in self._cache:
            return self._cache[index]
        sample = fit(read_sample(self.annotations[index]), self.image_size)
        if self._caching:
            self._cache[index] = sample
        return sample


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
    targets = ~annotation.crowd
    boxes = annotation.boxes.reshape(-1, 4).astype(np.float64)[targets]
    return Sample(annotation.id, image, boxes, annotation.labels[targets], Truth.of(annotation), size)


def _fitted_bytes(annotation: Annotation, size: tuple[int, int]) -> float:
    scale = min(size[0] / annotation.height, size[1] / annotation.width)
    return 3 * annotation.width * annotation.height * scale**2
