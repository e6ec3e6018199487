"""Scores as Python holds them, brought into one form: {arm: {seed: score}}.

    {"baseline": [0.50, 0.52], "frelu": [0.53, 0.54]}              paired by index
    {"baseline": {0: 0.50, 7: 0.52}, "frelu": {7: 0.54, 0: 0.53}}  paired by seed

Arrays and pandas' Series (paired by their index) and DataFrames (a column an arm) are taken by what they can do:
nothing is imported for them.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence, Set
from typing import Any

from ablab.errors import DataError
from ablab.results.result import Result, once_each, result


def results_of(given: Any, metric: str, paired: bool) -> list[Result]:
    """One result an arm and seed. Raises DataError for anything that cannot be paired without a guess."""
    arms = {name: _cells(name, values) for name, values in _items(given)}
    if paired:
        _refuse_guesses({name: (kind, len(cells)) for name, (kind, cells) in arms.items()})
    found = [result(name, seed, metric, score) for name, (_, cells) in arms.items() for seed, score in cells]
    once_each(found, "compare")
    return found


def _items(given: Any) -> list[tuple[str, Any]]:
    items = list(given.items()) if callable(getattr(given, "items", None)) else []
    if not items:
        raise DataError(
            f"compare: expected scores by arm, such as {{'baseline': [0.50, 0.52], 'frelu': [0.53, 0.54]}}; got "
            f"{_kind(given)}"
        )
    odd = next((name for name, _ in items if not isinstance(name, str) or not name.strip()), None)
    if odd is not None:
        raise DataError(f"compare: expected arms by name, got {odd!r}; name every arm by a text")
    return items


def _cells(arm: str, values: Any) -> tuple[str, list[tuple[int, float | None]]]:
    """How an arm's scores are paired, and the scores by seed."""
    if isinstance(values, Mapping) or callable(getattr(values, "items", None)):
        return "seed", [(_seed(arm, seed), _score(arm, seed, value)) for seed, value in values.items()]
    if isinstance(values, str | bytes | Set) or not hasattr(values, "__len__") or not hasattr(values, "__getitem__"):
        raise DataError(f"compare: '{arm}' should have a list of scores or {{seed: score}}, got {_kind(values)}")
    if len(getattr(values, "shape", (0,))) != 1:
        raise DataError(f"compare: '{arm}' should have one score a seed, got an array of shape {values.shape}")
    return "index", [(index, _score(arm, index, values[index])) for index in range(len(values))]


def _seed(arm: str, seed: Any) -> int:
    try:
        if isinstance(seed, bool):
            raise TypeError
        return operator.index(seed)
    except TypeError:
        raise DataError(
            f"compare: '{arm}' has the seed {seed!r}; seeds are whole numbers, {{0: 0.51, 1: 0.53}}"
        ) from None


def _score(arm: str, place: Any, value: Any) -> float | None:
    try:
        return None if value is None else float(value if not isinstance(value, str | bytes) else "")
    except (TypeError, ValueError):
        raise DataError(f"compare: '{arm}' at {place} has {value!r}; expected a number, or None for none") from None


def _refuse_guesses(arms: Mapping[str, tuple[str, int]]) -> None:
    shapes = ", ".join(f"'{arm}': {count} by {kind}" for arm, (kind, count) in arms.items())
    if len({kind for kind, _ in arms.values()}) > 1:
        raise DataError(f"compare: some scores are by index, others by seed ({shapes}); give all arms {{seed: score}}")
    lengths = {count for kind, count in arms.values() if kind == "index"}
    if len(lengths) > 1:
        raise DataError(
            f"compare: lists are paired by index, and these are of unlike length ({shapes}); give {{seed: score}}, or "
            "paired=False where no seed is common to the arms"
        )


def _kind(value: Any) -> str:
    count = f" of {len(value)}" if isinstance(value, Sequence) and not isinstance(value, str) else ""
    return f"{type(value).__name__}{count}"
