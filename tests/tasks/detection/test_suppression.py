"""Soft and DIoU suppression against the papers' loops, torchvision in limiting cases, and numbers by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import batched_nms

from ablab.config import parse
from ablab.errors import ConfigError
from ablab.tasks.detection.postprocess import postprocess
from ablab.tasks.detection.recipe import PostprocessRecipe
from ablab.tasks.detection.suppression import suppress

WAYS = ["diou", "soft", "soft-linear"]
seeds = st.integers(0, 2**32 - 1)


def crowd(seed, count=60, classes=2, centres=8):
    """Boxes in clusters, so that many overlap; scores fall.  -> (n, 4), (n,), (n,)"""
    draw = torch.Generator().manual_seed(seed)
    centre = 100 * torch.rand(centres, 2, generator=draw)[torch.randint(centres, (count,), generator=draw)]
    centre = centre + 4 * torch.randn(count, 2, generator=draw)
    half = 5 + 10 * torch.rand(count, 2, generator=draw)
    scores = torch.rand(count, generator=draw).sort(descending=True).values
    return torch.cat((centre - half, centre + half), dim=1), scores, torch.randint(classes, (count,), generator=draw)


def overlap(a, b):
    w = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    h = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def centre_share(a, b):
    """The squared distance of the centres over the squared diagonal of the box around both."""
    gap = [(a[i] + a[i + 2] - b[i] - b[i + 2]) / 2 for i in (0, 1)]
    around = [max(a[i + 2], b[i + 2]) - min(a[i], b[i]) for i in (0, 1)]
    return (gap[0] ** 2 + gap[1] ** 2) / (around[0] ** 2 + around[1] ** 2)


def by_loops(boxes, scores, labels, recipe):
    """As the papers print it: take the best, go through all others.  -> [(index, score)]"""
    boxes, left, taken = boxes.tolist(), dict(enumerate(scores.tolist())), []
    while left:
        best = max(left, key=left.get)
        taken.append((best, left.pop(best)))
        for other in list(left):
            if labels[other] != labels[best]:
                continue
            iou = overlap(boxes[best], boxes[other])
            if recipe.nms == "soft":
                left[other] *= math.exp(-(iou**2) / recipe.sigma)
            elif recipe.nms == "soft-linear" and iou > recipe.iou:
                left[other] *= 1 - iou
            elif recipe.nms == "diou" and iou - centre_share(boxes[best], boxes[other]) > recipe.iou:
                del left[other]
    return [(index, score) for index, score in taken if score > recipe.confidence][: recipe.most]


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=25, deadline=None)
@given(seed=seeds, most=st.sampled_from([1, 4, 100]), confidence=st.sampled_from([0.0, 0.001, 0.3]))
def test_equals_the_papers_loop(way, seed, most, confidence):
    recipe = PostprocessRecipe(nms=way, most=most, confidence=confidence)
    index, scores = suppress(*crowd(seed), recipe)
    expected = by_loops(*crowd(seed), recipe)
    assert index.tolist() == [i for i, _ in expected]
    assert scores.tolist() == pytest.approx([s for _, s in expected], rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_soft_of_a_small_sigma_drops_all_that_touch_as_torchvision_does(seed):
    boxes, scores, labels = crowd(seed)
    index, kept = suppress(boxes, scores, labels, PostprocessRecipe(nms="soft", sigma=1e-30, confidence=0.0))
    expected = batched_nms(boxes - boxes.min(), scores, labels, 0.0)
    assert torch.equal(index, expected)
    assert torch.equal(kept, scores[expected])


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_soft_of_a_large_sigma_drops_nothing(seed):
    boxes, scores, labels = crowd(seed)
    index, kept = suppress(boxes, scores, labels, PostprocessRecipe(nms="soft", sigma=1e12, confidence=0.0))
    assert torch.equal(index, torch.arange(60))
    torch.testing.assert_close(kept, scores)


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_diou_of_boxes_around_one_centre_is_torchvisions_nms(seed):
    """The centres' term is 0 there."""
    boxes, scores, labels = crowd(seed)
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    boxes = torch.cat((50 - half, 50 + half), dim=1)
    index, kept = suppress(boxes, scores, labels, PostprocessRecipe(nms="diou", confidence=0.0))
    assert torch.equal(index, batched_nms(boxes, scores, labels, 0.6))
    assert torch.equal(kept, scores[index])


def found(way, *rows, **more):
    """Rows of x1 y1 x2 y2 and a score, through the whole of `postprocess`."""
    table = torch.tensor([rows], dtype=torch.float32)
    (image,) = postprocess(table[..., :4], table[..., 4:], PostprocessRecipe(nms=way, **more))
    return image


def test_two_boxes_by_hand():
    """10 x 10, shifted by 2: an IoU of 80 / 120; the distance is 2^2 of 12^2 + 10^2."""
    rows = [[0, 0, 10, 10, 0.9], [2, 0, 12, 10, 0.8], [50, 50, 60, 60, 0.5]]
    soft = found("soft", *rows)
    assert soft.scores.tolist() == pytest.approx([0.9, 0.5, 0.8 * math.exp(-((2 / 3) ** 2) / 0.5)])
    assert soft.boxes[:, 0].tolist() == [0, 50, 2]  # the lowered one comes last
    assert found("soft-linear", *rows).scores.tolist() == pytest.approx([0.9, 0.5, 0.8 / 3])
    assert found("soft-linear", *rows, iou=0.7).scores.tolist() == pytest.approx([0.9, 0.8, 0.5])
    threshold = 2 / 3 - 4 / 244
    assert found("diou", *rows, iou=threshold - 1e-4).scores.tolist() == pytest.approx([0.9, 0.5])
    assert found("diou", *rows, iou=threshold + 1e-4).scores.tolist() == pytest.approx([0.9, 0.8, 0.5])


def test_a_score_lowered_below_the_threshold_is_gone():
    rows = [[0, 0, 10, 10, 0.9], [0, 0, 10, 10, 0.8]]
    assert found("soft", *rows, confidence=0.11).scores.tolist() == pytest.approx([0.9])  # 0.8 * exp(-2) = 0.108
    assert len(found("soft", *rows, confidence=0.1).scores) == 2


@pytest.mark.parametrize("way", WAYS)
def test_looking_at_the_best_first_changes_nothing(way):
    boxes, scores, labels = crowd(3, count=600, centres=12)
    everything = suppress(boxes, scores, labels, PostprocessRecipe(nms=way, most=600))
    for most in (1, 5, 40):
        few = suppress(boxes, scores, labels, PostprocessRecipe(nms=way, most=most))
        for all_of_them, best in zip(everything, few, strict=True):
            assert torch.equal(best, all_of_them[:most])


@pytest.mark.parametrize("way", WAYS)
def test_boxes_without_area_and_no_box(way):
    assert len(found(way, [5, 5, 5, 5, 0.9], [5, 5, 5, 5, 0.8]).scores) == 2
    assert found(way, [0, 0, 10, 10, 0.0]).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("way", "idle"), [("hard", "sigma"), ("diou", "sigma"), ("soft-linear", "sigma"), ("soft", "iou")]
)
def test_a_field_that_would_do_nothing_is_refused(way, idle):
    with pytest.raises(ConfigError, match=f"{idle} would do nothing: nms is '{way}'"):
        parse(PostprocessRecipe, {"nms": way, idle: 0.3}, "test")
