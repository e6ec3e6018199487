"""Small data sets in VOC layout, written by hand for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 40, 30
Box = tuple[str, float, float, float, float]


class VocFolder:
    """A folder that grows: `add` writes an image and its annotation and lists it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (root / folder).mkdir(parents=True)
        for split in ("train", "val", "test"):
            self.list(split).touch()
        self.count = 0

    def list(self, split: str) -> Path:
        return self.root / "ImageSets" / "Main" / f"{split}.txt"

    def image(self, name: str, suffix: str = ".png") -> Path:
        return self.root / "JPEGImages" / f"{name}{suffix}"

    def xml(self, name: str) -> Path:
        return self.root / "Annotations" / f"{name}.xml"

    def enter(self, split: str, name: str) -> None:
        with self.list(split).open("a") as file:
            file.write(f"{name}\n")

    def add(
        self,
        split: str,
        name: str,
        *boxes: Box,
        size: tuple[int, int] | None = (WIDTH, HEIGHT),
        difficult: tuple[int, ...] = (),
    ) -> None:
        self.count += 1
        pixels = np.random.default_rng(self.count).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(self.image(name))
        self.xml(name).write_text(annotation(boxes, size, difficult))
        self.enter(split, name)


def annotation(boxes: tuple[Box, ...], size: tuple[int, int] | None, difficult: tuple[int, ...] = ()) -> str:
    stated = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    objects = "".join(
        f"<object><name>{name}</name><difficult>{int(i in difficult)}</difficult><bndbox><xmin>{x1}</xmin>"
        f"<ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for i, (name, x1, y1, x2, y2) in enumerate(boxes)
    )
    return f"<annotation>{stated}{objects}</annotation>"


def clean(root: Path) -> VocFolder:
    """Two classes, two images in train and one in each other split, and nothing wrong."""
    folder = VocFolder(root)
    folder.add("train", "a", ("dog", 1, 2, 11, 12), ("cat", 5, 5, 20.5, 25))
    folder.add("train", "b")
    folder.add("val", "c", ("cat", 0, 0, WIDTH, HEIGHT))
    folder.add("test", "d", ("dog", 3, 4, 9, 9), difficult=(0,))
    return folder


def dirty(root: Path) -> VocFolder:
    """`clean` with every defect planted once; `PLANTED` names them."""
    folder = clean(root)
    folder.add("train", "flat", ("dog", 5, 5, 5, 5), ("dog", 1, 1, 8, 8))
    folder.add("train", "inverted", ("dog", 9, 5, 2, 8))
    folder.add("train", "outside", ("cat", WIDTH, 0, WIDTH + 5, 9))
    folder.add("train", "partly", ("cat", -3, 4, 8, HEIGHT + 2))
    folder.add("train", "broken-object", ("dog", 1, 1, "wide", 8))  # type: ignore[arg-type]
    folder.add("train", "twice", ("dog", 1, 1, 8, 8), ("dog", 1, 1, 8, 8), ("cat", 1, 1, 8, 8))
    folder.add("train", "resized", ("dog", 1, 1, 8, 8), size=(80, 60))
    folder.enter("train", "no-image")
    folder.add("train", "no-xml", ("dog", 1, 1, 8, 8))
    folder.xml("no-xml").unlink()
    folder.add("train", "bad-xml")
    folder.xml("bad-xml").write_text("<annotation><object>")
    folder.add("train", "cut", ("dog", 1, 1, 8, 8))
    folder.image("cut").write_bytes(folder.image("cut").read_bytes()[:-200])
    folder.add("train", "text", ("dog", 1, 1, 8, 8))
    folder.image("text").write_text("not an image")
    folder.add("val", "stranger", ("cow", 1, 1, 8, 8), ("cat", 2, 2, 6, 6))
    folder.add("val", "copy", ("dog", 1, 1, 8, 8))
    folder.image("copy").write_bytes(folder.image("a").read_bytes())
    folder.enter("train", "a")
    folder.enter("test", "b")
    return folder


PLANTED = {
    ("box without area", "flat"),
    ("inverted box", "inverted"),
    ("box outside", "outside"),
    ("box partly outside", "partly"),
    ("broken object", "broken-object"),
    ("duplicate box", "twice"),
    ("size differs", "resized"),
    ("missing image", "no-image"),
    ("missing annotation", "no-xml"),
    ("broken annotation", "bad-xml"),
    ("unreadable image", "cut"),
    ("unreadable image", "text"),
    ("unknown class", "stranger"),
    ("same image in two splits", "copy"),
    ("duplicate id", "a"),
    ("id in two splits", "b"),
}
