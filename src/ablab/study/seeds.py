"""Which seeds a study trains under, and after how many of them it looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, PlainValidator

from ablab.config import Config, parse
from ablab.stats.sequential import FIRST_LOOK, FIRST_LOOK_OF_MANY


class Seeds(tuple[int, ...]):
    """Seeds in the order of their blocks. `looks` (numbers of seeds) are empty where verdicts wait for all of them.

    In YAML a number (`5` is short for `[0, 1, 2, 3, 4]`), a list, or {max: 12, looks: [5, 8, 12]}; with `futility: 0.1`
    an arm also stops whose chance to be decided later, at the smallest interesting effect, is below 10%.
    """

    looks: tuple[int, ...]
    futility: float | None

    def __new__(cls, seeds: Iterable[int], looks: Iterable[int] = (), futility: float | None = None) -> Seeds:
        made = super().__new__(cls, seeds)
        made.looks, made.futility = tuple(looks), futility
        return made

    def plain(self) -> list[int] | dict[str, Any]:
        """As it is written in YAML; a number becomes the list that it is short for."""
        if not self.looks:
            return list(self)
        futility = {} if self.futility is None else {"futility": self.futility}
        return {"max": len(self), "looks": list(self.looks)} | futility


class _Looks(Config):
    max: int = Field(ge=2)
    looks: tuple[int, ...] = Field(min_length=1)
    futility: float | None = Field(default=None, gt=0, lt=1)


def _seeds(value: Any) -> Seeds:
    if isinstance(value, Seeds):
        return value
    if isinstance(value, Mapping):
        return _sequential(parse(_Looks, value, "seeds"))
    if isinstance(value, bool) or not isinstance(value, int | list | tuple):
        raise ValueError("expected a number of seeds, a list of them, or {max: 12, looks: [5, 8, 12]}")
    seeds = tuple(range(value)) if isinstance(value, int) else tuple(value)
    if any(isinstance(seed, bool) or not isinstance(seed, int) or seed < 0 for seed in seeds):
        raise ValueError("a seed is a whole number, zero or more")
    return Seeds(seeds)


def _sequential(asked: _Looks) -> Seeds:
    looks = asked.looks
    if looks[-1] != asked.max or any(later <= earlier for earlier, later in pairwise(looks)):
        raise ValueError(
            f"looks are growing numbers of seeds, and the last one is max: got max {asked.max} and looks {list(looks)}"
        )
    return Seeds(range(asked.max), looks, asked.futility)


AnySeeds = Annotated[Seeds, PlainValidator(_seeds), PlainSerializer(Seeds.plain)]


def check_looks(looks: tuple[int, ...], arms: int, design: str, method: str, split: str) -> None:
    """ValueError where a study of so many compared arms cannot have these looks."""
    if not looks:
        return
    first = FIRST_LOOK_OF_MANY if arms > 1 else FIRST_LOOK
    if looks[0] < first:
        raise ValueError(
            f"seeds: the first look of {arms} arms is at {first} seeds or later, got {looks[0]}: at alpha / {arms} an "
            "earlier one could decide next to nothing"
        )
    if split == "test":
        raise ValueError("seeds: a study that is judged on test has no looks: test is read once, at the end")
    if design == "factorial":
        raise ValueError("seeds: a factorial has no looks: its effects need every cell under every seed")
    if method != "holm":
        raise ValueError(f"seeds: looks are judged at alpha / arms, and not by '{method}'; leave judge.method out")
