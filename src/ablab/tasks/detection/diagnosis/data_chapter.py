"""The chapter "data" of a diagnosis: what the labels are like, which of them are suspect, and what leaked."""

from __future__ import annotations

import io
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from PIL import Image

from ablab.contracts import Panel
from ablab.errors import AblabError
from ablab.findings import Case, Chapter
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.diagnosis.agreement import LEAST_AGREED, LEAST_ASKED, LEAST_OVERLAP, Agreement, agreement
from ablab.tasks.detection.diagnosis.anchors_fit import RATIO
from ablab.tasks.detection.diagnosis.crops import crop
from ablab.tasks.detection.diagnosis.data import DataReading, Suspicion, read_data, read_suspicion
from ablab.tasks.detection.diagnosis.data_faults import data_findings
from ablab.tasks.detection.diagnosis.leaks import Leaks, flattered, leaks
from ablab.tasks.detection.diagnosis.places import draw_places
from ablab.tasks.detection.diagnosis.sheet import sheet_png
from ablab.tasks.detection.diagnosis.suspicion import Suspect
from ablab.tasks.detection.diagnosis.worklists import (
    LEAKED,
    SPLITS,
    SUSPECTS,
    leaked_file,
    splits_file,
    suspects_file,
)
from ablab.tasks.detection.formats.dataset import Dataset
from ablab.tasks.detection.sheet import Tile, contact_sheet

SHOWN = 30  # suspects, unreached objects and copies in the numbers; the files have all
CROPPED = 12  # suspects in a picture
NOTE = "dashed orange: the label · green: what the model sees · grey: other labels"


def data_chapter(
    case: Case, dataset: Dataset, image_size: tuple[int, int], anchors: np.ndarray | None, ratio: float = RATIO
) -> Chapter:
    """Read a data set by its labels, its images (where `case.images`) and a run's evidence of validation and test.

    `anchors` (L, A, 2) are the head's, with the `ratio` by which they reach an object; None where it has none or its
    assigner does not go by them. What cannot be read becomes a note.
    """
    reader = _Reader(case, dataset)
    reader.labels(image_size, anchors, ratio)
    reader.copies()
    reader.suspicion()
    reader.crops()
    findings = data_findings(reader.data, reader.leaked, reader.agreements)
    return Chapter("data", reader.numbers, findings, tuple(reader.panels), reader.files, tuple(reader.notes))


class _Reader:
    """One reading after another; each adds its numbers, pictures, files and notes."""

    data: DataReading

    def __init__(self, case: Case, dataset: Dataset) -> None:
        self.case, self.dataset = case, dataset
        self.numbers: dict[str, Any] = {}
        self.panels: list[Panel] = []
        self.files: dict[str, bytes] = {}
        self.notes: list[str] = []
        self.leaked: Leaks | None = None
        self.suspicions: list[Suspicion] = []
        self.agreements: list[Agreement] = []

    def labels(self, image_size: tuple[int, int], anchors: np.ndarray | None, ratio: float) -> None:
        """Balance, crowding, sizes and places of every split, and the anchors' fit to train."""
        try:
            self.data = read_data(self.dataset, image_size, anchors, ratio=ratio)
        except AblabError as error:
            self.notes.append(f"The fit of the anchors could not be read: {error}")
            self.data = read_data(self.dataset, image_size)
        made = asdict(self.data)
        if self.data.anchors is not None:
            unreached = made["anchors"]["unreached"]
            made["anchors"] |= {"unreached": unreached[:SHOWN], "unreached_count": len(unreached)}
        self.numbers["data"] = made
        for split, read in self.data.splits.items():
            if read.places.boxes:
                said = (
                    f"Where the {read.places.boxes:,} boxes of {split} have their centres, all images on one another."
                )
                self.panels.append(Panel(f"places: {split}", said, draw_places(read.places)))

    def copies(self) -> None:
        """Images that two splits share; the files say which, and divide without them."""
        if not self.case.images:
            self.notes.append("Images were not opened, so copies between splits were not looked for.")
            return
        unreadable = self._unreadable()
        if unreadable:
            self.notes.append(
                f"{unreadable:,} image files are not there: copies between splits were looked for among the others."
            )
        read = self.leaked = leaks(self.dataset)
        self.numbers["leaks"] = {
            "splits": {split: _cut(asdict(of), "leaked", "repeated", "in_train") for split, of in read.splits.items()},
            "found": [asdict(defect) for defect in read.found[:SHOWN]],
            "found_count": len(read.found),
            "copies": len(read.copies),
            "flattered": self._flattered(read),
        }
        if read.found:
            self.files[LEAKED] = leaked_file(read)
        if read.copies and self.dataset.root is not None:
            self.files[SPLITS] = splits_file(self.dataset, read.copies)

    def _unreadable(self) -> int:
        return sum(not a.path.is_file() for split in self.dataset.splits.values() for a in split)

    def _flattered(self, read: Leaks) -> dict[str, Any]:
        """AP50 of each split that has leaked images, with and without them."""
        made = {}
        for split, items in self.case.evidence.items():
            if split in read.splits and read.splits[split].in_train:
                everything, honest = flattered(items, read.splits[split].in_train)
                made[split] = {"ap50": everything, "honest": honest}
        return made

    def suspicion(self) -> None:
        """Suspect labels of the splits that were not trained on, and what the surest detections say of labels."""
        absent = self.data.splits["train"].balance.absent
        judged = {split: items for split, items in self.case.evidence.items() if split != "train"}
        for split, items in judged.items():
            try:
                self.suspicions.append(read_suspicion(items, split))
            except AblabError as error:
                self.notes.append(f"The labels of {split} could not be judged: {error}")
                continue
            asked = agreement(items, split, absent)
            self.agreements.append(asked)
            if not asked.trusted:
                self.notes.append(_distrust(asked))
        if not judged:
            self.notes.append("There is no evidence of validation or test: labels were not judged.")
        self.numbers["agreement"] = [asdict(asked) | {"trusted": asked.trusted} for asked in self.agreements]
        self.numbers["suspicion"] = [
            asdict(replace(of, ranked=of.ranked[:SHOWN])) | {"ranked_count": len(of.ranked)} for of in self.suspicions
        ]
        if any(of.ranked for of in self.suspicions):
            self.files[SUSPECTS] = suspects_file(self.suspicions)

    def crops(self) -> None:
        """The most suspicious labels of each split, cut out."""
        if not self.case.images:
            return
        for of in self.suspicions:
            known = {a.id: a for a in self.dataset.splits.get(of.split, ())}
            # A label that nothing answers is a miss of the network's as often as not: such stand in the file.
            shown = [s for s in of.ranked if s.kind != "spurious" and s.image in known]
            tiles = [tile for tile in map(_tile, shown[:CROPPED], (known[s.image] for s in shown)) if tile]
            if tiles:
                picture = contact_sheet(f"suspect labels: {of.split}", NOTE, tiles, self.dataset.classes)
                total = len(of.ranked)
                said = f"The most suspicious labels of {of.split}, of {total:,} in {SUSPECTS}. {_explains(of)}"
                self.panels.append(Panel(f"suspect labels: {of.split}", said, sheet_png(picture)))
            elif shown:
                self.notes.append(f"No image of {of.split} could be read: there are no crops of its suspect labels.")


def _explains(of: Suspicion) -> str:
    """What the suspects are worth, by the whole list."""
    if not of.explained or not of.explained[-1].share >= 0:
        return ""
    last = of.explained[-1]
    return (
        f"Settled for the model, all of them would explain {last.share:.0%} of the error at most: AP50 {of.ap50:.3f} "
        f"would be {last.ap50:.3f}."
    )


def _distrust(asked: Agreement) -> str:
    if asked.asked < LEAST_ASKED:
        return (
            f"On {asked.split}, {asked.asked} sure detections are too few to judge labels by; {LEAST_ASKED} are needed."
        )
    return (
        f"The detector is too poor to judge labels of {asked.split}: of its {asked.asked:,} surest detections "
        f"{asked.shares['agreed']:.0%} agree with a label ({LEAST_AGREED:.0%} are needed), and their median IoU is "
        f"{asked.overlap:.2f} ({LEAST_OVERLAP:g} is needed)."
    )


def _tile(suspect: Suspect, annotation: Annotation) -> Tile | None:
    """The crop of a suspect; None where the image cannot be read."""
    try:
        picture = np.asarray(Image.open(io.BytesIO(crop(suspect, annotation))).convert("RGB"))
    except AblabError:
        return None
    none = np.zeros(0, bool)
    size = (picture.shape[1], picture.shape[0])
    caption = f"{suspect.kind} {suspect.suspicion:.2f} · {suspect.image}"
    return Tile(caption, size, lambda: picture, np.zeros((0, 4)), np.zeros(0, np.int64), none, none)


def _cut(made: dict[str, Any], *lists: str) -> dict[str, Any]:
    """Long lists as their first `SHOWN`, with their count beside them."""
    return made | {
        key: value for name in lists for key, value in ((name, made[name][:SHOWN]), (f"{name}_count", len(made[name])))
    }
