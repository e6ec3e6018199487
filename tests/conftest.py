"""What all tests share: a thread each, no deadline on property tests, the same examples in CI, a cache of their own."""

from __future__ import annotations

import os

# Before torch is imported: tests run side by side, and their threads would fight over the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ablab", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("ablab")

BCCD = Path(__file__).parents[2] / "shared" / "data" / "bccd"


@pytest.fixture(scope="session")
def bccd() -> Path:
    """364 real blood-cell images beside the repository; tests that need them are skipped where they are not."""
    if not BCCD.is_dir():
        pytest.skip(f"the BCCD images are not at {BCCD}: they stand beside the repository and are never copied into it")
    return BCCD


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Composed data sets go to a folder of the test run, not to the user's cache."""
    before = os.environ.get("ABLAB_CACHE")
    os.environ["ABLAB_CACHE"] = str(tmp_path_factory.getbasetemp().parent / "ablab-cache")
    yield
    if before is None:
        del os.environ["ABLAB_CACHE"]
    else:
        os.environ["ABLAB_CACHE"] = before
