"""One small run, for all tests that want a trained network."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablab.engine.events import Silent
from ablab.study import single

TINY = {
    "model.width": 0.1,
    "model.depth": 0.1,
    "data.classes": 3,
    "data.size": 64,
    "data.scenes": [16, 6, 6],
    "train.epochs": 1,
    "train.image_size": 64,
    "train.batch": 4,
    "train.threads": 1,
    "train.precision": "fp32",
}


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder. Nobody may write into it."""
    record, place = single.train(None, TINY, 0, tmp_path_factory.mktemp("train"), [], Silent())
    assert record.status == "done"
    return place
