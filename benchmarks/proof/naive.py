"""7. The rules that papers use, on the same null studies: how often something useless is published."""

from __future__ import annotations

from itertools import product

import numpy as np

from ablab.stats import compare, holm
from ablab.streams import stream
from proof import scenes
from proof.claim import Cell, Proof, most

ALPHA, DRAWS = 0.05, 1000


def run(studies: int) -> Proof:
    """Single run, best seed, percentile bootstrap, t without correction, and ablab, at K in {1, 6} and n in {3, 5}."""
    cells, rows = (
        [],
        ["| K | n | single run | best seed | bootstrap | t, uncorrected | ablab |", "|---|---|---|---|---|---|---|"],
    )
    for arms, n in product((1, 6), (3, 5)):
        rng = stream("proof", "naive", arms, n)
        scores = rng.standard_normal((studies, 1 + arms, n))
        d = scores[:, 1:] - scores[:, :1]
        p = compare(d).p
        ours = int(((holm(p) < ALPHA) & (d.mean(axis=2) > 0)).any(axis=1).sum())
        rates = {
            "single run": (d[:, :, 0] > 0).any(axis=1).mean(),
            "best seed": (scores[:, 1:].max(axis=2) > scores[:, :1].max(axis=2)).any(axis=1).mean(),
            "bootstrap": (_percentile(d, rng) > 0).any(axis=1).mean(),
            "t, uncorrected": ((p < ALPHA) & (d.mean(axis=2) > 0)).any(axis=1).mean(),
            "ablab": ours / studies,
        }
        rows.append(f"| {arms} | {n} | " + " | ".join(f"{rate:.1%}" for rate in rates.values()) + " |")
        limit = most(studies, ALPHA / 2)
        cells.append(Cell(f"K = {arms}, n = {n}: ablab says HELPS", f"{ours / studies:.1%}", "2.5%", ours <= limit))
    cells += _thresholds(min(studies, 400))
    table = ["| cell | figure | limit |", "|---|---|---|", *(f"| {c.name} | {c.figure} | {c.limit} |" for c in cells)]
    how = f"{studies:,} null studies a row (normal noise): in how many some useless change is called an improvement."
    return Proof("Naive rules on the same studies", how, cells, text="\n".join([*rows, "", *table]))


def _percentile(d: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The 2.5% percentile of bootstrapped means over seeds.  (studies, K, n) -> (studies, K)"""
    n = d.shape[-1]
    counts = rng.multinomial(n, np.full(n, 1 / n), DRAWS) / n  # (DRAWS, n)
    return np.stack([np.percentile(study @ counts.T, 2.5, axis=-1) for study in d])


def _thresholds(studies: int) -> list[Cell]:
    """An arm that differs by nothing but lower scores (logits - 1), five seeds, judged by three figures."""
    called = dict.fromkeys(("F1@0.5", "F1", "AP50"), 0)
    rng = stream("proof", "thresholds")
    for _study in range(studies):
        validation, images = (scenes.Images.draw(60, 1, rng) for _ in range(2))
        found: dict[str, list[list[float]]] = {name: [[], []] for name in called}
        for arm, shift in enumerate((0.0, -1.0)):
            for _ in range(5):
                chosen = scenes.METER.choose(scenes.run(validation, 0.0, rng, shift))
                scored = scenes.figures(scenes.run(images, 0.0, rng, shift), tuple(called), chosen)
                for name, rows in found.items():
                    rows[arm].append(scored[name])
        for name, (baseline, arm) in found.items():
            called[name] += float(compare(np.array(arm) - np.array(baseline)).p) < ALPHA
    limit = most(studies, ALPHA)
    names = {"F1@0.5": "F1 at a fixed 0.5", "F1": "F1 at each run's own threshold", "AP50": "AP50"}
    return [
        Cell(
            f"scores shifted by one logit, {names[name]}: called a change",
            f"{count / studies:.1%}",
            "naive" if name == "F1@0.5" else "5%",
            (count > limit) if name == "F1@0.5" else count <= limit,
        )
        for name, count in called.items()
    ]
