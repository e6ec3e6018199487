"""The two loops that numpy cannot say well, compiled by numba when first called. Plain Python without it.

Evidence is bits: bit `area * T + threshold` of a detection's `matched` and `ignored` (T = 10 IoU thresholds, 4 areas).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

EPSILON = 2.0**-52  # pycocotools' np.spacing(1), against 0 / 0


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as machine code, kept on disk (NUMBA_CACHE_DIR, beside the source, or the user's cache folder)."""
    import numba

    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}  # 0 / 0 is NaN, as in numpy
    try:
        return numba.njit(function, cache=True, **options)
    except RuntimeError:  # no folder can be written: compile in every process
        return numba.njit(function, **options)


def match(
    starts: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    boxes: np.ndarray,
    truths: np.ndarray,
    truth_area: np.ndarray,
    ignore: np.ndarray,
    crowd: np.ndarray,
    thresholds: np.ndarray,
    areas: np.ndarray,
    matched: np.ndarray,
    ignored: np.ndarray,
    partner: np.ndarray,
) -> None:
    """Match detections to truths, cell by cell (a cell is one class in one image), by COCO's rules (pycocotools).

    Cell c holds the detections `starts[c]:starts[c + 1]`, best score first, and the truths `first[c]:last[c]`. Boxes
    (D, 4) and (G, 4) are x y w h. Fills `matched` and `ignored` (D,) int64 bits and `partner` (D,): the truth matched
    at the first threshold and area, or -1.

    Better detections choose first. Each takes the free truth of highest IoU at or above the threshold, the later one of
    equals, and one that counts before one that is ignored; a crowd stays free, and its IoU is intersection over the
    detection's area. Truths outside the area range are ignored, and so are unmatched detections outside it.
    """
    steps = len(thresholds)
    for c in range(len(first)):
        start, n, g0, m = starts[c], starts[c + 1] - starts[c], first[c], last[c] - first[c]
        overlap = np.zeros((n, m))
        highest = np.zeros(n)
        for i in range(n):
            x, y, w, h = boxes[start + i]
            for j in range(m):
                u, v, p, q = truths[g0 + j]
                wide, tall = min(w + x, p + u) - max(x, u), min(h + y, q + v) - max(y, v)
                if wide > 0 and tall > 0:
                    both = wide * tall
                    overlap[i, j] = both / (w * h if crowd[g0 + j] else w * h + p * q - both)
                    highest[i] = max(highest[i], overlap[i, j])
        order = np.empty(m, np.int64)
        taken = np.empty(m, np.bool_)
        for a in range(len(areas)):
            low, high = areas[a]
            counting = 0
            for ignoring in range(2):  # truths that count first, each kind in its own order
                place = counting
                for j in range(m):
                    out = ignore[g0 + j] or truth_area[g0 + j] < low or truth_area[g0 + j] > high
                    if out == (ignoring == 1):
                        order[place] = j
                        place += 1
                if ignoring == 0:
                    counting = place
            for t in range(steps):
                bit = 1 << (a * steps + t)
                for j in range(m):
                    taken[j] = False
                for i in range(n):
                    best = min(thresholds[t], 1 - 1e-10)
                    hit = -1
                    if highest[i] >= best:
                        for o in range(m):
                            j = order[o]
                            if taken[j] and not crowd[g0 + j]:
                                continue
                            if o >= counting and 0 <= hit < counting:
                                break
                            if overlap[i, j] >= best:
                                best, hit = overlap[i, j], o
                    size = boxes[start + i, 2] * boxes[start + i, 3]
                    if hit >= 0:
                        taken[order[hit]] = True
                        matched[start + i] |= bit
                        if bit == 1:
                            partner[start + i] = g0 + order[hit]
                    if hit >= counting or (hit < 0 and (size < low or size > high)):
                        ignored[start + i] |= bit


def sweep(
    starts: np.ndarray,
    images: np.ndarray,
    ranks: np.ndarray,
    matched: np.ndarray,
    ignored: np.ndarray,
    truth_groups: np.ndarray,
    truth_images: np.ndarray,
    weights: np.ndarray,
    steps: np.ndarray,
    caps: np.ndarray,
    recalls: np.ndarray,
    precision: np.ndarray,
    recall: np.ndarray,
) -> None:
    """Precision and recall of every group (a class at an area range), the images weighed by `weights` (images,).

    Group g holds the rows `starts[g]:starts[g + 1]`, best score first; bit t of `matched` and `ignored` is threshold t,
    of which `steps` (T,) are asked for. Fills `precision` (groups, T, recalls), the highest at that recall or beyond,
    and `recall` (groups, T, caps), that of the detections ranked below each cap in their image; leaves them alone where
    no truth has weight.

    Precision can only peak where a truth is found, so the rows that are wrong at every threshold are just counted.
    """
    asked = 0
    for step in steps:
        asked |= 1 << step
    total = np.zeros(len(starts) - 1)
    for j in range(len(truth_groups)):
        total[truth_groups[j]] += weights[truth_images[j]]
    most = 0
    for g in range(len(total)):
        most = max(most, starts[g + 1] - starts[g])
    row = np.empty(most, np.int64)
    weight, before, reached, exact = np.empty(most), np.empty(most), np.empty(most), np.empty(most)
    found = np.empty(len(caps))
    for g in range(len(total)):
        if total[g] <= 0:
            continue
        events, plain = 0, 0.0
        for r in range(starts[g], starts[g + 1]):
            w = weights[images[r]]
            if (matched[r] | ignored[r]) & asked:
                row[events], weight[events], before[events] = r, w, plain
                events += 1
            else:
                plain += w
        for s in range(len(steps)):
            t = steps[s]
            right, wrong, hits = 0.0, 0.0, 0
            for k in range(len(caps)):
                found[k] = 0
            for e in range(events):
                r = row[e]
                if ignored[r] >> t & 1:
                    continue
                if not matched[r] >> t & 1:
                    wrong += weight[e]
                    continue
                right += weight[e]
                for k in range(len(caps)):
                    if ranks[r] < caps[k]:
                        found[k] += weight[e]
                reached[hits] = right / total[g]
                exact[hits] = right / (wrong + before[e] + right + EPSILON)
                hits += 1
            best = 0.0
            for k in range(len(recalls) - 1, -1, -1):
                while hits > 0 and reached[hits - 1] >= recalls[k]:
                    hits -= 1
                    best = max(best, exact[hits])
                precision[g, s, k] = best
            for k in range(len(caps)):
                recall[g, s, k] = found[k] / total[g]
