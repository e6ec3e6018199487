"""The recipe's learning rate: too high or too low, by two short trials, by the range test, and by the run's own end.

A trial decides where there is one: the rate is too high where it learned clearly less than a tenth of it, or hardly
more although the range test's loss had stopped falling before. Where there is none the range test decides by wider
limits, as its largest usable rate scatters: by a factor of five over seeds, see `trial`.

Measured on photo-digits (1,200 scenes of 128 pixels, YOLOv5n, AdamW, batch 8; trials of 150 steps, range tests of 100):

                                                rate 0.003 (sound)          rate 0.03 (AP 0.32 in place of 0.39)
    share of a tenth's fall                     3.0 to 4.3 (four seeds)     0.56 to 0.79 (seven seeds), 0.97 to 1.07 (3)
    rate / where the range's fall was reached   0.2 to 0.4 (six seeds)      2.1 to 4

The three are why the range test is asked as well: by `BEHIND` alone, sharp as it is, they would pass or nearly so.
On BCCD (100 steps, seed 0): 1.8 at 0.003, 0.94 at 0.03. SGD with momentum (batch 16, 93 steps): 0.6 at 1, and 8 at 0.1.
"""

from __future__ import annotations

import math

import numpy as np

from ablab.diagnose.training.curves import DEGREE, SPIKE, STRAIGHT, Curves
from ablab.diagnose.training.trial import LOWER, Trial
from ablab.engine.range_test import RangeTest
from ablab.findings import Finding
from ablab.recipe import Recipe

BEHIND = 0.95  # of the tenth's fall: less, and the rate alone has held it up
EVEN = 1.3  # of it: less is no lead; the rate of 0.03 reaches 1.07 at most, sound ones three times as much
REACHED = 0.9  # of the range test's fall: beyond, a higher rate brings no more
ABOVE = 3.0  # times the largest usable rate, where no trial was made
BELOW = (
    100.0  # times lower than the largest usable rate, of which a tenth is the usual first choice (fastai's "minimum")
)
WORST, MILDEST = 0.97, 0.92  # severity of a rate that a trial found too high: less than that of what is certain
HIGH, LOW = "learning rate too high", "learning rate too low"


def rate_findings(
    recipe: Recipe, read: Curves, rates: RangeTest | None, trial: Trial | None, diverged: bool
) -> tuple[Finding, ...]:
    """At most one finding: what is proven before what only looks like it, and too high before too low."""
    rate = recipe.optimizer.lr
    found = (
        _diverged(rate, read, diverged),
        _behind(rates, trial),
        _above(rate, rates, trial),
        None if trial else _spiked(rate, read),
        _below(rate, rates),
        _straight(rate, read),
    )
    return tuple(each for each in found if each is not None)[:1]


def _diverged(rate: float, read: Curves, diverged: bool) -> Finding | None:
    if not diverged:
        return None
    said = f"the training diverged after {read.epochs} whole epochs: its learning rate of {rate:.2g} is too high"
    return Finding(HIGH, 1.0, (("learning rate", rate), ("whole epochs", float(read.epochs))), said)


def reached(rates: RangeTest | None) -> float | None:
    """The lowest rate by which the smoothed loss had fallen by nine tenths of all it fell; None where it never did."""
    if rates is None or rates.largest is None:
        return None
    smoothed = np.array(rates.smoothed)
    least = int(smoothed.argmin())
    top = int(smoothed[: least + 1].argmax())
    level = smoothed[top] - REACHED * (smoothed[top] - smoothed[least])
    return rates.rates[top + int((smoothed[top : least + 1] <= level).argmax())]


def _behind(rates: RangeTest | None, trial: Trial | None) -> Finding | None:
    """The same network and batches learned as much at a tenth of the rate, or more; worst where it learned nothing."""
    if trial is None or (math.isnan(trial.share) and not trial.broke):
        return None
    knee = reached(rates)
    behind = trial.broke or (trial.sure and trial.share < BEHIND)
    if not behind and not (knee is not None and trial.rate >= knee and trial.share < EVEN):
        return None
    share = 0.0 if trial.broke else max(0.0, trial.share)
    evidence = [("learning rate", trial.rate), ("share of a tenth's fall", share)]
    evidence += [] if knee is None else [("rate at which the range test's fall was reached", knee)]
    if trial.broke:
        said = f"at the learning rate of {trial.rate:.2g} the loss broke away in {len(trial.losses)} steps; "
    else:
        evidence += [("loss above a tenth's", trial.worse), ("standard error", trial.error)]
        said = (
            f"in {len(trial.losses)} steps the learning rate of {trial.rate:.2g} brought the loss down by "
            f"{share:.0%} of what a tenth of it reached on the same batches, where a sound rate leaves it far behind; "
        )
    return Finding(HIGH, WORST - (WORST - MILDEST) * min(1.0, share), tuple(evidence), f"{said}it is too high")


def _above(rate: float, rates: RangeTest | None, trial: Trial | None) -> Finding | None:
    """Above what the range test bears; where a trial was made, only where the loss broke away."""
    if rates is None:
        return None
    if rates.broke is not None and rate >= rates.broke:
        said = (
            f"the learning rate of {rate:.2g} is too high: in the range test the loss broke away at {rates.broke:.2g}"
        )
        return Finding(HIGH, WORST, (("learning rate", rate), ("rate of the break", rates.broke)), said)
    if trial is not None or rates.largest is None or rate <= ABOVE * rates.largest:
        return None
    said = (
        f"the learning rate of {rate:.2g} is too high: {rates.largest:.2g} was the largest usable one in the range test"
    )
    return Finding(HIGH, MILDEST, (("learning rate", rate), ("largest usable rate", rates.largest)), said)


def _spiked(rate: float, read: Curves) -> Finding | None:
    """A symptom: a loss that rises far may have another reason than its rate."""
    if read.rise is None or read.rise <= SPIKE:
        return None
    evidence = (("rise in units of the first loss", read.rise), ("learning rate", rate))
    said = (
        f"the loss rose above its least so far by {read.rise:.0%} of the first epoch's: the learning rate "
        f"of {rate:.2g} may be too high"
    )
    return Finding(HIGH, DEGREE * min(1.0, read.rise), evidence, said)


def _below(rate: float, rates: RangeTest | None) -> Finding | None:
    if rates is None or rates.largest is None or rate * BELOW >= rates.largest:
        return None
    severity = DEGREE * min(1.0, math.log10(rates.largest / rate) / 4)
    usual = rates.largest / LOWER
    said = (
        f"the learning rate of {rate:.2g} is too low: the range test found {rates.largest:.2g} to be the largest "
        f"usable one, of which a tenth, {usual:.2g}, is the usual first choice"
    )
    return Finding(LOW, severity, (("learning rate", rate), ("largest usable rate", rates.largest)), said)


def _straight(rate: float, read: Curves) -> Finding | None:
    loss = read.loss
    if loss is None or not loss.late.rises or loss.pace <= STRAIGHT:
        return None
    evidence = (("pace", loss.pace), ("learning rate", rate))
    said = (
        f"the training loss falls in the last quarter at {loss.pace:.0%} of its pace until then, nearly a straight "
        f"line: the learning rate of {rate:.2g} may be too low"
    )
    return Finding(LOW, DEGREE * min(1.0, loss.pace), evidence, said)
