"""coco-results.json: COCO's list of detections; and coco-images.json, which says what its ids mean."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ablab.predict.result import Failure, Frame, Result
from ablab.predict.writing.job import Growing, Job


class Coco:
    """[{"image_id", "category_id", "bbox": [x, y, width, height], "score"}], and {"images", "categories"} beside it.

    Ids are those of `job.ids`, so that the results can be held against a truth; without them, images count from 1 as
    they come, and categories in the order of the classes.
    """

    def __init__(self, job: Job) -> None:
        names = enumerate(job.classes, start=1)
        self._ids = job.ids
        self._categories = {name: job.ids.category(name) if job.ids else number for number, name in names}
        self._count, self._any = 0, False
        self._images = Growing(job.folder / "coco-images.json")
        self._results = Growing(job.folder / "coco-results.json")
        categories = [{"id": number, "name": name} for name, number in self._categories.items()]
        self._images.file.write(f'{{"categories": {json.dumps(categories, ensure_ascii=False)}, "images": [')
        self._results.file.write("[")

    def add(self, result: Result) -> None:
        """Append the image's detections."""
        self._count += 1
        frame = result.frame
        height, width = frame.pixels.shape[:2]
        number = self._ids.image(frame.source) if self._ids else self._count
        image = {"id": number, "file_name": _file_name(frame), "width": width, "height": height}
        self._images.file.write(",\n" if self._count > 1 else "\n")
        self._images.file.write(json.dumps(image, ensure_ascii=False))
        for each in result:
            x1, y1, x2, y2 = each.box.tolist()
            box = [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)]
            entry = {"image_id": number, "category_id": self._categories[each.name], "bbox": box}
            self._results.file.write(",\n" if self._any else "\n")
            self._results.file.write(json.dumps({**entry, "score": round(each.score, 9)}))
            self._any = True

    def close(self, failed: Sequence[Failure]) -> None:
        """Finish both files."""
        self._images.file.write("\n]}\n")
        self._results.file.write("\n]\n")
        self._images.close()
        self._results.close()


def _file_name(frame: Frame) -> str:
    return frame.source if frame.index is None else f"{frame.source}#{frame.index}"
