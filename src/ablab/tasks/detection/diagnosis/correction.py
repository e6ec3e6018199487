"""How much of the error goes away if suspect labels were as the model says: the evidence matched again, and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablab.contracts import Items
from ablab.tasks.detection.boxes import Detections, Truth, area
from ablab.tasks.detection.diagnosis.suspicion import Suspect
from ablab.tasks.detection.metrics.evidence import collect
from ablab.tasks.detection.metrics.meter import DetectionMeter

TOPS = (10, 30, 100, 300)  # of the list, besides all of it
SPOTLESS = 1 - 1e-9  # AP50 from which there is no error but rounding


@dataclass(frozen=True)
class Explained:
    """AP50 with the labels of the first `top` suspects changed, and the share of the error that this explains.

    `share` is (AP50 now - AP50 before) / (1 - AP50 before). It is an upper bound: each disagreement was settled for the
    model, which raises AP50 also where the label was right. NaN where there was no error, or nothing to score.
    """

    top: int
    ap50: float
    share: float


def explained(
    items: Items, ranked: Sequence[Suspect], tops: Sequence[int] = TOPS
) -> tuple[float, tuple[Explained, ...]]:
    """AP50 with the labels as they are, and with the tops of a ranked list corrected: for each of `tops` that is
    shorter than the list, and for all of it."""
    before = _ap50(items, ())
    lengths = [*(top for top in sorted(tops) if top < len(ranked)), *([len(ranked)] if ranked else [])]
    rows = []
    for top in lengths:
        after = _ap50(items, ranked[:top])
        rows.append(Explained(top, after, (after - before) / (1 - before) if before < SPOTLESS else float("nan")))
    return before, tuple(rows)


def corrected(items: Items, ranked: Sequence[Suspect]) -> list[Truth]:
    """The truths of the evidence, image by image, with every suspect's label as the model has it."""
    names = items["classes"].tolist()
    label, box, size = (items[f"truth_{name}"].copy() for name in ("label", "box", "area"))
    keep = np.ones(len(label), bool)
    added: dict[str, list[Suspect]] = {}
    for suspect in ranked:
        if suspect.kind == "missing":
            added.setdefault(suspect.image, []).append(suspect)
        elif suspect.kind == "spurious":
            keep[suspect.truth] = False
        elif suspect.kind == "class":
            label[suspect.truth] = names.index(str(suspect.seen))
        else:
            moved = np.array([suspect.seen_box])
            box[suspect.truth], size[suspect.truth] = moved[0], area(moved)[0]
    truths = []
    for row, image in enumerate(items["images"].tolist()):
        mine = keep & (items["truth_image"] == row)
        ignore, crowd = items["truth_ignore"][mine], items["truth_crowd"][mine]
        truth = Truth(image, box[mine], label[mine], size[mine], ignore, crowd, group=str(items["groups"][row]))
        truths.append(_with(truth, added.get(image, ()), names))
    return truths


def _with(truth: Truth, added: Sequence[Suspect], names: list[str]) -> Truth:
    boxes = np.array([suspect.seen_box for suspect in added], np.float64).reshape(-1, 4)
    no = np.zeros(len(added), bool)
    return replace(
        truth,
        boxes=np.concatenate([truth.boxes, boxes]),
        labels=np.concatenate([truth.labels, np.array([names.index(str(s.seen)) for s in added], np.int64)]),
        area=np.concatenate([truth.area, area(boxes)]),
        ignore=np.concatenate([truth.ignore, no]),
        crowd=np.concatenate([truth.crowd, no]),
    )


def _ap50(items: Items, ranked: Sequence[Suspect]) -> float:
    """AP50 against corrected labels. Also without suspects everything is matched again, from the evidence's float32
    boxes, so that a difference is the correction's alone."""
    predictions = []
    order = np.argsort(items["detection_image"], kind="stable")
    starts = np.searchsorted(items["detection_image"][order], np.arange(len(items["images"]) + 1))
    for image in range(len(items["images"])):
        rows = order[starts[image] : starts[image + 1]]
        columns = (items[f"detection_{name}"][rows] for name in ("box", "score", "label"))
        predictions.append(Detections(*columns))
    classes = items["classes"].tolist()
    most = int(items["detection_rank"].max(initial=0)) + 1
    again = collect(predictions, corrected(items, ranked), classes, most)
    return float(DetectionMeter(classes, most).score(again, {}, only=["AP50"])["AP50"][0])
