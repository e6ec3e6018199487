"""Write COCO layout: a JSON file a split, and a folder of images beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from ablab.tasks.detection.boxes import Annotation, area
from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.writing.images import SHORT, Put, number


def write_coco(layout: Layout, root: Path, put: Put) -> None:
    """annotations/instances_{train,val,test}.json with their folders, or instances.json and images/.

    Ids of images and annotations count from 1 over all splits, those of categories in the order of the classes.
    """
    (root / "annotations").mkdir(parents=True)
    categories = [{"id": label, "name": name} for label, name in enumerate(layout.classes, 1)]
    image_ids, ids = count(1), count(1)
    for split, images in layout.splits.items():
        if not images:
            continue
        folder, ending = (SHORT[split], f"_{SHORT[split]}") if split in SHORT else ("images", "")
        document: dict[str, Any] = {"info": {"description": "converted by ablab", "annotated": True}}
        document |= {"images": [], "annotations": [], "categories": categories}
        for image, number_of_image in zip(images, image_ids, strict=False):
            entry = {"id": number_of_image, "file_name": put(image, root / folder)}
            entry |= {"width": image.width, "height": image.height} | ({"group": image.group} if image.group else {})
            document["images"].append(entry)
            document["annotations"] += _annotations(image, number_of_image, ids)
        file = root / "annotations" / f"instances{ending}.json"
        file.write_text(json.dumps(document, ensure_ascii=False), "utf-8")


def _annotations(image: Annotation, image_id: int, ids: Iterator[int]) -> Iterator[dict[str, Any]]:
    sides = image.boxes[:, 2:] - image.boxes[:, :2]
    areas = _area(image, sides) if image.area is None else image.area
    for i, ((x, y, _, _), (width, height)) in enumerate(zip(image.boxes.tolist(), sides.tolist(), strict=True)):
        entry: dict[str, Any] = {"id": next(ids), "image_id": image_id, "category_id": int(image.labels[i]) + 1}
        entry |= {"bbox": [*map(number, (x, y, width, height))], "area": number(areas[i])}
        entry |= {"iscrowd": int(image.crowd[i])} | ({"difficult": 1} if image.difficult[i] else {})
        yield entry


def _area(image: Annotation, sides: np.ndarray) -> np.ndarray:
    """What the boxes measure for who reads them: one far corner in fifty comes back a last bit off.  -> (N,)"""
    near = image.boxes[:, :2]
    return area(np.hstack([near, np.minimum(near + sides, [image.width, image.height])]))
