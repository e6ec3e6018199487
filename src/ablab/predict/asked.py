"""What is asked of a model: which classes, from which score on, in which windows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablab.errors import ConfigError, UnknownName
from ablab.predict.tiles import Tiling

FALLBACK = 0.25  # the least score where validation chose none, as in most detectors' tools

Thresholds = float | Mapping[str, float]  # of all classes, or of some by name


@dataclass(frozen=True, eq=False)
class Asked:
    """`least` (C,) float64 is the least score of each class, infinite for one that is not asked for."""

    least: np.ndarray
    tiling: Tiling | None = None


def chosen(classes: Sequence[str], settings: Mapping[str, float]) -> dict[str, float]:
    """The thresholds that a run chose on validation, by class: its own, else the common one, else `FALLBACK`."""
    common = settings.get("threshold", FALLBACK)
    return {name: settings.get(f"threshold/{name}", common) for name in classes}


def ask(
    own: Mapping[str, float],
    threshold: Thresholds | None = None,
    classes: Collection[str] | None = None,
    tile: int | None = None,
    overlap: float | None = None,
) -> Asked:
    """Put what a user asks for in the place of a model's own thresholds.

    A text for `classes` is one class's name, not its letters.
    Raises UnknownName for a class that the model does not know, ConfigError for numbers out of range or an overlap
    without tiles.
    """
    given = (
        threshold if isinstance(threshold, Mapping) else dict.fromkeys(own, threshold) if threshold is not None else {}
    )
    wanted = {classes} if isinstance(classes, str) else set(own if classes is None else classes)
    for name in (*given, *wanted):
        if name not in own:
            raise UnknownName("class", name, own)
    if not wanted:
        raise ConfigError(f"no class is asked for; give some of {', '.join(own)}, or leave the filter out")
    for name, value in given.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"the threshold of {name} is {value:g}; expected 0 to 1")
    least = [{**own, **given}[name] if name in wanted else np.inf for name in own]
    return Asked(np.array(least, np.float64), _tiling(tile, overlap))


def _tiling(tile: int | None, overlap: float | None) -> Tiling | None:
    if tile is None:
        if overlap is not None:
            raise ConfigError("an overlap without tiles would do nothing; give the tiles' size, too, or leave it out")
        return None
    overlap = Tiling.overlap if overlap is None else overlap
    if tile < 1 or not 0 <= overlap < 1:
        raise ConfigError(
            f"tiles of {tile} pixels with an overlap of {overlap:g}: expected 1 or more, and 0 to below 1"
        )
    return Tiling(tile, overlap)
