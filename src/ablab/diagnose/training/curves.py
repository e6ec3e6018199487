"""A run's curves read: its length, its fit, its loader and its loss terms.

Every limit below stands where it does because of trainings that are known: 30 on BCCD (YOLOv5n and four changes of it,
six seeds, 24 epochs) are healthy. Their loss ends at a pace of at most 0.10, never rises, and no term's median share of
it lies outside 0.018 to 0.71. Five epochs on photo-digits, whose AP doubles with twice as many, end at a pace of 0.38.

A schedule that ends near zero flattens every curve, so a training that reads as long enough may still be too short;
one that reads as too short is. A rate too high for Adam under normalisation need not show in a curve at all (measured:
ten times the recipe's rate on photo-digits, a loss as smooth as before and half the AP): `trial` tells that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablab.diagnose.training.course import Course, course
from ablab.findings import Finding

NO_TERM = {"epoch", "lr", "loss", "gradient norm", "seconds", "images_per_second", "waiting"}
SETTLED = 0.2  # of the mean pace: an exponential approach has 4% of its gain yet to come; healthy ones are at 0.10
STRAIGHT = 0.7  # of the mean pace: the fall has hardly slowed down, an exponential approach would stand at its outset
FOLLOWED = 9  # validations from which on a metric's last quarter can be tested; below, the loss tells the length
LOST = 0.02  # of the best score: less is within what two seeds differ by
LEARNED = 0.2  # of the first epoch's loss; 0.38 and more in trainings that learned, 0.13 where digits had 7 pixels
SPIKE = 0.25  # of the first epoch's loss, above the least so far
WAITING = 0.2  # of the time: a faster loader makes the training a quarter faster at least
DOMINANT = 0.9  # of the loss, in the median epoch; the largest healthy term has 0.71
NEGLIGIBLE = 0.01  # of the loss, in every epoch; the smallest healthy term has twice as much in the median one
DEGREE = 0.7  # the most that a matter of degree may weigh
SPEED = 0.5  # the most that costs time and no score may weigh


@dataclass(frozen=True)
class Curves:
    """What a run's curves say. A field is None where the curves do not hold what it needs.

    `metric` is the course of the validation metric called `name`. `rise` is the most by which the loss stood above the
    least one before, in units of the first epoch's. `clipped` is the share of epochs after the rate's peak whose mean
    gradient norm is above the clipping norm. `waiting` is the share of training time without a batch at hand, from the
    second epoch on, as the first one fills the caches. `shares` is {term: (least, median, largest) share of the loss},
    where there are several.
    """

    epochs: int
    loss: Course | None
    name: str
    metric: Course | None
    rise: float | None
    clipped: float | None
    waiting: float | None
    shares: dict[str, tuple[float, float, float]]


def read_curves(
    history: Mapping[str, Sequence[float]], metric: str, direction: str = "max", *, clip_norm: float | None = None
) -> Curves:
    """Read `curves.csv` as {column: one number an epoch, NaN where the cell is empty}; it may be empty.

    `metric` is the judge's, without "validation/"; `clip_norm` the recipe's.
    """
    column = {name: np.asarray(values, np.float64) for name, values in history.items()}
    epochs = column.get("epoch", np.zeros(0))
    losses = column.get("loss")
    followed = column.get(f"validation/{metric}")
    return Curves(
        len(epochs),
        None if losses is None else course(epochs.tolist(), losses.tolist(), "min"),
        metric,
        None if followed is None else course(epochs.tolist(), followed.tolist(), direction),
        _rise(losses),
        _clipped(column, clip_norm),
        _waiting(column),
        _shares(column),
    )


def _rise(losses: np.ndarray | None) -> float | None:
    """In units of the first loss, not of the least: late in a training that is small, and a wiggle would be a spike."""
    if losses is None or len(losses) < 2 or losses[0] <= 0:
        return None
    return max(0.0, float((losses[1:] - np.minimum.accumulate(losses)[:-1]).max() / losses[0]))


def _clipped(column: Mapping[str, np.ndarray], clip_norm: float | None) -> float | None:
    norms, rates = column.get("gradient norm"), column.get("lr")
    if clip_norm is None or norms is None or rates is None or not len(rates):
        return None
    after = norms[int(rates.argmax()) + 1 :]
    return float((after > clip_norm).mean()) if len(after) else None


def _waiting(column: Mapping[str, np.ndarray]) -> float | None:
    if "waiting" not in column or "seconds" not in column or not len(column["waiting"]):
        return None
    first = min(1, len(column["waiting"]) - 1)
    seconds = float(column["seconds"][first:].sum())
    return float(column["waiting"][first:].sum()) / seconds if seconds > 0 else None


def _shares(column: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float, float]]:
    terms = [name for name in column if name not in NO_TERM and not name.startswith("validation/")]
    if len(terms) < 2 or not len(column[terms[0]]):
        return {}
    sizes = np.abs(np.stack([column[name] for name in terms]))  # (T, E)
    shares = sizes / np.maximum(sizes.sum(axis=0), np.finfo(float).tiny)
    low, middle, high = shares.min(axis=1), np.median(shares, axis=1), shares.max(axis=1)
    return {name: (float(low[at]), float(middle[at]), float(high[at])) for at, name in enumerate(terms)}


def curve_findings(read: Curves) -> tuple[Finding, ...]:
    """The faults that a run's curves show; of its learning rate, what they show is in `rate`."""
    return (*_length(read), *_fit(read), *_overfit(read), *_loader(read), *_balance(read))


def _length(read: Curves) -> list[Finding]:
    """Too short, by the metric where it was followed (and the loss does not rise), else by the loss."""
    followed = read.metric is not None and read.metric.values >= FOLLOWED
    told, what = (read.metric, f"validation {read.name}") if followed else (read.loss, "the training loss")
    if told is None or not (told.late.rises and told.pace > SETTLED) or (read.loss and read.loss.late.falls):
        return []
    evidence = (("pace", told.pace), ("gain an epoch", told.late.slope), ("epochs", float(read.epochs)))
    said = (
        f"{what} still improves by {told.late.slope:.2g} an epoch in the last quarter of {read.epochs} epochs, "
        f"{told.pace:.0%} of its pace until then: trained too short"
    )
    return [Finding("too short", DEGREE * min(1.0, told.pace), evidence, said)]


def _fit(read: Curves) -> list[Finding]:
    """A loss that has settled and hardly fell."""
    loss = read.loss
    if loss is None or loss.first <= 0 or (loss.late.rises and loss.pace > SETTLED):
        return []
    fallen = 1 - loss.best / loss.first
    if fallen >= LEARNED:
        return []
    evidence = (("fallen", fallen), ("first loss", loss.first), ("least loss", loss.best))
    said = (
        f"the training loss settled at {loss.best:.3g}, only {fallen:.0%} below the first epoch's {loss.first:.3g}: "
        "underfitting"
    )
    return [Finding("underfitting", DEGREE * min(1.0, 1 - fallen / LEARNED), evidence, said)]


def _overfit(read: Curves) -> list[Finding]:
    """The metric was better before and is worse beyond chance, though the training loss went on falling."""
    metric, loss = read.metric, read.loss
    if metric is None or loss is None or loss.best_epoch <= metric.peak:
        return []
    beyond = max(metric.critical * metric.lost_error, LOST * abs(metric.best))
    if not metric.lost > beyond:
        return []
    severity = DEGREE * metric.lost / (metric.lost + max(0.0, metric.gained))
    evidence = (
        ("lost", metric.lost),
        ("standard error", metric.lost_error),
        ("best", metric.best),
        ("best epoch", float(metric.best_epoch)),
        ("last", metric.last),
    )
    said = (
        f"validation {read.name} lost {metric.lost:.3g} (standard error {metric.lost_error:.1g}) from its best quarter "
        f"to its last, while the training loss went on falling: overfitting since about epoch {metric.best_epoch}"
    )
    return [Finding("overfitting", severity, evidence, said)]


def _loader(read: Curves) -> list[Finding]:
    if read.waiting is None or read.waiting <= WAITING:
        return []
    said = (
        f"{read.waiting:.0%} of the training time went by waiting for data, the rest in computing: with a loader that "
        f"keeps up it would take {1 - read.waiting:.0%} of the time"
    )
    return [Finding("loader-bound", SPEED * read.waiting, (("share of time waiting", read.waiting),), said)]


def _balance(read: Curves) -> list[Finding]:
    """The term that is nearly all of the loss; else a term that never is any of it."""
    found = []
    for name, (_, middle, high) in read.shares.items():
        evidence = ((f"median share of {name}", middle), (f"largest share of {name}", high))
        if middle > DOMINANT:
            said = f"{name} is {middle:.0%} of the loss in the median epoch: the other terms hardly count"
            found.append(Finding("unbalanced losses", DEGREE * middle, evidence, said))
        elif high < NEGLIGIBLE:
            said = f"{name} is never more than {high:.2%} of the loss: it hardly counts"
            found.append(Finding("unbalanced losses", DEGREE * (1 - high / NEGLIGIBLE), evidence, said))
    return found[:1]
