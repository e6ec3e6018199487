"""What a study's design can tell at its cost, before anything trains: the record `design` of `plan.json`.

name, title, answers, cannot
aliases     interactions that are not told apart, in words
runs        arms x seeds, controls included
noise       sd(d) in the metric's units and how it is known, or null
questions   [{question, comparisons, scale, one, all, seeds}]: `one` and `all` are the smallest effects found four
            times in five, alone and where all comparisons are judged together, in units of sd(d), the sd over seeds
            of a difference of two arms; `scale` is what the question's own noise is in that unit. `seeds` is
            [{ratio, seeds}]: how many find `smallest_interesting`, where it is `ratio` times sd(d); one row where
            the noise is known
equal_cost  [{design, arms, seeds, error, all}]: one-at-a-time and factorial at this study's runs; `error` is a
            change's standard error in sd(d), `all` as above, null below two seeds
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ablab import stats
from ablab.stats.designs import FEWEST_FACTORS, MOST_FACTORS, contrast_noise, layout
from ablab.study import looks
from ablab.study.design import Arm
from ablab.study.factorial import aliases
from ablab.study.known import Noise
from ablab.study.meaning import meaning
from ablab.study.spec import Study

RATIOS = (2.0, 1.0, 0.5)  # smallest_interesting in sd(d), where the noise is unknown


def prospects(study: Study, made: Sequence[Arm], noise: Noise | None) -> dict[str, Any]:
    """The record, as plain data."""
    meant = meaning(study)
    return {
        "name": study.design,
        "title": meant.title,
        "answers": list(meant.answers),
        "cannot": list(meant.cannot),
        "aliases": [each["says"] for each in aliases(study)],
        "runs": len(made) * len(study.seeds),
        "smallest_interesting": study.judge.smallest_interesting,
        "noise": {"sd": noise.sd, "source": noise.source} if noise else None,
        "questions": [_question(study, *each, noise) for each in _asked(study, made)],
        "equal_cost": _equal_cost(study),
    }


def _asked(study: Study, made: Sequence[Arm]) -> list[tuple[str, int, float]]:
    """Every family of comparisons: what it asks, how many it has, and its noise in sd(d)."""
    count, arms = len(study.changes), len(made) - 1
    if study.design != "factorial":
        words = {
            "one-at-a-time": "an arm against the baseline",
            "leave-one-out": "the full model against the baseline, and without each part",
            "stack": "a rung against the one below",
        }
        return [(words[study.design], arms, 1.0)]
    design = layout(count)
    scale = contrast_noise(len(design.cells))
    asked = [("a change's main effect", count, scale)]
    if design.estimates_interactions:
        asked.append(("an interaction of two changes", math.comb(count, 2), scale))
    return [*asked, ("an arm against the baseline (describes)", arms, 1.0)]


def _question(study: Study, words: str, comparisons: int, scale: float, noise: Noise | None) -> dict[str, Any]:
    smallest, alpha, n = study.judge.smallest_interesting, study.judge.alpha, len(study.seeds)
    ratios = [smallest / noise.sd] if noise else list(RATIOS)
    return {
        "question": words,
        "comparisons": comparisons,
        "scale": scale,
        "one": scale * looks.detectable(study, 1) if n > 1 else None,
        "all": scale * looks.detectable(study, comparisons) if n > 1 else None,
        "seeds": [{"ratio": ratio, "seeds": stats.seeds_needed(ratio / scale, alpha, comparisons)} for ratio in ratios],
    }


def _equal_cost(study: Study) -> list[dict[str, Any]]:
    """A change's effect from as many runs, by one-at-a-time and by a factorial; empty where a factorial cannot be."""
    count = len(study.changes)
    if not FEWEST_FACTORS <= count <= MOST_FACTORS:
        return []
    cells = len(layout(count).cells)
    own = {"one-at-a-time": count + 1, "leave-one-out": count + 2, "stack": count + 1, "factorial": cells}
    runs = own[study.design] * len(study.seeds)
    rows = []
    for design, arms, scale in (("one-at-a-time", count + 1, 1.0), ("factorial", cells, contrast_noise(cells))):
        n = runs // arms
        found = scale * stats.smallest_detectable(n, study.judge.alpha, count) if n > 1 else None
        error = scale / math.sqrt(n) if n else None
        rows.append({"design": design, "arms": arms, "seeds": n, "error": error, "all": found})
    return rows
