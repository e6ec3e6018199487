"""The chapter "errors" of a diagnosis: what goes wrong, where, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ablab.contracts import Items, Panel
from ablab.errors import AblabError, DataError
from ablab.findings import Case, Chapter
from ablab.streams import stream
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.diagnosis.calibration import Calibration, calibration
from ablab.tasks.detection.diagnosis.costs import ErrorReading, read_errors
from ablab.tasks.detection.diagnosis.error_faults import error_findings
from ablab.tasks.detection.diagnosis.errors import find_errors
from ablab.tasks.detection.diagnosis.operating import (
    operate,
    threshold_for_false_positives,
    threshold_for_precision,
)
from ablab.tasks.detection.diagnosis.resampling import Resampling, resampling
from ablab.tasks.detection.diagnosis.sheet import error_sheets
from ablab.tasks.detection.diagnosis.shift import ScoreShift, score_shift
from ablab.tasks.detection.diagnosis.slices import image_sizes
from ablab.tasks.detection.formats.dataset import Dataset
from ablab.tasks.detection.metrics.average import counted

GOALS = {
    "recall at precision": threshold_for_precision,
    "false positives per image": threshold_for_false_positives,
}


def error_chapter(case: Case, dataset: Dataset) -> Chapter:
    """Read the errors of `case.split`. What cannot be read becomes a note.

    Raises DataError where the case has no evidence of the split.
    """
    if case.split not in case.evidence:
        raise DataError(f"there is no evidence of {case.split}; there is of {', '.join(case.evidence) or 'no split'}")
    reader = _Reader(case, {a.id: a for a in dataset.splits.get(case.split, ())})
    reader.read()
    findings = error_findings(reader.errors, reader.calibrated, reader.shift) if reader.errors else ()
    return Chapter("errors", reader.numbers, findings, tuple(reader.panels), notes=tuple(reader.notes))


class _Reader:
    """One reading after another; each adds its numbers, pictures and notes."""

    def __init__(self, case: Case, annotations: Mapping[str, Annotation]) -> None:
        self.case, self.annotations = case, annotations
        self.items: Items = case.evidence[case.split]
        self.threshold = float(case.settings["threshold"])
        self.numbers: dict[str, Any] = {"split": case.split, "threshold": self.threshold}
        self.panels: list[Panel] = []
        self.notes: list[str] = []
        self.errors: ErrorReading | None = None
        self.calibrated: Calibration | None = None
        self.shift: ScoreShift | None = None

    def read(self) -> None:
        """Every reading that the evidence allows."""
        if not counted(self.items).any():
            self.notes.append(f"The evidence of {self.case.split} has no object that counts: there is nothing to miss.")
            return
        rng = stream("diagnosis", self.case.seed)
        over = resampling(self.items, self.case.replicates, rng)
        if over is None and self.case.replicates:
            self.notes.append("There are too few groups of images (scenes, videos) for intervals over new ones.")
        for name, step in (
            ("the errors", self._errors),
            ("calibration", self._calibration),
            ("the shift of scores", self._shift),
            ("the operating points", self._operating),
        ):
            try:
                step(over)
            except AblabError as error:
                self.notes.append(f"{name.capitalize()} could not be read: {error}")
        if self.case.images:
            self._sheets()

    def _errors(self, over: Resampling | None) -> None:
        sizes: np.ndarray | None = None
        try:
            sizes = image_sizes(self.items, self.annotations)
        except DataError as error:
            self.notes.append(f"Errors are not read by position: {error}")
        self.errors = read_errors(self.items, self.threshold, sizes, over)
        self.numbers["errors"] = asdict(self.errors)

    def _calibration(self, over: Resampling | None) -> None:
        self.calibrated = calibration(self.items, self.threshold, over)
        self.numbers["calibration"] = asdict(self.calibrated)

    def _shift(self, over: Resampling | None) -> None:
        if self.case.against is None:
            return
        self.shift = score_shift(self.case.against[0], self.items, over)
        self.numbers["shift"] = asdict(self.shift)

    def _operating(self, over: Resampling | None) -> None:
        """Each goal's threshold is chosen on validation, where there is evidence of it."""
        chosen_on = "validation" if "validation" in self.case.evidence else self.case.split
        points = []
        for goal, value in self.case.goals.items():
            if goal not in GOALS:
                self.notes.append(f"There is no operating point '{goal}'; there are {' and '.join(GOALS)}.")
                continue
            try:
                threshold = GOALS[goal](self.case.evidence[chosen_on], value)
            except AblabError as error:
                self.notes.append(f"{goal} {value:g}: {error}")
                continue
            point = asdict(operate(self.items, threshold, over))
            points.append({"goal": goal, "value": value, "chosen_on": chosen_on, "point": point})
        if self.case.goals:
            self.numbers["operating"] = points

    def _sheets(self) -> None:
        """A contact sheet a kind; an image that cannot be read says so in its tile."""
        known = sum(name in self.annotations for name in self.items["images"].tolist())
        if known:
            self.panels += error_sheets(self.items, find_errors(self.items, self.threshold), self.annotations)
        else:
            self.notes.append(f"No image of {self.case.split}'s evidence is in the data set: there are no pictures.")
