"""Anchors: fit, recall and choice."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from ablab.errors import DataError
from ablab.streams import stream
from ablab.tasks.detection import anchors as subject
from ablab.tasks.detection.anchors import DEFAULT, best_possible_recall, choose, fit, mean_best_iou

side = st.floats(2, 500)
some_sizes = st.lists(st.tuples(side, side), min_size=12, max_size=60, unique=True).map(np.array)


def blobs(centres, n=60, spread=0.03):
    rng = stream("test", "blobs")
    return np.concatenate([np.array(c) * np.exp(rng.normal(0, spread, (n, 2))) for c in centres])


@given(sizes=some_sizes)
def test_iou_is_torchvisions_at_a_shared_corner(sizes):
    def boxes(x):
        return torch.from_numpy(np.concatenate((np.zeros_like(x), x), axis=1))

    expected = box_iou(boxes(sizes), boxes(DEFAULT.reshape(-1, 2))).numpy()
    np.testing.assert_allclose(subject.iou(sizes, DEFAULT), expected, rtol=1e-9)


def test_fit_finds_the_blobs():
    centres = [(10, 12), (20, 60), (70, 25), (150, 140)]
    found = fit(blobs(centres), 4, rng=stream("test", "fit"))
    order = np.argsort([w * h for w, h in centres])
    np.testing.assert_allclose(found, np.array(centres, dtype=float)[order], rtol=0.03)


@given(sizes=some_sizes, seed=st.integers(0, 5))
@settings(max_examples=40)
def test_fit_repeats_sorts_and_stays_among_the_sizes(sizes, seed):
    first, second = (fit(sizes, 9, rng=stream("test", seed)) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == (9, 2)
    assert (np.diff(first.prod(axis=1)) >= 0).all()
    assert (first >= sizes.min(axis=0) - 1e-9).all()
    assert (first <= sizes.max(axis=0) + 1e-9).all()


@given(sizes=some_sizes, rounds=st.integers(1, 20))
@settings(max_examples=40)
def test_more_rounds_never_fit_worse(sizes, rounds):
    start, later = (mean_best_iou(sizes, fit(sizes, 9, rng=stream("test"), rounds=n)) for n in (0, rounds))
    assert later >= start


def test_as_many_anchors_as_sizes_fit_exactly():
    sizes = np.array([(10.0 * k, 7.0 * k * k) for k in range(1, 10)])
    assert mean_best_iou(sizes, fit(sizes, 9, rng=stream("test"))) == 1


def test_recall_by_hand():
    """Against one anchor of 10 x 10: sides within (2.5, 40) are in reach."""
    sizes = np.array([[10, 10], [2.6, 39], [2.5, 10], [10, 40], [100, 10]])
    assert best_possible_recall(sizes, np.array([[10.0, 10.0]])) == pytest.approx(2 / 5)
    assert best_possible_recall(sizes, np.array([[10.0, 10.0]]), ratio=11.0) == 1


def test_auto_keeps_what_fits():
    sizes = blobs(DEFAULT.reshape(-1, 2))
    chosen, note = choose("auto", sizes, stream("test"))
    assert np.array_equal(chosen, DEFAULT)
    assert "they fit" in note
    assert "100.0% of 540 boxes" in note


def test_auto_refits_what_is_out_of_reach():
    sizes = blobs([(400, 20), (20, 400), (3, 3)])
    chosen, note = choose("auto", sizes, stream("test"))
    assert note.startswith("anchors refitted: 100.0% of 180 boxes")
    assert best_possible_recall(sizes, DEFAULT) < 0.98 <= best_possible_recall(sizes, chosen)
    assert chosen.shape == (3, 3, 2)


def test_auto_refits_what_overlaps_badly():
    """25 x 7 is within reach of 16 x 30 but overlaps no anchor by more than half."""
    sizes = blobs([(25, 7), (9, 60), (200, 40)])
    assert best_possible_recall(sizes, DEFAULT) == 1
    assert mean_best_iou(sizes, DEFAULT) < 0.6
    chosen, note = choose("auto", sizes, stream("test"))
    assert note.startswith("anchors refitted")
    assert mean_best_iou(sizes, chosen) > 0.9


def test_keep_and_refit_are_obeyed():
    far, near = blobs([(400, 20), (20, 400)]), blobs(DEFAULT.reshape(-1, 2))
    assert np.array_equal(choose("keep", far, stream("test"))[0], DEFAULT)
    assert not np.array_equal(choose("refit", near, stream("test"))[0], DEFAULT)


def test_few_boxes():
    one = np.array([[10.0, 10.0]] * 20)
    assert np.array_equal(choose("auto", one, stream("test"))[0], DEFAULT)
    assert "no boxes" in choose("auto", np.zeros((0, 2)), stream("test"))[1]
    assert "no boxes" in choose("keep", np.zeros((3, 2)), stream("test"))[1]
    for sizes in (one, np.zeros((0, 2))):
        with pytest.raises(DataError, match="cannot fit 9 anchors"):
            choose("refit", sizes, stream("test"))


def test_default_cannot_be_changed_through_the_choice():
    choose("keep", np.ones((1, 2)), stream("test"))[0][:] = 0
    assert DEFAULT.min() == 10


def test_anchors_of_the_users_own_stay_as_they_are():
    mine = DEFAULT * 10
    chosen, note = choose(mine.tolist(), np.full((20, 2), 30.0), np.random.default_rng(0))
    assert np.array_equal(chosen, mine)
    assert "as given: 0.0% of" in note
