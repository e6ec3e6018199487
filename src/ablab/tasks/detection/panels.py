"""Pictures of what a change fixed and what it broke: truth, baseline and arm side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ablab.contracts import Items, Panel, Settings
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.draw import PALETTE, Colour, Mark, encode_png, font, mark, outline
from ablab.tasks.detection.formats.reading import read_image
from ablab.tasks.detection.metrics.average import counted

FOUND: Colour = (0, 158, 115)
MISSED: Colour = (245, 150, 0)
WRONG: Colour = (215, 40, 60)
SIDE = 400  # pixels: the longer side of one picture in a panel
BAR, GAP = 30, 8  # pixels: heading and legend, and the space between pictures


@dataclass(frozen=True)
class Outcome:
    """What one run made of one image at its threshold, in boxes of the annotated image.

    `found` (N,) bool says which of the objects that count were found; `right` and `wrong` are (boxes, labels, scores).
    """

    boxes: np.ndarray
    labels: np.ndarray
    found: np.ndarray
    right: tuple[np.ndarray, np.ndarray, np.ndarray]
    wrong: tuple[np.ndarray, np.ndarray, np.ndarray]

    @property
    def balance(self) -> int:
        """Objects found less false positives."""
        return int(self.found.sum()) - len(self.wrong[0])


def outcomes(items: Items, threshold: float) -> dict[str, Outcome]:
    """What a run found at IoU 0.5 among detections of at least `threshold`, by image id, from the meter's evidence.

    Better scores choose first, so that the matches of the evidence hold at any threshold. Ignored and crowd truths are
    left out, and so are detections on them.
    """
    kept = items["detection_score"] >= threshold
    partner = items["detection_truth"]
    found = np.zeros(len(items["truth_label"]), bool)
    found[partner[kept & (partner >= 0)]] = True
    matters = kept & (items["detection_ignored"] & 1 == 0)
    counts = counted(items)
    result = {}
    for image, name in enumerate(items["images"].tolist()):
        truths = np.flatnonzero(counts & (items["truth_image"] == image))
        mine = matters & (items["detection_image"] == image)
        result[name] = Outcome(
            items["truth_box"][truths],
            items["truth_label"][truths],
            found[truths],
            _detections(items, np.flatnonzero(mine & (partner >= 0))),
            _detections(items, np.flatnonzero(mine & (partner < 0))),
        )
    return result


def _detections(items: Items, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return items["detection_box"][rows], items["detection_label"][rows], items["detection_score"][rows]


def panels(
    annotations: Mapping[str, Annotation],
    classes: Sequence[str],
    before: tuple[Items, Settings],
    after: tuple[Items, Settings],
    arm: str = "the change",
    most: int = 4,
    against: str = "baseline",
) -> list[Panel]:
    """At most `most` images on which a change gained most, then as many on which it lost most.

    A gain is an object found that `against` missed, or a false positive of its own that is gone; each run is read at
    the threshold that it chose. `annotations` are those of the split by image id; those without evidence are passed
    over. Titles begin with `fixed:` or `broke:`.
    """
    old, new = (outcomes(items, settings["threshold"]) for items, settings in (before, after))
    gains = {name: new[name].balance - old[name].balance for name in annotations if name in old and name in new}
    ranked = sorted(gains, key=lambda name: (-gains[name], name))
    fixed = [name for name in ranked if gains[name] > 0][:most]
    broke = [name for name in reversed(ranked) if gains[name] < 0][:most]
    return [
        Panel(
            f"{kind}: {name}",
            _caption(old[name], new[name], against, arm),
            encode_png(_picture(read_image(annotations[name].path), old[name], new[name], classes, (against, arm))),
        )
        for kind, names in (("fixed", fixed), ("broke", broke))
        for name in names
    ]


def _caption(old: Outcome, new: Outcome, against: str, arm: str) -> str:
    """`Of 5 objects, baseline found 3, with 1 false positive; frelu found all, with no false positives. ...`"""
    total = len(old.found)
    if not total:
        return f"There is nothing to find; {against} gave {_wrong(old)}, {arm} {_wrong(new)}."
    return (
        f"Of {_count(total, 'object')}, {against} found {_found(old)}, with {_wrong(old)}; {arm} found {_found(new)}, "
        f"with {_wrong(new)}. Newly found: {int((new.found & ~old.found).sum())}, "
        f"newly missed: {int((old.found & ~new.found).sum())}."
    )


def _found(outcome: Outcome) -> str:
    return "all" if outcome.found.all() else str(int(outcome.found.sum()) or "none")


def _wrong(outcome: Outcome) -> str:
    return _count(len(outcome.wrong[0]), "false positive")


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _picture(
    image: np.ndarray, old: Outcome, new: Outcome, classes: Sequence[str], names: tuple[str, str]
) -> np.ndarray:
    """Three pictures in a row under their headings, and a legend.  (H, W, 3) uint8 RGB"""
    zoom = SIDE / max(image.shape[:2])
    truth = [
        Mark(box, classes[label], PALETTE[label % len(PALETTE)])
        for box, label in zip(old.boxes, old.labels, strict=True)
    ]
    tiles = [mark(image, marks, zoom) for marks in (truth, _marks(old, classes), _marks(new, classes))]
    height, width = tiles[0].shape[:2]
    canvas = Image.new("RGB", (3 * width + 2 * GAP, height + 2 * BAR), "white")
    pen = ImageDraw.Draw(canvas)
    for column, (tile, heading) in enumerate(zip(tiles, ("truth", *names), strict=True)):
        left = column * (width + GAP)
        canvas.paste(Image.fromarray(tile), (left, BAR))
        pen.text((left + width / 2, BAR / 2), heading, fill="black", font=font(17), anchor="mm")
    _legend(pen, canvas.size)
    return np.asarray(canvas)


def _marks(outcome: Outcome, classes: Sequence[str]) -> list[Mark]:
    """What was found in its box as detected, what was missed where it is, and what is nothing."""
    missed = ~outcome.found
    return [
        *(Mark(box, f"{score:.2f}", FOUND) for box, _, score in zip(*outcome.right, strict=True)),
        *(Mark(box, "", MISSED, dashed=True) for box in outcome.boxes[missed]),
        *(Mark(box, f"{classes[label]} {score:.2f}", WRONG) for box, label, score in zip(*outcome.wrong, strict=True)),
    ]


def _legend(pen: ImageDraw.ImageDraw, size: tuple[int, int]) -> None:
    looks = (("found", FOUND, False), ("missed", MISSED, True), ("false positive", WRONG, False))
    letters, left, middle = font(15), 4.0, size[1] - BAR / 2
    for text, colour, dashed in looks:
        outline(pen, np.array([left, middle - 7, left + 26, middle + 7]), colour, 3, dashed)
        pen.text((left + 33, middle), text, fill="black", font=letters, anchor="lm")
        left += 33 + letters.getlength(text) + 24
