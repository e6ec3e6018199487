"""A layout onto disk, so that reading gives the same: boxes to 1e-9 pixels (VOC, CSV: to the bit), the rest as it is.

           standard                                        and what the standard has no room for
    voc    JPEGImages/ Annotations/ ImageSets/Main/*.txt   classes.txt; <crowd> <area> of an object, <group> of an image
    coco   annotations/instances_{train,val,test}.json     "difficult" of an annotation, "group" of an image,
           train/ val/ test/                               "annotated" of a file: no annotation means no object
    yolo   images/{train,val,test}/ labels/... data.yaml   attributes.csv (difficult, crowd, area; group of an image)
    csv    annotations.csv images/                         classes.txt; columns difficult, crowd, area, group, split

A data set that is not split has no ImageSets, instances.json and images/, images/ and labels/ and classes.txt, or no
column `split`. Image files are put as they are, under their id and own suffix.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ablab.tasks.detection.formats.layout import Layout
from ablab.tasks.detection.formats.writing.coco import write_coco
from ablab.tasks.detection.formats.writing.images import Put, put_by
from ablab.tasks.detection.formats.writing.table import write_table
from ablab.tasks.detection.formats.writing.voc import write_voc
from ablab.tasks.detection.formats.writing.yolo import write_yolo

Writer = Callable[[Layout, Path, Put], None]
WRITERS: dict[str, Writer] = {"voc": write_voc, "coco": write_coco, "yolo": write_yolo, "csv": write_table}

__all__ = ["WRITERS", "Put", "put_by", "write_coco", "write_table", "write_voc", "write_yolo"]
