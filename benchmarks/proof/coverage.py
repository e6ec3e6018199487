"""2. Coverage of both effects: over seeds on these images, and over seeds and new images."""

from __future__ import annotations

from itertools import product

import numpy as np

from ablab.stats import Population, image_weights, population
from ablab.streams import stream
from proof import scenes
from proof.claim import Cell, Proof, covers

SEEDS = (3, 5, 10)
SOURCES = ((200, 1), (40, 5), (12, 15))  # groups and images in each
UNEVEN = (20, 15)  # here the groups hold 1 to 29 images
EFFECT = 0.3  # in the linear model, and of the skill's logit in the scenes
REPLICATES = 500
SETS, TRAININGS = 10, 400


def linear(studies: int) -> Proof:
    """d(seed, image) = effect + seed + image (by group) + their interaction, all normal: both truths are known."""
    cells = []
    for n, (groups, each), mixed in product(SEEDS, (*SOURCES, UNEVEN), (0.3, 1.5)):
        rng = stream("proof", "linear", n, groups, int(10 * mixed))
        held = [_linear_study(rng, n, groups, each, mixed) for _ in range(studies)]
        name = f"n = {n}, {groups} groups of {'1 to 29' if (groups, each) == UNEVEN else each}, interaction {mixed:g}"
        cells += _cells(name, held, studies)
    how = (
        f"{studies:,} studies a cell, {REPLICATES} replicates each; sd of seeds 0.1, of groups 1, of images 0.5. "
        "`fixed`: the interval over seeds, and the mean over seeds on these images; `population`: that over both."
    )
    return Proof("Coverage, linear model", how, cells)


def _linear_study(rng: np.random.Generator, n: int, groups: int, each: int, mixed: float) -> tuple[bool, bool]:
    sizes = np.linspace(1, 2 * each - 1, groups).round().astype(int) if (groups, each) == UNEVEN else each
    labels = np.repeat(np.arange(groups), sizes)
    shared = rng.standard_normal(groups)[labels] + 0.5 * rng.standard_normal(len(labels))
    own = 0.1 * rng.standard_normal(n)[:, None] + mixed * rng.standard_normal((n, len(labels)))
    d = EFFECT + shared + own  # (n, I)
    drawn = image_weights(labels, REPLICATES, rng) @ d.T / len(labels)  # (B, n)
    found = population(d.mean(axis=1), drawn, np.unique(labels, return_counts=True)[1])
    return _inside(found, EFFECT + float(shared.mean()), EFFECT)


def detections(studies: int) -> Proof:
    """AP50 of synthetic detections; the truths are means over many trainings, and over very many images."""
    truth = _true_effect()
    cells = []
    for n, (groups, each) in product(SEEDS, SOURCES):
        rng = stream("proof", "scenes", n, groups)
        held = [_scene_study(rng, n, groups, each, truth) for _ in range(studies)]
        covered = sum(inside for inside in held)
        cells.append(covers(f"n = {n}, {groups} groups of {each}: population", covered, studies))
    cells += _fixed()
    how = (
        f"AP50 by the product's own meter, {studies:,} studies a cell, {REPLICATES} replicates. The true effect is "
        f"{truth:+.4f}. `fixed`: {SETS} sets of 100 images, each with {TRAININGS} trainings an arm as its truth."
    )
    return Proof("Coverage, AP50 of synthetic detections", how, cells)


def _true_effect() -> float:
    """Of 20 trainings an arm on 10,000 images."""
    rng = stream("proof", "truth")
    images = scenes.Images.draw(10_000, 1, rng)
    found = [[_ap(images, skill, rng) for _ in range(20)] for skill in (0.0, EFFECT)]
    return float(np.mean(found[1]) - np.mean(found[0]))


def _ap(images: scenes.Images, skill: float, rng: np.random.Generator) -> float:
    return scenes.figures(scenes.run(images, skill, rng), ("AP50",))["AP50"]


def _scene_study(rng: np.random.Generator, n: int, groups: int, each: int, truth: float) -> bool:
    images = scenes.Images.draw(groups, each, rng)
    weights = image_weights(images.groups, REPLICATES, rng)
    weights = np.vstack([np.ones(len(images.groups)), weights])  # the first row is the score itself
    scored = [[_replicates(images, skill, rng, weights) for _ in range(n)] for skill in (0.0, EFFECT)]
    d = np.array(scored[1]) - np.array(scored[0])  # (n, 1 + B)
    return _inside(population(d[:, 0], d[:, 1:].T, groups), 0.0, truth)[1]


def _replicates(images: scenes.Images, skill: float, rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
    return scenes.METER.score(scenes.run(images, skill, rng), {}, weights, only=("AP50",))["AP50"]


def _fixed() -> list[Cell]:
    """The interval over seeds holds the mean over trainings on these very images."""
    covered, rounds = dict.fromkeys(SEEDS, 0), dict.fromkeys(SEEDS, 0)
    for number in range(SETS):
        rng = stream("proof", "fixed", number)
        images = scenes.Images.draw(100, 1, rng)
        scored = np.array([[_ap(images, skill, rng) for _ in range(TRAININGS)] for skill in (0.0, EFFECT)])
        d = scored[1] - scored[0]
        for n in SEEDS:
            for start in range(0, TRAININGS - n + 1, n):
                low, high = population(d[start : start + n], np.zeros((2, n)), 1).seeds
                covered[n] += low <= d.mean() <= high
                rounds[n] += 1
    return [covers(f"n = {n}, 100 images: fixed", covered[n], rounds[n]) for n in SEEDS]


def _inside(found: Population, fixed: float, both: float) -> tuple[bool, bool]:
    return found.seeds[0] <= fixed <= found.seeds[1], found.both[0] <= both <= found.both[1]


def _cells(name: str, held: list[tuple[bool, bool]], studies: int) -> list[Cell]:
    fixed, both = (sum(column) for column in zip(*held, strict=True))
    return [covers(f"{name}: fixed", fixed, studies), covers(f"{name}: population", both, studies)]
