"""The whole reading on BCCD: counts that `grep` and `awk` gave, not this code."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from ablab.tasks.detection.anchors import DEFAULT
from ablab.tasks.detection.diagnosis.data import DataReading, read_data
from ablab.tasks.detection.diagnosis.leaks import leaks
from ablab.tasks.detection.formats.dataset import Dataset, open_dataset
from ablab.tasks.detection.recipe import DetectionData

SIZE = (320, 320)  # 640 x 480 at half its size


@pytest.fixture(scope="module")
def cells(bccd: Path) -> Dataset:
    return open_dataset(DetectionData(path=str(bccd)))


@pytest.fixture(scope="module")
def seen(cells: Dataset) -> DataReading:
    return read_data(cells, SIZE, DEFAULT)


def test_classes_as_grep_counts_names(seen: DataReading) -> None:
    """`grep -h "<name>" | sort | uniq -c` over each list; one box of train and one of val have no area: left out."""
    counts = {split: dict(zip(r.balance.classes, r.balance.counts, strict=True)) for split, r in seen.splits.items()}
    assert counts["test"] == {"Platelets": 69, "RBC": 805, "WBC": 71}
    assert sum(counts["train"].values()) == 209 + 2382 + 214 - 1
    assert sum(counts["validation"].values()) == 83 + 968 + 87 - 1
    assert seen.splits["test"].balance.imbalance == pytest.approx(805 / 69)
    share = np.array([69, 805, 71]) / 945
    assert seen.splits["test"].balance.effective == pytest.approx(np.exp(-(share * np.log(share)).sum()))


def test_objects_an_image_as_awk_counts_them(seen: DataReading) -> None:
    crowding = seen.splits["test"].crowding
    assert (crowding.images, crowding.least, crowding.median, crowding.most) == (72, 1, 13, 24)
    assert crowding.mean == pytest.approx(13.125)
    assert [seen.splits[split].crowding.images for split in ("train", "validation")] == [205, 87]


def test_sizes_and_places_from_the_files_themselves(bccd: Path, seen: DataReading) -> None:
    """Read with the standard library; half the size, so 8 pixels are 16 of the image."""
    sides, centres = [], []
    for name in (bccd / "ImageSets" / "Main" / "test.txt").read_text().split():
        for box in ElementTree.parse(bccd / "Annotations" / f"{name}.xml").iter("bndbox"):
            x1, y1, x2, y2 = (float(box.findtext(k, "")) for k in ("xmin", "ymin", "xmax", "ymax"))
            sides.append(((x2 - x1 + 1) * (y2 - y1 + 1)) ** 0.5)
            centres.append(((x1 - 1 + x2) / 2 / 640, (y1 - 1 + y2) / 2 / 480))
    read = seen.splits["test"]
    for limit, share in read.reach.below:
        assert share == pytest.approx(np.mean(np.array(sides) / 2 < limit), abs=0.02)  # a border may be cut
    inside = [(0.25 <= x < 0.75) and (0.25 <= y < 0.75) for x, y in centres]
    assert read.places.central == pytest.approx(np.mean(inside), abs=0.02)
    assert sum(map(sum, read.places.counts)) == read.places.boxes == 945


def test_anchors_of_another_data_set_still_reach_cells(seen: DataReading) -> None:
    assert seen.anchors is not None
    assert seen.anchors.recall > 0.98
    assert len(seen.anchors.unreached) == round((1 - seen.anchors.recall) * seen.anchors.objects)


def test_the_one_leak_of_bccd(cells: Dataset) -> None:
    """BloodImage_00037 and _00038 show the same field of view, moved a little; looked at by eye."""
    found = leaks(cells, workers=1)
    assert [split.leaked for split in found.splits.values()] == [(), ("BloodImage_00037",), ()]
    assert found.splits["validation"].share == pytest.approx(1 / 87)
    assert "looks like BloodImage_00038 (of train)" in found.found[0].detail
