"""1. A/A studies: how often ablab calls a useless change something.

Every arm is the baseline again, so that each HELPS or HURTS is false. A study's score is noise; a block effect that a
seed's arms share would cancel in the differences. The noises have mean 0:

    normal    standard normal
    t3        Student's t with 3 degrees of freedom: heavy tails
    skewed    exponential minus 1: a tail towards good; with a tail towards bad HELPS and HURTS change places
    crashes   standard normal, and one run in ten loses 10 standard deviations

each once with equal arms and once with one arm 3 times as noisy as the baseline and the others (crashes lose as much
as before). The limits are those that a procedure of level 0.05 (either direction) and 0.025 (HELPS alone, HURTS
alone) passes in 99 of 100 cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from ablab.stats import compare, holm, judge
from ablab.streams import stream
from proof import claim
from proof.claim import Proof, most

ALPHA = 0.05
SEEDS, ARMS = (3, 5, 10), (1, 6, 12)
CHECKED = 25  # studies a cell that `judge` itself decides, one by one

Draw = Callable[[np.random.Generator, tuple[int, ...], np.ndarray], np.ndarray]

NOISES: dict[str, Draw] = {
    "normal": lambda rng, shape, scale: scale * rng.standard_normal(shape),
    "t3": lambda rng, shape, scale: scale * rng.standard_t(3, shape),
    "skewed": lambda rng, shape, scale: scale * (rng.standard_exponential(shape) - 1),
    "crashes": lambda rng, shape, scale: scale * rng.standard_normal(shape) - 10 * (rng.random(shape) < 0.1),
}


@dataclass(frozen=True)
class Kind:
    """One kind of study, and in how many of them something was called."""

    noise: str
    noisier: bool
    n: int
    arms: int
    called: int = 0
    helps: int = 0
    hurts: int = 0


def simulate(noise: str, noisier: bool, n: int, arms: int, studies: int) -> Kind:
    """Judge `studies` null studies at once, with the functions that `judge` uses."""
    scale = np.ones((1 + arms, 1))
    scale[-1] = 3 if noisier else 1
    rng = stream("aa_studies", noise, int(noisier), n, arms)
    scores = NOISES[noise](rng, (studies, 1 + arms, n), scale)
    compared = compare(scores[:, 1:] - scores[:, :1])
    significant = holm(compared.p) < ALPHA
    helps = (significant & (compared.effect > 0)).any(axis=1)
    hurts = (significant & (compared.effect < 0)).any(axis=1)
    for study in range(min(CHECKED, studies)):
        check(scores[study], bool(helps[study]), bool(hurts[study]))
    return Kind(noise, noisier, n, arms, int((helps | hurts).sum()), int(helps.sum()), int(hurts.sum()))


def check(scores: np.ndarray, helps: bool, hurts: bool) -> None:
    """Stop unless `judge` says of one study (arms, n) what the simulation says."""
    named: dict[str, dict[int, float | None]] = {
        str(arm): dict(enumerate(row)) for arm, row in enumerate(scores.tolist())
    }
    said = {verdict.verdict for verdict in judge(named, "0", smallest_interesting=1e-9, alpha=ALPHA)}
    if ("helps" in said, "hurts" in said) != (helps, hurts):
        raise SystemExit(f"judge says {said}, the simulation helps={helps}, hurts={hurts}, of {scores!r}")


def table(cells: list[Kind], studies: int) -> str:
    """The counts as Markdown; a count above its limit is bold."""
    limit, one_sided = most(studies, ALPHA), most(studies, ALPHA / 2)
    columns = list(product(ARMS, SEEDS))
    lines = [
        "| noise | arms | " + " | ".join(f"K={k} n={n}" for k, n in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for noise, noisier in product(NOISES, (False, True)):
        row = {(c.arms, c.n): c for c in cells if (c.noise, c.noisier) == (noise, noisier)}
        shown = [
            " / ".join([_bold(c.called, limit), _bold(c.helps, one_sided), _bold(c.hurts, one_sided)])
            for c in (row[key] for key in columns)
        ]
        lines.append(f"| {noise} | {'one 3x noisier' if noisier else 'equal'} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _bold(count: int, most: int) -> str:
    return f"**{count}**" if count > most else str(count)


KNOWN = "very skewed noise, unequal between arms: the paired t has no more than this to give; use more seeds"


def run(studies: int) -> Proof:
    """Every cell of noise, arms and seeds."""
    kinds = [simulate(*kind, studies) for kind in product(NOISES, (False, True), SEEDS, ARMS)]
    limit, one_sided = most(studies, ALPHA), most(studies, ALPHA / 2)
    how = (
        f"Null studies of {studies:,} in which an arm was called HELPS or HURTS / HELPS / HURTS, at alpha {ALPHA}. "
        f"Limits: {limit} / {one_sided} / {one_sided}; a count above its limit is bold. n seeds, K judged arms."
    )
    return Proof(
        "False claims in A/A studies",
        how,
        [_cell(kind, studies) for kind in kinds],
        text=table(kinds, studies),
        notes=("The skewed noise has its tail towards good; with one towards bad, HELPS and HURTS change places.",),
    )


def _cell(kind: Kind, studies: int) -> claim.Cell:
    holds = kind.called <= most(studies, ALPHA) and max(kind.helps, kind.hurts) <= most(studies, ALPHA / 2)
    return claim.Cell(
        f"{kind.noise}, {'one arm 3x noisier' if kind.noisier else 'equal arms'}, K = {kind.arms}, n = {kind.n}",
        f"something in {kind.called / studies:.1%}, HELPS {kind.helps / studies:.1%}, HURTS {kind.hurts / studies:.1%}",
        "5% / 2.5% / 2.5%",
        holds,
        KNOWN if kind.noise == "skewed" and kind.noisier else "",
    )
