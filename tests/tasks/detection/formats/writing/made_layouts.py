"""Small data sets with everything that an annotation can hold, as hypothesis draws them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from ablab.tasks.detection.boxes import Annotation, area
from ablab.tasks.detection.formats.layout import Layout

NAMES = st.sampled_from(
    ["img", "Bild ä", "写真.v2", "a b", "0001", "x.jpg", "sub/x", "sub/y", "é,ü", 'q"uote', "&<tag>", "1e5"]
)
CLASSES = st.lists(
    st.sampled_from(["zebra", "car", "Straßenbahn", "猫", "0", "null", "a,b", "x: y", "it's", "true"]),
    min_size=1,
    unique=True,
)
GROUPS = st.sampled_from(["", "", "slide 7", "Gruppe ö", "1"])


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """A layout whose images are not on disk yet; `place` puts them there."""
    classes = tuple(draw(CLASSES))
    ids = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    if draw(st.booleans()):
        splits: dict[str, list[Annotation]] = {"all": []}
    else:
        splits = {"train": [], "validation": [], "test": []}
    for name in ids:
        splits[draw(st.sampled_from(list(splits)))].append(draw(annotations(name, len(classes))))
    return Layout("voc", Path("made"), classes, {split: tuple(found) for split, found in splits.items()})


@st.composite
def annotations(draw: st.DrawFn, name: str, classes: int) -> Annotation:
    width, height = draw(st.integers(8, 40)), draw(st.integers(8, 40))
    count = draw(st.integers(0, 4))
    flags = st.lists(st.booleans(), min_size=count, max_size=count)
    boxes = np.array([draw(box(width, height)) for _ in range(count)], np.float64).reshape(-1, 4)
    areas = None
    if count and draw(st.booleans()):
        areas = np.array(draw(st.lists(st.floats(0.5, 900), min_size=count, max_size=count)))
        areas = None if np.array_equal(areas, area(boxes)) else areas
    return Annotation(
        name,
        Path(name + draw(st.sampled_from([".png", ".bmp", ".PNG"]))),
        width,
        height,
        boxes,
        np.array(draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count)), np.int64),
        np.array(draw(flags), bool),
        np.array(draw(flags), bool),
        draw(GROUPS),
        areas,
    )


def box(width: int, height: int) -> st.SearchStrategy[tuple[float, float, float, float]]:
    """Whole and broken corners. Not within the first pixel, where readers take numbers for shares of the image."""

    def side(length: int) -> st.SearchStrategy[tuple[float, float]]:
        number = st.one_of(st.integers(0, length).map(float), st.floats(0, length))
        return st.tuples(number, number).map(sorted).filter(lambda p: p[1] - p[0] > 1e-3 and p[1] > 1.5).map(tuple)

    return st.tuples(side(width), side(height)).map(lambda p: (p[0][0], p[1][0], p[0][1], p[1][1]))


def place(layout: Layout, folder: Path) -> Layout:
    """The same layout with an image file, each of other bytes, at every path."""
    splits = {}
    for split, images in layout.splits.items():
        placed = []
        for number, image in enumerate(images):
            path = folder / split / str(number) / image.path.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(image.width, image.height, f"{split}{number}", path.suffix.lower()))
            placed.append(Annotation(**{**image.__dict__, "path": path}))
        splits[split] = tuple(placed)
    return Layout(layout.kind, folder, layout.classes, splits)


def picture(width: int, height: int, seed: str, suffix: str) -> bytes:
    pixels = np.random.default_rng(list(seed.encode())).integers(0, 256, (height, width, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, {".png": "PNG", ".bmp": "BMP"}[suffix])
    return stream.getvalue()


def meaning(layout: Layout, digits: int) -> dict[str, object]:
    """Everything that a layout says, as plain values; boxes rounded. Not the package's own comparison."""
    return {
        "classes": list(layout.classes),
        "splits": {
            split: {
                image.id: {
                    "file": image.path.read_bytes(),
                    "suffix": image.path.suffix,
                    "size": (image.width, image.height),
                    "boxes": np.round(image.boxes, digits).tolist(),
                    "labels": image.labels.tolist(),
                    "difficult": image.difficult.tolist(),
                    "crowd": image.crowd.tolist(),
                    "area": None if image.area is None else np.round(image.area, 9).tolist(),
                    "group": image.group,
                }
                for image in images
            }
            for split, images in layout.splits.items()
        },
    }
