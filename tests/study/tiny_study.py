"""A study that trains in seconds: three digits, a handful of scenes of 64 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ablab.study import spec
from ablab.study.spec import Study

TINY: dict[str, Any] = {
    "name": "tiny",
    "baseline": {
        "task": "detection",
        "data": {"path": "photo-digits", "classes": 3, "size": 64, "scenes": [12, 6, 6]},
        "train": {"epochs": 1, "image_size": 64, "batch": 4, "threads": 1},
    },
    "changes": [
        {"name": "cbam", "because": "attention", "edits": [{"op": "insert", "after": "backbone.out", "part": "cbam"}]}
    ],
    "controls": ["a/a"],
    "seeds": 2,
    "judge": {"metric": "AP50", "smallest_interesting": 0.05},
}


def tiny(**changes: Any) -> Study:
    """The tiny study with top-level keys replaced."""
    return spec.build(TINY | changes, "tiny.yaml", Path.cwd())
