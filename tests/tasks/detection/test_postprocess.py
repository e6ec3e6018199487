"""Post-processing against hand-made cases."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import batched_nms, nms

from ablab.tasks.detection import postprocess as subject
from ablab.tasks.detection.postprocess import Found, postprocess, to_detections
from ablab.tasks.detection.recipe import PostprocessRecipe

SETTINGS = PostprocessRecipe()


def decoded(*rows):
    """Rows of x1 y1 x2 y2, a factor, class shares -> boxes (1, N, 4) and scores (1, N, C)"""
    table = torch.tensor([list(rows)], dtype=torch.float32)
    return table[..., :4], table[..., 4:5] * table[..., 5:]


def run(*rows, **settings):
    (found,) = postprocess(*decoded(*rows), PostprocessRecipe(**settings))
    return found


def test_scores_fall():
    found = run([0, 0, 10, 10, 1, 0.2, 0.0], [50, 50, 60, 60, 1, 0.0, 0.72])
    torch.testing.assert_close(found.scores, torch.tensor([0.72, 0.2]))
    assert found.labels.tolist() == [1, 0]
    assert found.boxes.tolist() == [[50, 50, 60, 60], [0, 0, 10, 10]]


def test_one_box_may_have_several_classes():
    found = run([0, 0, 10, 10, 1.0, 0.9, 0.8])
    assert found.labels.tolist() == [0, 1]


def test_suppression_acts_within_a_class_above_the_threshold():
    """Two boxes of 10 x 10 shifted by 2 overlap by 80 / 120."""
    rows = [[0, 0, 10, 10, 1, 0.9, 0], [2, 0, 12, 10, 1, 0.8, 0], [0, 0, 10, 10, 1, 0, 0.7]]
    assert run(*rows, iou=0.66).scores.tolist() == pytest.approx([0.9, 0.7])
    assert run(*rows, iou=0.67).scores.tolist() == pytest.approx([0.9, 0.8, 0.7])


def test_classes_are_apart_where_coordinates_are_negative():
    """torchvision's shift by the largest coordinate + 1 would lay these two on one another."""
    found = run([60, 60, 100, 100, 1, 0.9, 0], [-41, -41, -1, -1, 1, 0, 0.8])
    assert found.labels.tolist() == [0, 1]


def test_confidence_is_a_threshold_on_the_score():
    rows = [[0, 0, 10, 10, 0.5, 0.5], [20, 20, 30, 30, 0.5, 0.4]]
    assert run(*rows, confidence=0.2).scores.tolist() == [0.25]


def test_most_keeps_the_best():
    rows = [[20 * k, 0, 20 * k + 10, 10, 1, 0.1 + 0.08 * k] for k in range(10)]
    found = run(*rows, most=3)
    assert found.scores.tolist() == pytest.approx([0.82, 0.74, 0.66])


def test_cap_keeps_the_best_candidates(monkeypatch):
    monkeypatch.setattr(subject, "CANDIDATES", 2)
    rows = [[20 * k, 0, 20 * k + 10, 10, 1, 0.1 + 0.08 * k] for k in range(10)]
    assert run(*rows).scores.tolist() == pytest.approx([0.82, 0.74])


@pytest.mark.parametrize("most", [1, 3, 20, 1000])
def test_looking_at_the_best_first_changes_nothing(most):
    """The same as torchvision's suppression of all candidates, cut afterwards."""
    draw = torch.Generator().manual_seed(0)
    centre = 40 + 60 * torch.rand(10, 2, generator=draw)[torch.randint(10, (400,), generator=draw)]
    centre = centre + 4 * torch.randn(400, 2, generator=draw)
    boxes, scores = torch.cat((centre - 10, centre + 10), dim=1), torch.rand(400, 2, generator=draw)
    (found,) = postprocess(boxes[None], scores[None], PostprocessRecipe(most=most))
    every, score = boxes.repeat_interleave(2, dim=0), scores.flatten()
    label = torch.arange(800) % 2
    kept = batched_nms(every, score, label, 0.6)[:most]
    assert torch.equal(found.boxes, every[kept])
    assert torch.equal(found.labels, label[kept])


def crowded(count=300, classes=3, seed=0):
    """Overlapping boxes (n, 4) and scores (n, classes)."""
    draw = torch.Generator().manual_seed(seed)
    centre = 40 + 60 * torch.rand(12, 2, generator=draw)[torch.randint(12, (count,), generator=draw)]
    centre = centre + 4 * torch.randn(count, 2, generator=draw)
    return torch.cat((centre - 10, centre + 10), dim=1), torch.rand(count, classes, generator=draw)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("most", [5, 1000])
def test_agnostic_suppression_is_torchvisions_nms_of_all_classes_together(seed, most):
    boxes, scores = crowded(seed=seed)
    (found,) = postprocess(boxes[None], scores[None], PostprocessRecipe(agnostic=True, most=most))
    every, score, label = boxes.repeat_interleave(3, dim=0), scores.flatten(), torch.arange(900) % 3
    kept = nms(every, score, 0.6)[:most]
    assert torch.equal(found.boxes, every[kept])
    assert torch.equal(found.scores, score[kept])
    assert torch.equal(found.labels, label[kept])


@pytest.mark.parametrize("way", ["diou", "soft", "soft-linear"])
def test_agnostic_suppression_of_every_way_is_that_of_one_class(way):
    boxes, scores = crowded(count=60)
    settings = PostprocessRecipe(nms=way, agnostic=True)
    (found,) = postprocess(boxes[None], scores[None], settings)
    every, score = boxes.repeat_interleave(3, dim=0), scores.flatten()
    (alone,) = postprocess(every[None], score[None, :, None], PostprocessRecipe(nms=way))
    assert torch.equal(found.boxes, alone.boxes)
    assert torch.equal(found.scores, alone.scores)
    assert len(set(found.labels.tolist())) == 3
    (apart,) = postprocess(boxes[None], scores[None], PostprocessRecipe(nms=way))
    assert not (found.scores.shape == apart.scores.shape and torch.equal(found.scores, apart.scores))


@pytest.mark.parametrize("way", ["hard", "diou", "soft", "soft-linear"])
def test_least_leaves_what_filtering_afterwards_would(way):
    """Within a class what scores less never takes anything from what scores more."""
    boxes, scores = crowded(count=100)
    settings, least = PostprocessRecipe(nms=way, most=1000), torch.tensor([0.5, 0.8, torch.inf]).double()
    (asked,) = postprocess(boxes[None], scores[None], settings, least)
    (every,) = postprocess(boxes[None], scores[None], settings)
    kept = every.scores >= least[every.labels]
    assert kept.any()
    assert torch.equal(asked.boxes, every.boxes[kept])
    assert torch.equal(asked.scores, every.scores[kept])
    assert set(asked.labels.tolist()) == {0, 1}


def test_what_is_not_asked_for_suppresses_nothing():
    """An agnostic rival below its own threshold, or of a class that is left out."""
    rows = [[0, 0, 10, 10, 1, 0.9, 0], [1, 0, 11, 10, 1, 0, 0.8]]
    settings = PostprocessRecipe(agnostic=True)
    for least, labels in (([0.0, 0.0], [0]), ([0.95, 0.0], [1]), ([np.inf, 0.5], [1]), ([0.5, np.inf], [0])):
        (found,) = postprocess(*decoded(*rows), settings, torch.tensor(least, dtype=torch.float64))
        assert found.labels.tolist() == labels


def test_nothing_found_and_no_prediction():
    for image in (decoded([0, 0, 10, 10, 0.0, 0.9, 0.9]), (torch.zeros(1, 0, 4), torch.zeros(1, 0, 3))):
        (found,) = postprocess(*image, SETTINGS)
        assert found.boxes.shape == (0, 4)
        assert len(found.scores) == len(found.labels) == 0
        assert len(to_detections(found, (10, 10), 1.0, (0.0, 0.0))) == 0


def test_images_are_independent():
    pair = zip(decoded([0, 0, 10, 10, 1, 0.9]), decoded([0, 0, 10, 10, 1, 0.8]), strict=True)
    assert [f.scores.tolist() for f in postprocess(*map(torch.cat, pair), SETTINGS)] == [
        pytest.approx([0.9]),
        pytest.approx([0.8]),
    ]


def test_back_to_the_annotation_by_hand():
    """Scaled by 0.5 and shifted by (8, 4); an image of 40 x 60 (H x W)."""
    found = Found(
        torch.tensor([[13.0, 9.0, 18.0, 14.0], [28.0, 14.0, 48.0, 34.0], [40.0, 4.0, 50.0, 14.0]]),
        torch.tensor([0.9, 0.5, 0.1]),
        torch.tensor([2, 0, 1]),
    )
    result = to_detections(found, (40, 60), 0.5, (8.0, 4.0))
    assert result.boxes.tolist() == [[10, 10, 20, 20], [40, 20, 60, 40]]  # the second is cut, the third lies outside
    assert result.labels.tolist() == [2, 0]
    np.testing.assert_allclose(result.scores, [0.9, 0.5], rtol=1e-6)
    assert (result.boxes.dtype, result.scores.dtype, result.labels.dtype) == (np.float64, np.float64, np.int64)


@given(scale=st.floats(0.1, 4), x=st.integers(0, 64), y=st.integers(0, 64), data=st.data())
def test_back_and_forth(scale, x, y, data):
    """Boxes inside the image come back where they were."""
    low = data.draw(st.tuples(st.floats(0, 50), st.floats(0, 50)))
    side = data.draw(st.tuples(st.floats(1, 40), st.floats(1, 40)))
    box = np.array([[low[0], low[1], low[0] + side[0], low[1] + side[1]]])
    there = torch.from_numpy(box * scale + np.array([x, y, x, y])).float()
    back = to_detections(Found(there, torch.ones(1), torch.zeros(1).long()), (100, 90), scale, (x, y))
    np.testing.assert_allclose(back.boxes, box, atol=1e-2)
