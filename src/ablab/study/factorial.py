"""What a design that combines changes says beside its arms' verdicts: the record `factorial` of `verdicts.json`.

    title          "full factorial, 2^3 = 8 arms"
    main           verdicts (as in `arms`) of each change's main effect, with `changes`: a factorial's answer
    interactions   the same of each two changes, where nothing is aliased with them (resolution V or more)
    aliases        {changes: [[a, b], [c, e]], says}: interactions that share one contrast and are not told apart
    additivity     {arm, changes, basis, n, predicted, measured, departure}, each {effect, interval}: descriptive
    answers, cannot    what the design tells, and what it does not

The main effects are one family of Holm's, the interactions another; the
rows of cells in `arms` are a third and describe.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

from ablab.stats.designs import Layout, Term, additivity, effects, halves, layout
from ablab.study.design import BASELINE, FULL, Arm
from ablab.study.meaning import meaning
from ablab.study.spec import Study

Scores = Mapping[str, Mapping[int, float]]


def factorial(study: Study, made: Sequence[Arm], table: Scores) -> dict[str, Any]:
    """The record; empty for one-at-a-time. `table` is {arm: {seed: score}}."""
    if study.design == "one-at-a-time":
        return {}
    meant = meaning(study)
    record: dict[str, Any] = {"title": meant.title, "main": [], "interactions": [], "aliases": [], "additivity": []}
    scores = {arm.name: table.get(arm.name, {}) for arm in made}
    if study.design == "leave-one-out":
        record["additivity"] = [_full_model(study, scores)]
    if study.design == "factorial":
        record |= _factorial(study, [arm for arm in made if arm.kind in ("baseline", "cell")], scores)
    return record | {"answers": list(meant.answers), "cannot": list(meant.cannot)}


def _factorial(study: Study, cells: Sequence[Arm], scores: Scores) -> dict[str, Any]:
    names = [change.name for change in study.changes]
    design = layout(len(names))
    pairs = list(combinations(range(len(names)), 2))
    terms: dict[str, Term] = {name: (factor,) for factor, name in enumerate(names)}
    both: dict[str, Term] = {f"{names[a]} * {names[b]}": (a, b) for a, b in pairs}
    return {
        "main": _judged(study, cells, scores, {n: (t, f"arms without {n}") for n, t in terms.items()}),
        "interactions": _judged(study, cells, scores, {n: (t, _one_of(names, t)) for n, t in both.items()})
        if design.estimates_interactions
        else [],
        "aliases": aliases(study),
        "additivity": _cells(study, cells, scores, design),
    }


def aliases(study: Study) -> list[dict[str, Any]]:
    """Sets of interactions of two changes that share one contrast of the study's factorial, with words."""
    if study.design != "factorial":
        return []
    names = [change.name for change in study.changes]
    sets = layout(len(names)).alias_sets()
    return [{"changes": _named(names, each), "says": _alias(names, each)} for each in sets]


def _one_of(names: Sequence[str], term: Term) -> str:
    return f"arms with one of {names[term[0]]} and {names[term[1]]}"


def _named(names: Sequence[str], terms: Sequence[Term]) -> list[list[str]]:
    return [[names[factor] for factor in term] for term in terms]


def _alias(names: Sequence[str], terms: Sequence[Term]) -> str:
    first, *others = [" * ".join(words) for words in _named(names, terms)]
    return f"{first} is aliased with {' and '.join(others)}: their sum is all that these arms could tell"


def sides(made: Sequence[Arm], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """{side: its cells} of rows of `main` and `interactions`: where the product of the levels is +1, and where -1."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for cell in (arm for arm in made if arm.kind in ("baseline", "cell")):
            sign = math.prod(1 if change in cell.changes else -1 for change in row["changes"])
            found.setdefault(row["arm"] if sign > 0 else row["against"], []).append(cell.name)
    return found


def _judged(
    study: Study, cells: Sequence[Arm], scores: Scores, terms: Mapping[str, tuple[Term, str]]
) -> list[dict[str, Any]]:
    names = [change.name for change in study.changes]
    design = layout(len(names))
    found = effects(
        scores,
        [cell.name for cell in cells],
        {name: (design.signs(term).tolist(), other) for name, (term, other) in terms.items()},
        direction=study.judge.direction,
        smallest_interesting=study.judge.smallest_interesting,
        alpha=study.judge.alpha,
    )
    return [
        verdict.as_dict() | {"changes": [names[factor] for factor in term]}
        for verdict, (term, _) in zip(found, terms.values(), strict=True)
    ]


def _cells(study: Study, cells: Sequence[Arm], scores: Scores, design: Layout) -> list[dict[str, Any]]:
    """Every cell of two or more changes beside the sum of its changes, each alone or, where not trained, on average."""
    names = [change.name for change in study.changes]
    alone = {arm.changes[0]: (scores[arm.name], scores[BASELINE]) for arm in cells if len(arm.changes) == 1}
    basis = "each change alone"
    if set(alone) != set(names):
        order, basis = [cell.name for cell in cells], "each change's main effect"
        alone = {name: halves(scores, order, design.signs((k,)).tolist()) for k, name in enumerate(names)}  # type: ignore[misc]
    return [
        _row(cell.name, cell.changes, basis, [alone[name] for name in cell.changes], scores, study.judge.alpha)
        for cell in cells
        if len(cell.changes) > 1
    ]


def _full_model(study: Study, scores: Scores) -> dict[str, Any]:
    """The full model beside the sum of what each part gives it."""
    names = tuple(change.name for change in study.changes)
    parts = [(scores[FULL], scores[f"without/{name}"]) for name in names]
    return _row(FULL, names, "each change left out of the full model", parts, scores, study.judge.alpha)


def _row(
    arm: str, changes: Sequence[str], basis: str, parts: Sequence[tuple[Any, Any]], scores: Scores, alpha: float
) -> dict[str, Any]:
    found = asdict(additivity(scores[arm], scores[BASELINE], parts, alpha))
    return {"arm": arm, "changes": list(changes), "basis": basis, **found}
