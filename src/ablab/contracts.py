"""What the rooms promise each other. The engine and the study know a task only through these.

Splits --(epoch, index)--> sample --collate--> batch --step----> Step(loss, parts)
                                                     --predict-> predictions --Meter--> items --> scores
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from ablab.findings import Case, Chapter, Proposal
    from ablab.recipe import Recipe
    from ablab.streams import Key

Items = dict[str, np.ndarray]  # per-image evidence, as named columns
Settings = dict[str, float]  # what was chosen on validation: {"threshold": 0.31}
Batch = dict[str, Any]  # "images" and whatever the task needs; tensors are moved to the device, the rest is kept


class SampleSet(Protocol):
    """One split. Indexed by (epoch, index), so that nothing is ever set on a loader worker (trap 16).

    `shapes` is the (H, W) in which each sample comes out, or None where all are alike: an evaluation never puts samples
    of unlike shape into one batch.
    """

    @property
    def ids(self) -> Sequence[str]: ...

    @property
    def shapes(self) -> Sequence[tuple[int, int]] | None: ...

    def __len__(self) -> int: ...

    def __getitem__(self, key: tuple[int, int]) -> Any: ...


class Sampling(Protocol):
    """Which samples make an epoch: `len` of them, the same number each epoch."""

    def __len__(self) -> int: ...

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """The indices of one epoch in the order of their use, (len,) int64."""


@dataclass(frozen=True)
class Splits:
    """A data set, split. `train` augments; `plain` is the same images without, `validation` and `test` never augment.

    `sampling` makes an epoch of `train`; None is every sample once, shuffled.

    `manifest` is a fingerprint of everything that could change a result: file names, sizes, boxes, classes.
    `notes` says what was left out, in sentences for the user.
    """

    train: SampleSet
    plain: SampleSet
    validation: SampleSet
    test: SampleSet
    classes: tuple[str, ...]
    manifest: str
    notes: tuple[str, ...] = ()
    sampling: Sampling | None = None


@dataclass(frozen=True)
class Step:
    """One forward pass in training: `loss` is a scalar with gradient; `parts` are detached scalars to plot."""

    loss: Tensor
    parts: dict[str, Tensor]


class Meter(Protocol):
    """From predictions to scores, in two steps: match once, then score as often as wanted."""

    def update(self, predictions: Sequence[Any], truth: Sequence[Any]) -> None:
        """Take one batch: one prediction and one truth an image."""

    def items(self) -> Items:
        """Per-image evidence of everything seen so far."""

    def choose(self, items: Items) -> Settings:
        """Thresholds, chosen on the split that `items` comes from."""

    def score(
        self, items: Items, settings: Settings, weights: np.ndarray | None = None, only: Collection[str] = ()
    ) -> dict[str, np.ndarray]:
        """Every metric, or `only` some, under image weights (B, images): {name: (B,)}.

        No weights means one row of ones. Raises UnknownName for a metric that there is not.
        """

    def curves(self, items: Items, settings: Settings) -> dict[str, Any]:
        """Curves to draw, as plain lists: {"pr": ..., "f1": ...}."""


@dataclass(frozen=True)
class Panel:
    """A picture for the report: PNG bytes, its title and a sentence."""

    title: str
    caption: str
    png: bytes = field(repr=False)


class Task(Protocol):
    """A task bound to one recipe: `Task(recipe, facts=None)`.

    `facts` is what the data taught that a network cannot be built without (class names, anchors), as JSON. A task that
    is given them builds its network where the data is not at hand.
    """

    recipe: Recipe

    def facts(self) -> dict[str, Any]:
        """What to hand to the constructor, to build the same network without the data; `note` says how it was found."""

    def build(self) -> nn.Module:
        """The baseline network, drawn from torch's current generator."""

    def data(self, key: Key) -> Splits:
        """The data; augmentation draws from streams that begin with `key`, which is (study, seed)."""

    def collate(self, samples: Sequence[Any]) -> Batch:
        """Samples to a batch. `batch["ids"]` are the sample ids, `batch["truth"]` is what the meter wants."""

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """Forward and criterion."""

    def predict(self, model: nn.Module, batch: Batch) -> Sequence[Any]:
        """One prediction an image, in the image's own coordinates."""

    def meter(self) -> Meter:
        """A fresh meter."""

    def example(self) -> Tensor:
        """An input that the network accepts, for probing: the smallest that is representative."""

    def panels(
        self, before: tuple[Items, Settings], after: tuple[Items, Settings], split: str, arm: str, against: str
    ) -> Sequence[Panel]:
        """What `arm` fixed and what it broke of what `against` did, from the evidence of two runs on a split."""

    def diagnose(self, case: Case) -> Sequence[Chapter]:
        """What is wrong with a run's errors and data: the chapters "errors" and "data"."""

    def advise(self, case: Case, chapters: Sequence[Chapter]) -> Sequence[Proposal]:
        """What to try against the findings of all chapters, for those faults that the task knows a remedy of."""

    def targets(self) -> np.ndarray:
        """Widths and heights (N, 2) of what the network must find, in pixels of its input; empty where that is nothing.

        They are the training split's.
        """

    def surest(self, model: nn.Module, output: Any) -> Tensor:
        """The score that the network is surest of on one image, from its raw output: a scalar with a gradient."""


class Objects(NamedTuple):
    """What is found in an image: boxes (n, 4) x1 y1 x2 y2 in its pixels, scores (n,) falling, labels (n,)."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


@runtime_checkable
class Learner(Protocol):
    """A task whose networks another one can teach (`engine.distil`)."""

    def distil(self, student: Any, teacher: Any, temperature: float) -> dict[str, Tensor]:
        """What a student's raw outputs lack to be the teacher's: `logits` and `boxes`, scalars, 0 where equal."""


@runtime_checkable
class Finder(Protocol):
    """What a task that finds objects does around its network where there is no truth: when it is used.

    file --read--> image --fit--> pixels, place --network, decode--> boxes, scores --found--> Objects --draw--> picture
    """

    recipe: Any

    @property
    def classes(self) -> Sequence[str]:
        """Class names, in the order of their labels."""

    def read(self, path: Path) -> np.ndarray:
        """An image file as people see it.  -> (H, W, 3) uint8 RGB; raises DataError for one that cannot be read."""

    def fit(self, image: np.ndarray) -> tuple[np.ndarray, Any]:
        """An image (H, W, 3) uint8 RGB as the network takes it, (h, w, 3) uint8, and where it went."""

    def decode(self, model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, h, w) uint8 -> boxes (B, N, 4) in their pixels and scores (B, N, C) in 0..1, all of them."""

    def found(self, boxes: np.ndarray, scores: np.ndarray, places: Sequence[Any], least: np.ndarray) -> list[Objects]:
        """What of `decode` is an object, an image each; of class c only what scores `least[c]` or more, (C,) float64.

        Boxes come back in the pixels of the images that `fit` was given, whose `places` are what it returned.
        """

    def draw(self, image: np.ndarray, objects: Objects) -> np.ndarray:
        """Objects on a copy of an image (H, W, 3) uint8 RGB; small ones are enlarged first."""
