"""How much a remedy could win: what the errors that it aims at cost by the oracle, in AP50."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ablab.contracts import Items
from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.diagnosis.correction import explained
from ablab.tasks.detection.diagnosis.errors import KINDS, find_errors
from ablab.tasks.detection.diagnosis.fixes import Oracle
from ablab.tasks.detection.diagnosis.labels import scales
from ablab.tasks.detection.diagnosis.suspicion import suspects


class Bounds:
    """Bounds from a split's evidence. `annotations` are the split's by image id, for what depends on images' sizes."""

    def __init__(self, items: Items, annotations: Mapping[str, Annotation]) -> None:
        self.items, self.annotations = items, annotations
        self.errors = find_errors(items)
        self.oracle = Oracle(items, self.errors)

    @property
    def left(self) -> float:
        """What is missing to an AP50 of 1."""
        return 1 - float(self.oracle.ap50[0])

    def kind(self, name: str) -> float:
        """Every error of a kind put right."""
        return float(self.oracle.cost(self.errors.kind == KINDS.index(name))[0])

    def classes(self, names: set[str]) -> float:
        """Every error on objects of some classes put right."""
        return self._objects(np.isin(self.items["classes"], list(names))[self.items["truth_label"]])

    def below(self, pixels: float, image_size: tuple[int, int]) -> float | None:
        """Every error on objects whose sqrt(width x height) at the input (H, W) is less than `pixels`; None where the
        data set does not have the images."""
        names = self.items["images"].tolist()
        if not all(name in self.annotations for name in names):
            return None
        shapes = np.array([(self.annotations[n].height, self.annotations[n].width) for n in names], float)
        box = self.items["truth_box"]
        side = np.sqrt((box[:, 2:] - box[:, :2]).clip(min=0).prod(axis=1))
        return self._objects(side * scales(shapes.reshape(-1, 2), image_size)[self.items["truth_image"]] < pixels)

    def suspects(self, kind: str, split: str) -> float:
        """Every suspect label of a kind settled for the model."""
        ranked = [one for one in suspects(self.items, split) if one.kind == kind]
        before, after = explained(self.items, ranked, ())
        return after[-1].ap50 - before if after else 0.0

    def _objects(self, meant: np.ndarray) -> float:
        """Every error about objects (G,) bool put right; an error about none is left."""
        about = self.errors.about_truth
        chosen = about.copy()
        chosen[about] = meant[self.errors.truth[about]]
        return float(self.oracle.cost(chosen)[0])
