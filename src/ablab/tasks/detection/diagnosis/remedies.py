"""What to try against a fault: changes of the recipe where one can do it, and otherwise what a person has to do.

A remedy is a function of what is known (`Known`) and the finding that it answers, and gives any number of proposals. A
change that the recipe has already, or would refuse, is no proposal: `advise` drops it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ablab.findings import Finding, Proposal
from ablab.tasks.detection.diagnosis.bounds import Bounds
from ablab.tasks.detection.diagnosis.labels import Labels
from ablab.tasks.detection.diagnosis.reach import LIFTED, lift
from ablab.tasks.detection.diagnosis.worklists import SPLITS, SUSPECTS
from ablab.tasks.detection.formats.dataset import Dataset
from ablab.tasks.detection.recipe import DetectionRecipe

STRIDE = 8  # pixels: the finest of our detectors' maps
LARGEST = 1536  # pixels a side: from there on tiles cost less than an input
SMOOTHING = 0.1  # Szegedy et al. 2016, section 7
REPEATED = 2.0  # times an epoch shows an image of the rarest class
OF_HEADS = ("assigner", "objectness", "distribution", "box_gain", "objectness_gain", "distribution_gain", "balance")


@dataclass(frozen=True)
class Known:
    """What remedies are made from. `files` are those that the diagnosis writes into `folder`."""

    recipe: DetectionRecipe
    dataset: Dataset
    bounds: Bounds
    split: str
    folder: Path
    files: frozenset[str]

    def change(self, name: str, why: str, finding: Finding, gain: float | None, bound: str, **more: Any) -> Proposal:
        """A proposal whose reason is the finding's sentence and `why`."""
        known = gain is not None and np.isfinite(gain)
        return Proposal(
            name,
            f"{finding.sentence} {why}",
            (finding.fault,),
            gain=max(gain, 0.0) if known and gain is not None else None,
            metric="AP50" if known else "",
            bound=bound if known else "",
            **more,
        )


Remedy = Callable[[Known, Finding], Iterable[Proposal]]


def larger_input(known: Known, finding: Finding) -> Iterable[Proposal]:
    """The input at which nine tenths of train's objects have a cell of their own."""
    size = known.recipe.train.image_size
    labels = Labels.of(known.dataset.splits["train"], size)
    if not (labels.side > 0).all():
        return
    needed = lift(labels, size, STRIDE)
    gain = known.bounds.below(STRIDE, size)
    if max(needed.size) > LARGEST:
        todo = f"cut the images into tiles: an input of {needed.size[0]} x {needed.size[1]} would be needed"
        yield known.change("tiles", "", finding, gain, f"every error on objects below {STRIDE} pixels", todo=todo)
        return
    why = f"At {needed.size[0]} x {needed.size[1]}, {LIFTED:.0%} of them have {STRIDE} pixels or more."
    if needed.enlarged:
        why += f" It shows {needed.enlarged:.0%} of the images larger than they are: these gain cells, but no detail."
    name = "image-size-" + "x".join(str(side) for side in dict.fromkeys(needed.size))
    bound = f"every error on objects below {STRIDE} pixels put right"
    yield known.change(name, why, finding, gain, bound, set={"train.image_size": list(needed.size)})


def other_anchors(known: Known, finding: Finding) -> Iterable[Proposal]:
    """Anchors fitted to train, or a head without any."""
    gain, bound = known.bounds.left, "everything that is missing to an AP50 of 1: what no anchor reaches, none finds"
    if known.recipe.model.head != "anchor":
        return
    yield known.change(
        "anchors-refit", "Fitted to train, they would reach its boxes.", finding, gain, bound, set={"anchors": "refit"}
    )
    given = {f"loss.{name}": None for name in OF_HEADS if getattr(known.recipe.loss, name) is not None}
    yield known.change(
        "anchor-free",
        "A head without anchors has none to misfit.",
        finding,
        gain,
        bound,
        set={"model.head": "anchor-free", "anchors": "auto", **given},
    )


def honest_splits(known: Known, finding: Finding) -> Iterable[Proposal]:
    """Train without the images that others are judged on."""
    if SPLITS in known.files:
        where = str(known.folder / SPLITS)
        why = f"{SPLITS} leaves the copies out of train: its scores may be lower, and they are true."
        change = {"data.splits": where} | ({"data.fold": None} if known.recipe.data.fold is not None else {})
        yield known.change("splits-without-copies", why, finding, None, "", set=change)
    else:
        todo = "take the images of validation and test out of train, by leaked.csv"
        yield known.change("splits-without-copies", "", finding, None, "", todo=todo)


def examples(known: Known, finding: Finding) -> Iterable[Proposal]:
    """Labels that nobody made."""
    have = {name for row, name in enumerate(known.dataset.classes) if _images(known)[row]}
    absent = [name for name in known.dataset.classes if name not in have]
    todo = f"label objects of {', '.join(absent)} in train, or take the class out of the data set"
    gain = known.bounds.classes(set(absent))
    yield known.change("label-examples", "", finding, gain, "every error on its objects put right", todo=todo)


def rare_class(known: Known, finding: Finding) -> Iterable[Proposal]:
    """Images of the rarest class more often; and a loss that minds the hard examples."""
    images, total = _images(known), len(known.dataset.splits["train"])
    present = np.flatnonzero(images)
    rarest = int(present[images[present].argmin()])
    share, name = images[rarest] / total, known.dataset.classes[rarest]
    gain, bound = known.bounds.classes({name}), f"every error on objects of '{name}' put right"
    threshold = round(min(1.0, REPEATED**2 * share), 4)
    if known.recipe.data.sampler.part == "shuffle" and threshold > share:
        why = (
            f"{share:.1%} of train's images hold '{name}': an epoch would show these {(threshold / share) ** 0.5:.1f}x."
        )
        sampler = {"part": "oversample", "args": {"threshold": threshold}}
        yield known.change("oversample", why, finding, gain, bound, set={"data.sampler": sampler})
    if known.recipe.loss.classification.part == "bce":
        why = "Focal loss weighs down what is easy, which the common classes are."
        yield known.change("focal", why, finding, gain, bound, set={"loss.classification": "focal"})


def correct(kind: str, name: str) -> Remedy:
    """Labels to look through, of a kind of suspicion."""

    def remedy(known: Known, finding: Finding) -> Iterable[Proposal]:
        todo = f"look through the rows '{kind}' of {known.folder / SUSPECTS}, the first ones first, and correct them"
        gain = known.bounds.suspects(kind, known.split) if known.split != "train" else None
        yield known.change(name, "", finding, gain, "each such suspect settled for the model", todo=todo)
        if kind == "class":
            yield from smoother(known, finding)

    return remedy


def smoother(known: Known, finding: Finding) -> Iterable[Proposal]:
    """Targets that leave room for a wrong name, and keep scores from the ends."""
    if known.recipe.loss.label_smoothing < SMOOTHING:
        why = "Smoothed targets ask for less certainty."
        gain = known.bounds.kind("classification") if finding.fault != "overconfident" else None
        bound = "every classification error put right"
        yield known.change("label-smoothing", why, finding, gain, bound, set={"loss.label_smoothing": SMOOTHING})


def of_kind(kind: str, name: str, why: str, change: Callable[[DetectionRecipe], Mapping[str, Any]]) -> Remedy:
    """A change against one kind of error, bounded by what that costs."""

    def remedy(known: Known, finding: Finding) -> Iterable[Proposal]:
        made = dict(change(known.recipe))
        if made:
            bound = f"every {kind} error put right"
            yield known.change(name, why, finding, known.bounds.kind(kind), bound, set=made)

    return remedy


def afresh(known: Known, finding: Finding) -> Iterable[Proposal]:
    """Weights that cannot learn: without the start that brought them, or looked at."""
    recipe = known.recipe
    made: dict[str, Any] = {"start": None} if recipe.start is not None else {}
    made |= {"train.freeze": []} if recipe.train.freeze else {}
    made |= {"train.unfreeze": {}} if recipe.train.unfreeze else {}
    if made:
        why = "It was started from given weights or held still: from fresh ones, with everything free, it can move."
        yield known.change("start-afresh", why, finding, None, "", set=made)
    else:
        todo = (
            "look at the layer's norm and bias in the weights, and train again with a lower rate or another activation"
        )
        yield known.change("revive", "", finding, None, "", todo=todo)


def wider_view(known: Known, finding: Finding) -> Iterable[Proposal]:
    """More context at the coarsest map."""
    if known.recipe.model.backbone is None:
        why = "Dilated convolutions at the end of the backbone widen what a cell sees."
        gain, bound = known.bounds.kind("missed"), "every missed error put right"
        yield known.change("aspp", why, finding, gain, bound, set={"model.pool": "aspp"})


def _images(known: Known) -> np.ndarray:
    """How many images of train hold each class.  -> (classes,)"""
    present = np.zeros(len(known.dataset.classes), np.int64)
    for image in known.dataset.splits["train"]:
        present[np.unique(image.labels[~image.crowd])] += 1
    return present


def _box(recipe: DetectionRecipe) -> Mapping[str, Any]:
    return {"loss.box": "siou" if recipe.loss.box.part == "ciou" else "ciou"}


def _apart(recipe: DetectionRecipe) -> Mapping[str, Any]:
    """Soft suppression, which keeps a neighbour at a lower score (Bodla et al. 2017)."""
    return {"postprocess.nms": "soft", "postprocess.iou": 0.6} if recipe.postprocess.nms == "hard" else {}


def _stricter(recipe: DetectionRecipe) -> Mapping[str, Any]:
    strict = recipe.postprocess.nms in ("hard", "diou") and recipe.postprocess.iou > 0.5
    return {"postprocess.iou": 0.5} if strict else {}


REMEDIES: dict[str, tuple[Remedy, ...]] = {
    "class without examples": (examples,),
    "test images in train": (honest_splits,),
    "labels misplaced": (correct("place", "correct-places"),),
    "labels misnamed": (correct("class", "correct-names"),),
    "labels missing": (correct("missing", "label-the-missing"),),
    "objects too small": (larger_input,),
    "anchors misfit": (other_anchors,),
    "dead layer": (afresh,),
    "rare class": (rare_class,),
    "crowded": (of_kind("missed", "soft-nms", "Hard suppression drops a true box beside a surer one.", _apart),),
    "overconfident": (smoother,),
    "field too small": (wider_view,),
    "effective field too small": (wider_view,),
    "errors: localisation": (of_kind("localisation", "box-loss", "Another box loss pulls otherwise.", _box),),
    "errors: classification": (smoother,),
    "errors: duplicate": (of_kind("duplicate", "stricter-nms", "A lower limit drops more of them.", _stricter),),
    "errors: background": (
        of_kind(
            "background",
            "mosaic",
            "Four images in one show more background beside more objects.",
            lambda recipe: {"augment.mosaic": 1.0} if recipe.augment.mosaic < 1 else {"augment.mixup": 0.1},
        ),
    ),
    "errors: missed": (
        of_kind(
            "missed",
            "multi-scale",
            "Batches of several sizes show each object at several.",
            lambda recipe: {"augment.multi_scale": 0.25} if recipe.augment.multi_scale == 0 else {},
        ),
    ),
    "errors: both": (
        of_kind(
            "both",
            "larger-network",
            "A wider network tells more apart.",
            lambda recipe: {"model.size": "s"} if recipe.model.size == "n" else {},
        ),
    ),
}
