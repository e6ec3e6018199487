"""Records on disk: whole or not at all, and read as they were written."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ablab import records
from ablab.errors import StoreError
from ablab.records import EditReport, RunKey, RunRecord, SiteReport

KEY = RunKey("s", "a/a", 3, "0123456789abcdef")
RECORD = RunRecord(
    KEY,
    "done",
    scores={"validation": {"AP": 0.5}},
    settings={"threshold": 0.3},
    edits=EditReport(
        (SiteReport("x.act", "replace", "SiLU", "FReLU", (1, 8, 4, 4), (1, 8, 4, 4), 88),), 88, 10, ("f",)
    ),
    notes=("one",),
)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    records.write_record(tmp_path, RECORD)
    assert records.read_records(tmp_path) == [RECORD]
    assert (tmp_path / "runs" / "a-a" / "3-0123456789abcdef" / "record.json").exists()


def test_nan_becomes_null(tmp_path: Path) -> None:
    records.write_json(tmp_path / "x.json", {"a": math.nan, "b": np.float32(2), "c": np.arange(2), "d": [math.inf]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": None, "b": 2.0, "c": [0, 1], "d": [None]}


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    records.write_json(path, {"old": 1})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records.os, "fsync", full)
    with pytest.raises(StoreError, match=r"cannot write .*x.json: No space left on device"):
        records.write_json(path, {"new": 2})
    assert json.loads(path.read_text()) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("text", ["{", '{"key": {}}', '{"key": {"study": 1}, "status": "done"}', "[]"])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(StoreError, match=r"record.json"):
        records.read_record(path)


def test_items_come_back_without_pickles(tmp_path: Path) -> None:
    items = {"images": np.array(["a", "b"]), "score": np.linspace(0, 1, 5)}
    records.write_items(tmp_path / "i.npz", items)
    back = records.read_items(tmp_path / "i.npz")
    assert all(np.array_equal(back[name], items[name]) for name in items)
    np.savez(tmp_path / "evil.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(StoreError, match="damaged"):
        records.read_items(tmp_path / "evil.npz")
