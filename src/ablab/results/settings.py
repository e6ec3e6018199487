"""What runs of others were trained with, where a tracker tells: does a pair differ in more than the arm?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablab.results.result import SHOWN, Result

Values = Mapping[str, Mapping[int, str]]  # {arm: {seed: value}}


def differing(found: Sequence[Result]) -> list[str]:
    """A warning about settings that vary within an arm and not alike in all arms; empty without any.

    A setting that is one value in each arm is what the arm is; one that varies over seeds alike in all arms is a block.
    """
    values: dict[str, dict[str, dict[int, str]]] = {}
    for each in found:
        for name, value in each.settings.items():
            values.setdefault(name, {}).setdefault(each.arm, {})[each.seed] = value
    odd = [name for name, arms in values.items() if _confounds(arms)]
    if not odd:
        return []
    shown = ", ".join(odd[:SHOWN]) + (", ..." if len(odd) > SHOWN else "")
    return [
        f"under one seed the arms differ in more than the arm, and not in the same way under every seed ({shown}): the "
        "effect is of all that together"
    ]


def _confounds(arms: Values) -> bool:
    if all(len(set(seeds.values())) == 1 for seeds in arms.values()):
        return False
    every = {seed for seeds in arms.values() for seed in seeds}
    return any(len({seeds[seed] for seeds in arms.values() if seed in seeds}) > 1 for seed in every)


def changed(found: Sequence[Result], baseline: str, arm: str) -> tuple[str, ...]:
    """The settings that are one value in the arm and another in the baseline: `lr: 0.01 -> 0.02`."""
    base, own = ([each.settings for each in found if each.arm == name] for name in (baseline, arm))
    names = dict.fromkeys(name for settings in (*base, *own) for name in settings)
    values = {name: [{settings.get(name, "") for settings in side} for side in (base, own)] for name in names}
    return tuple(
        f"{name}: {next(iter(old))} -> {next(iter(new))}"
        for name, (old, new) in values.items()
        if len(old) == len(new) == 1 and old != new
    )
