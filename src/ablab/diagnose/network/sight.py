"""Receptive fields against the sizes of the objects that a detector must find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablab.diagnose.network.effective import EffectiveField
from ablab.diagnose.network.receptive import ReceptiveField
from ablab.errors import ConfigError
from ablab.findings import Finding

LEAST, MOST = 0.1, 0.5  # of the theoretical field: objects want to be between
MISFIT_SHARE = 0.1  # of the objects, from which it is worth saying
MOST_SEVERE = 0.6  # a detector finds objects larger than its field too, if less well


@dataclass(frozen=True)
class Sight:
    """One map against the longer sides of all objects, as shares of them.

    `below`, `within` and `above` 0.1 to 0.5 of the theoretical field (its shorter side); `unseen` are longer than the
    effective side, so that a cell does not listen to the whole of them.
    """

    name: str
    theoretical: int
    effective: int
    whole: bool
    below: float
    within: float
    above: float
    unseen: float


def sights(
    fields: Sequence[ReceptiveField], effective: Sequence[EffectiveField], sizes: np.ndarray
) -> tuple[Sight, ...]:
    """Hold `sizes` (N, 2), widths and heights in pixels of the network's input, against the same maps' fields.

    Raises ConfigError where there is no object, or the maps are not the same ones.
    """
    if sizes.ndim != 2 or sizes.shape[1] != 2 or not len(sizes):
        raise ConfigError(f"expected sizes (N, 2) of at least one object, got the shape {sizes.shape}")
    if [f.name for f in fields] != [e.name for e in effective]:
        raise ConfigError(f"expected the effective fields of {[f.name for f in fields]}, got those of others")
    longer = sizes.max(axis=1)
    found = []
    for field, heard in zip(fields, effective, strict=True):
        side = min(field.width, field.height)
        ratio = longer / side
        shares = [float(np.mean(each)) for each in (ratio < LEAST, ratio > MOST, longer > heard.side)]
        within = float(np.mean((ratio >= LEAST) & (ratio <= MOST)))
        found.append(Sight(field.name, side, heard.side, field.whole, shares[0], within, shares[1], shares[2]))
    return tuple(found)


def sight_findings(found: Sequence[Sight]) -> tuple[Finding, ...]:
    """`field too small` and `effective field too small`, by the map that sees the most.

    A field that is large beside an object is no fault: with a neck that passes maps down, every level has one.
    """
    widest = max(found, key=lambda s: (s.whole, s.theoretical))
    keenest = max(found, key=lambda s: s.effective)
    findings = []
    if widest.above >= MISFIT_SHARE and not widest.whole:
        findings.append(
            Finding(
                "field too small",
                MOST_SEVERE * widest.above,
                (("share of objects", widest.above), ("field in pixels", widest.theoretical)),
                f"{widest.above:.0%} of the objects are longer than {MOST} of the largest receptive field, "
                f"{widest.theoretical} pixels at {widest.name}.",
            )
        )
    if keenest.unseen >= MISFIT_SHARE:
        findings.append(
            Finding(
                "effective field too small",
                MOST_SEVERE * keenest.unseen,
                (("share of objects", keenest.unseen), ("effective field in pixels", keenest.effective)),
                f"{keenest.unseen:.0%} of the objects are longer than the {keenest.effective} pixels that "
                f"{keenest.name} effectively listens to.",
            )
        )
    return tuple(findings)
