"""Samples whose boxes are painted, so that pixels can be asked where a box went."""

import numpy as np
from hypothesis import strategies as st

from ablab.tasks.detection.boxes import Sample, Truth


class Fixed:
    """A generator that always draws the same; its bytes are all 7."""

    def __init__(self, *draws):
        self.draws = draws

    def random(self, count):
        assert count == len(self.draws)
        return np.array(self.draws, float)

    def beta(self, a, b):
        assert a == b
        return self.draws[0]

    def bytes(self, count):
        return b"\x07" * count


def sample(image, boxes, labels=None, name="a"):
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    labels = np.zeros(len(boxes), np.int64) if labels is None else np.asarray(labels)
    none = np.zeros(len(boxes), bool)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return Sample(name, image, boxes, labels, Truth(name, boxes, labels, area, none, none), image.shape[:2])


def painted(height, width, box, name="a"):
    """Black, with `box` (whole pixels) in red; black and the grey of padding have no red of their own."""
    image = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = (255, 0, 0)
    return sample(image, [box], name=name)


def redness(image):
    """How much of each pixel the painted box covers.  (H, W, 3) -> (H, W) in 0..1"""
    return (image[..., 0].astype(float) - image[..., 1]).clip(0) / 255


def extent(image):
    """The box around the pixels that are red to a third or more.  (H, W, 3) -> x1 y1 x2 y2"""
    rows, columns = np.nonzero(redness(image) > 1 / 3)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def centroid(image):
    """The red's centre of mass, (x, y) measured from pixel edges; exact where interpolation keeps the mass."""
    red = redness(image)
    y, x = np.mgrid[: red.shape[0], : red.shape[1]] + 0.5
    return np.array([(x * red).sum(), (y * red).sum()]) / red.sum()


def centre(box):
    return (box[:2] + box[2:]) / 2


@st.composite
def scenes(draw, least=24, most=90, side=8):
    """A painted sample of any shape with a box of at least `side` pixels."""
    height, width = draw(st.integers(least, most)), draw(st.integers(least, most))
    x1, y1 = draw(st.integers(0, width - side)), draw(st.integers(0, height - side))
    x2, y2 = draw(st.integers(x1 + side, width)), draw(st.integers(y1 + side, height))
    return painted(height, width, (x1, y1, x2, y2))


sizes = st.tuples(st.integers(32, 96), st.integers(32, 96))
seeds = st.integers(0, 2**32 - 1)
