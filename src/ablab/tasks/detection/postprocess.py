"""From decoded predictions to detections: threshold, cap, non-maximum suppression, back to the annotation's pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from ablab.tasks.detection.boxes import Detections, area, clip
from ablab.tasks.detection.recipe import PostprocessRecipe
from ablab.tasks.detection.suppression import suppress

CANDIDATES = 3000  # the best of an image that NMS looks at; its time grows with their square


class Found(NamedTuple):
    """What is found in one image: boxes (n, 4) in pixels of the network's input, scores (n,) falling, labels (n,)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def postprocess(boxes: Tensor, scores: Tensor, settings: PostprocessRecipe, least: Tensor | None = None) -> list[Found]:
    """What a head decoded, boxes (B, N, 4) in pixels and scores (B, N, C) in 0..1 -> one `Found` an image.

    Each class of a box that scores above `settings.confidence` is a candidate; suppression acts within a class, or over
    all where `settings.agnostic`, in the way that `settings.nms` names (`suppression`); `settings.most` are kept.

    `least` (C,) float64 asks for no less than so much of a class. What scores less is no candidate: it would only be
    suppressed by better ones of its class or be left out in the end, so within a class the rest comes out the same.
    """
    return [_image(*image, settings, least) for image in zip(boxes, scores, strict=True)]


def _image(boxes: Tensor, scores: Tensor, settings: PostprocessRecipe, least: Tensor | None) -> Found:
    """(N, 4), (N, C) -> Found"""
    wanted = scores > settings.confidence
    if least is not None:
        wanted &= scores >= least
    row, label = wanted.nonzero().unbind(dim=1)
    score, best = scores[row, label].sort(descending=True, stable=True)
    best = best[:CANDIDATES]
    boxes, score, label = boxes[row[best]], score[:CANDIDATES], label[best]
    group = torch.zeros_like(label) if settings.agnostic else label
    if settings.nms == "hard":
        kept = _hard(boxes, score, group, settings)
        return Found(boxes[kept], score[kept], label[kept])
    kept, final = suppress(boxes, score, group, settings)
    if least is not None:  # suppression lowers scores
        enough = final >= least[label[kept]]
        kept, final = kept[enough], final[enough]
    return Found(boxes[kept], final, label[kept])


def _hard(boxes: Tensor, scores: Tensor, labels: Tensor, settings: PostprocessRecipe) -> Tensor:
    """The `settings.most` best that non-maximum suppression leaves within a label.

    (n, 4), (n,) falling, (n,) -> (k,) indices

    Nothing is suppressed by what scores less, so the best few hundred tell the same as all, as long as enough of them
    are left; the time of suppression grows with their square.
    """
    if not len(boxes):
        return labels
    boxes = boxes - boxes.min()  # batched_nms moves classes apart by the largest coordinate: none may be negative
    count = 4 * settings.most
    while True:
        kept = batched_nms(boxes[:count], scores[:count], labels[:count], settings.iou)[: settings.most]
        if len(kept) == settings.most or count >= len(boxes):
            return kept
        count *= 4


def to_detections(found: Found, size: tuple[int, int], scale: float, shift: tuple[float, float]) -> Detections:
    """Take boxes back to the annotated image of `size` (H, W), undoing x' = x * scale + shift, and cut them there.

    Boxes that lie outside the image are left out.
    """
    boxes, scores, labels = (x.detach().cpu().numpy() for x in found)
    offset = np.array([*shift, *shift], dtype=np.float64)
    boxes = clip((boxes.astype(np.float64) - offset) / scale, *size)
    inside = area(boxes) > 0
    return Detections(boxes[inside], scores.astype(np.float64)[inside], labels.astype(np.int64)[inside])
