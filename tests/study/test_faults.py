"""Ten kills at random moments; the study ends as one that nobody disturbed. `benchmarks/faults.py` does a hundred."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import faults


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, float]]:
    """An undisturbed study of two seeds, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("faults") / "calm"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(faults.ASKED, "seeds", 2)
        faults.warm()
        start = time.monotonic()
        faults.undisturbed(folder)
        seconds = time.monotonic() - start
        yield folder, seconds


def test_ten_kills_change_nothing(calm: tuple[Path, float], tmp_path: Path) -> None:
    folder, seconds = calm
    tallies = list(faults.torment(tmp_path, folder, np.random.default_rng(8), 10, 10, seconds / 8, 30, planned=True))
    assert sum(tally.kills.total() for tally in tallies) == 10
    assert [tally.differences for tally in tallies] == [[]] * len(tallies)
    assert sum(tally.rewritten for tally in tallies) == 0


def test_what_it_compares_can_differ(calm: tuple[Path, float], tmp_path: Path) -> None:
    """A byte of a weight, a score and a file too many are found."""
    other = tmp_path / "other"
    shutil.copytree(calm[0], other)
    assert faults.differences(other, calm[0]) == []
    weights = next(other.glob("runs/*/*/weights.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    verdicts = other / "verdicts.json"
    verdicts.write_text(verdicts.read_text().replace('"n": 2', '"n": 3'))
    (weights.parent / "claim-0.json").touch()
    found = faults.differences(other, calm[0])
    assert [sum(word in line for line in found) for word in ("weights", "verdicts.json", "claim-0.json")] == [1, 1, 1]
    assert len(found) == 3
