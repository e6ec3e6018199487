"""What a design answers, and what it cannot: the same words before the first run and beside the verdicts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ablab.stats.designs import Layout, layout
from ablab.study.spec import Study


@dataclass(frozen=True)
class Meaning:
    """A design in a few words, what it answers, and what it does not."""

    title: str
    answers: tuple[str, ...]
    cannot: tuple[str, ...]


def meaning(study: Study) -> Meaning:
    """The words for a study's design."""
    count = len(study.changes)
    if study.design == "leave-one-out":
        return Meaning(
            f"leave-one-out: the full model of {count} changes, and each of them left out",
            (
                "whether the full model beats the baseline",
                "whether each part of the full model is needed: without/X is compared with the full model, and hurts "
                "where X is needed",
            ),
            ("what a change does to the baseline alone", "which two changes interact"),
        )
    if study.design == "stack":
        return Meaning(
            f"stack: a ladder of {count} rungs, each compared with the one below",
            ("what each change adds on top of those below it, in this order",),
            (
                "what a change does alone, or in another order: the order is part of the question",
                "whether the changes' effects add up: a ladder's steps do so by construction",
            ),
        )
    if study.design == "factorial":
        return _factorial(layout(count), count)
    return Meaning(
        f"one-at-a-time: {count} changes, each compared with the baseline",
        ("which single change helps the baseline",),
        ("what changes do together",) if count > 1 else (),
    )


def _factorial(design: Layout, count: int) -> Meaning:
    arms = len(design.cells)
    main = (
        "what each change does on average over the arms with and without the others (its main effect, which carries "
        "the verdict): another question than what it does to the baseline alone"
    )
    cells = "what single arms do against the baseline: it describes them, in a family of their own"
    if design.resolution is None:
        interactions = "how the effect of a change depends on each other one (interactions of two, a second family)"
        return Meaning(f"full factorial, 2^{count} = {arms} arms", (main, interactions), (cells,))
    title = f"fractional factorial, 2^({count}-{count - round(math.log2(arms))}) = {arms} arms, resolution"
    if design.estimates_interactions:
        return Meaning(
            f"{title} V",
            (main, "how the effect of a change depends on each other one, where interactions of three changes are nil"),
            ("interactions of three changes and more, which are taken to be nil", cells),
        )
    return Meaning(
        f"{title} IV",
        (f"{main}, where interactions of three changes are nil",),
        ("which two changes interact: interactions of two share contrasts (the alias sets)", cells),
    )
