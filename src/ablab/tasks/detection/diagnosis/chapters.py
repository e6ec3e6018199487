"""The chapters that detection adds to a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ablab.findings import Case, Chapter
from ablab.tasks.detection.diagnosis.anchors_fit import RATIO
from ablab.tasks.detection.diagnosis.data_chapter import data_chapter
from ablab.tasks.detection.diagnosis.error_chapter import error_chapter
from ablab.tasks.detection.formats.dataset import Dataset
from ablab.tasks.detection.recipe import DetectionRecipe


def read_chapters(
    case: Case, recipe: DetectionRecipe, dataset: Dataset, facts: Mapping[str, Any]
) -> tuple[Chapter, Chapter]:
    """The chapters "errors" and "data" of a run, from its recipe, its data and what its network was built by.

    The anchors' fit is read where the head has anchors and its assigner goes by the ratio of sides.
    """
    assigner = recipe.loss.assigner
    by_ratio = "anchors" in facts and (assigner is None or assigner.part == "ratio")
    ratio = float(assigner.args.get("ratio", RATIO)) if assigner is not None else RATIO
    anchors = np.array(facts["anchors"], np.float64) if by_ratio else None
    return error_chapter(case, dataset), data_chapter(case, dataset, recipe.train.image_size, anchors, ratio)
