"""Small image files, and text files beside them, for data sets in any layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 40, 30


def picture(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """An image of noise that only its name decides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(crc32(path.name.encode()))
    Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def as_json(path: Path, content: Any) -> Path:
    return text(path, json.dumps(content))


def boxes_of(layout: Any, split: str) -> dict[str, list[tuple[str, list[float]]]]:
    """{image: [(class, box)]} of a split."""
    return {
        a.id: [(layout.classes[label], box) for label, box in zip(a.labels, a.boxes.tolist(), strict=True)]
        for a in layout.splits[split]
    }


def kinds(layout: Any) -> list[tuple[str, str]]:
    return [(defect.kind, defect.where) for defect in layout.defects]
