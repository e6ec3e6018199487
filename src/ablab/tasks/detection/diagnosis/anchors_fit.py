"""Which objects the anchors of each level reach, and which none does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablab.errors import ConfigError
from ablab.tasks.detection import anchors as fitting
from ablab.tasks.detection.diagnosis.labels import Labels

RATIO = 4.0  # as in the assigner `ratio`: neither side may be so many times the anchor's


@dataclass(frozen=True)
class LevelFit:
    """One level: `reached` is the share of objects that one of its anchors reaches, `alone` the share that no other
    level does; `nearest` is the share whose best anchor (by IoU) is here, `overlap` their mean IoU with it (NaN where
    there is none)."""

    stride: int
    anchors: tuple[tuple[float, float], ...]
    reached: float
    alone: float
    nearest: float
    overlap: float


@dataclass(frozen=True)
class Unreached:
    """An object that no anchor reaches: it never teaches an anchor head anything.

    `why` is "small" or "large" where its area is beyond that of all anchors, else "shape". Sides are pixels of the
    network's input.
    """

    image: str
    label: str
    width: float
    height: float
    why: str


@dataclass(frozen=True)
class AnchorFit:
    """How well anchors fit the objects: `recall` is the share that any anchor reaches, the most that an anchor head can
    learn; `mean_best_iou` as in `anchors.mean_best_iou`. NaN where there is no object."""

    objects: int
    mean_best_iou: float
    recall: float
    levels: tuple[LevelFit, ...]
    unreached: tuple[Unreached, ...]


def anchors_fit(
    labels: Labels, classes: tuple[str, ...], anchors: np.ndarray, strides: Sequence[int], ratio: float = RATIO
) -> AnchorFit:
    """The fit of anchors (L, A, 2), pixels of the input that the labels were made for, one level for each stride.

    An anchor reaches an object where neither side of one is `ratio` times the other's (YOLOv5's rule, `assigners`).
    Raises ConfigError where anchors and strides do not fit each other, or a box has no area.
    """
    anchors, sides = np.asarray(anchors, np.float64), labels.sides
    if anchors.ndim != 3 or anchors.shape[2] != 2 or len(anchors) != len(strides) or not (anchors > 0).all():
        raise ConfigError(
            f"expected positive anchors of shape ({len(strides)} strides, A, 2), got {anchors.shape}; take those of "
            "the run's facts"
        )
    if not (sides > 0).all():
        raise ConfigError(f"{int((sides <= 0).any(axis=1).sum())} boxes have no area; run `ablab data check`")
    times = sides[:, None, None] / anchors  # (N, L, A, 2)
    fits = ((times < ratio) & (times > 1 / ratio)).all(axis=3).any(axis=2)  # (N, L)
    overlap = fitting.iou(sides, anchors).reshape(-1, *anchors.shape[:2]).max(axis=2)  # (N, L)
    level = overlap.argmax(axis=1)
    some = len(sides) > 0
    return AnchorFit(
        len(sides),
        float(overlap.max(axis=1).mean()) if some else float("nan"),
        float(fits.any(axis=1).mean()) if some else float("nan"),
        tuple(
            LevelFit(
                int(stride),
                tuple((float(w), float(h)) for w, h in anchors[row]),
                float(fits[:, row].mean()) if some else float("nan"),
                float((fits[:, row] & (fits.sum(axis=1) == 1)).mean()) if some else float("nan"),
                float((level == row).mean()) if some else float("nan"),
                float(overlap[level == row, row].mean()) if (level == row).any() else float("nan"),
            )
            for row, stride in enumerate(strides)
        ),
        _unreached(labels, classes, anchors, np.flatnonzero(~fits.any(axis=1))),
    )


def _unreached(
    labels: Labels, classes: tuple[str, ...], anchors: np.ndarray, rows: np.ndarray
) -> tuple[Unreached, ...]:
    """Smallest objects first."""
    areas, area = anchors.prod(axis=2), labels.sides.prod(axis=1)
    return tuple(
        Unreached(
            labels.ids[labels.image[row]],
            classes[labels.label[row]],
            float(labels.sides[row, 0]),
            float(labels.sides[row, 1]),
            "small" if area[row] < areas.min() else "large" if area[row] > areas.max() else "shape",
        )
        for row in rows[np.argsort(area[rows], kind="stable")]
    )
