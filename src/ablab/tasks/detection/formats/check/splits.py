"""Splits without images, classes without boxes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ablab.tasks.detection.formats.census import class_counts
from ablab.tasks.detection.formats.defect import Defect
from ablab.tasks.detection.formats.layout import Layout

FEW = 10  # boxes of a class under which a score of it says little


def split_defects(layout: Layout) -> Iterator[Defect]:
    """Empty splits, and classes that are rare or absent in a split or everywhere."""
    known = " ".join(f"{d.where} {d.detail}" for d in layout.defects if d.kind == "missing list")
    for split, images in layout.splits.items():
        if not images and f"the {split} split" not in known:
            kind = "no test split" if split == "test" and layout.kind != "voc" else "empty split"
            yield Defect(kind, split, f"the {split} split has no image that can be used")
    every = class_counts(layout.splits, len(layout.classes))
    counts = {split: found for split, found in every.items() if found.any()}
    total = sum(counts.values(), np.zeros(len(layout.classes), np.int64))
    for label, name in enumerate(layout.classes):
        if not total[label]:
            yield Defect("class without boxes", name, "no split has a box of it that can be used")
            continue
        for split, found in counts.items():
            others = ", ".join(f"{other} {counts[other][label]:,}" for other in counts if other != split)
            if not found[label]:
                yield Defect("class missing from a split", name, f"{split} has no box of it; {others}")
            elif found[label] < FEW:
                detail = f"{split} has {found[label]} {'box' if found[label] == 1 else 'boxes'} of it"
                yield Defect("class with few boxes", name, detail + (f"; {others}" if others else ""))
