"""Balance against scipy's entropy, Gini's own definition over pairs, and counts by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.diagnosis.balance import balance, crowding, effective, gini
from ablab.tasks.detection.diagnosis.labels import Labels

COUNTS = st.lists(st.integers(0, 500), min_size=1, max_size=12).filter(any)


def annotation(name: str, labels: list[int], crowd: tuple[int, ...] = ()) -> Annotation:
    boxes = np.tile([0.0, 0, 10, 10], (len(labels), 1))
    none = np.zeros(len(labels), bool)
    return Annotation(
        name, Path(name), 100, 100, boxes, np.array(labels, np.int64), none, np.isin(range(len(labels)), crowd)
    )


@given(COUNTS)
def test_gini_is_half_the_mean_difference_of_all_pairs_over_the_mean(counts: list[int]) -> None:
    x = np.array(counts)
    assert gini(x) == pytest.approx(np.abs(x[:, None] - x).mean() / (2 * x.mean()), abs=1e-12)


@given(COUNTS)
def test_the_effective_number_is_the_entropys(counts: list[int]) -> None:
    assert effective(np.array(counts)) == pytest.approx(np.exp(entropy(counts)))


@pytest.mark.parametrize(("counts", "coefficient", "number"), [([5, 5, 5, 5], 0, 4), ([0, 0, 0, 8], 0.75, 1)])
def test_the_ends_of_balance(counts: list[int], coefficient: float, number: float) -> None:
    assert gini(np.array(counts)) == pytest.approx(coefficient)
    assert effective(np.array(counts)) == pytest.approx(number)


def test_a_class_without_labels_is_named_and_crowds_do_not_count() -> None:
    labels = Labels.of([annotation("a", [0, 0, 2, 1], crowd=(3,)), annotation("b", [0])], (100, 100))
    seen = balance(labels, ("cell", "seed", "grain"))
    assert seen.counts == (3, 0, 1)
    assert seen.absent == ("seed",)
    assert seen.imbalance == np.inf
    assert balance(labels, ("cell", "seed", "grain")).gini == pytest.approx(
        0.5
    )  # pairs differ by 3, 1, 2: 12 / 9 / 2.67


def test_objects_an_image_with_empty_ones() -> None:
    seen = crowding(Labels.of([annotation("a", [0, 1, 1]), annotation("b", []), annotation("c", [0])], (64, 64)))
    assert (seen.images, seen.least, seen.median, seen.most) == (3, 0, 1, 3)
    assert seen.mean == pytest.approx(4 / 3)
    assert seen.empty == pytest.approx(1 / 3)
    assert seen.histogram == ((0, 1), (1, 1), (3, 1))


def test_nothing_at_all() -> None:
    nothing = Labels.of([], (64, 64))
    seen = balance(nothing, ("cell",))
    assert seen.counts == (0,)
    assert np.isnan([seen.gini, seen.effective, seen.imbalance]).all()
    assert crowding(nothing).images == 0
