"""Repeated and suspicious boxes, by hand and against torchvision's IoU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_iou

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.formats.check.boxes import SAME, _groups, box_defects

CLASSES = ("dog", "cat")


def defects(*boxes: tuple[int, float, float, float, float], crowd: tuple[int, ...] = ()) -> list[tuple[str, str]]:
    """(kind, detail) of boxes (label, x1, y1, x2, y2) in an image of 200 x 100."""
    rows = np.array(boxes, np.float64).reshape(-1, 5)
    none = np.zeros(len(rows), bool)
    crowds = np.array([i in crowd for i in range(len(rows))], bool)
    image = Annotation("a", Path("a.jpg"), 200, 100, rows[:, 1:], rows[:, 0].astype(np.int64), none, crowds)
    return [(d.kind, d.detail) for d in box_defects(image, CLASSES)]


def test_sizes_by_hand() -> None:
    assert defects((0, 10, 10, 12.5, 40)) == [
        ("tiny box", "dog at 10, 10, 12.5, 40 is 2.5 x 30 pixels: too few to learn from")
    ]
    assert defects((0, 10, 10, 13, 13)) == []
    assert defects((1, 0, 50, 105, 55)) == [("thin box", "cat at 0, 50, 105, 55 is 105 x 5 pixels: 21 to 1")]
    assert defects((1, 0, 50, 100, 55)) == []
    assert defects((1, 0, 0, 200, 95)) == [
        ("box of the whole image", "cat at 0, 0, 200, 95 is 200 x 95 pixels, all of an image of 200 x 100")
    ]
    assert defects((1, 0, 0, 199, 95)) == []
    assert defects() == []


def test_repeats_by_hand() -> None:
    dog, cat = (0, 10, 10, 50, 50), (1, 10, 10, 50, 50)
    assert defects(dog, dog, dog) == [("duplicate box", "dog at 10, 10, 50, 50 stands 3 times")]
    assert defects(dog, cat) == [("box of two classes", "dog and cat share at 10, 10, 50, 50")]
    assert [kind for kind, _ in defects(dog, cat, dog)] == ["duplicate box", "box of two classes"]
    assert defects(dog, (0, 10, 10, 50, 52)) == [("duplicate box", "dog at 10, 10, 50, 50 stands 2 times")]  # 40 / 42
    assert defects(dog, (0, 10, 10, 50, 52.2)) == []  # 40 / 42.2 = 0.948


def test_crowds_are_left_out() -> None:
    assert defects((0, 10, 10, 50, 50), (0, 10, 10, 50, 50), crowd=(1,)) == []
    assert defects((0, 0, 0, 200, 100), crowd=(0,)) == []


@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_groups_are_those_of_the_overlaps(seed: int, count: int) -> None:
    """All of a group lie on its leader, no two leaders (of one box or more) on each other."""
    rng = np.random.default_rng(seed)
    base = rng.uniform(0, 50, (4, 2))
    boxes = np.hstack([base, base + rng.uniform(20, 60, (4, 2))])[rng.integers(0, 4, count)]
    boxes = boxes + rng.uniform(-0.6, 0.6, boxes.shape)
    iou = box_iou(torch.from_numpy(boxes), torch.from_numpy(boxes)).numpy()
    groups = list(_groups(boxes))
    grouped = [row for group in groups for row in group]
    assert len(grouped) == len(set(grouped))
    assert all(len(group) > 1 for group in groups)
    leaders = [min(group, key=lambda row: boxes[row, 0]) for group in groups]
    for leader, group in zip(leaders, groups, strict=True):
        assert (iou[leader, group] >= SAME).all()
    alone = [row for row in range(count) if row not in grouped]
    heads = [*leaders, *alone]
    apart = iou[np.ix_(heads, heads)][~np.eye(len(heads), dtype=bool)]
    assert (apart < SAME).all()
