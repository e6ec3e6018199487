"""The fastest of those that agree, by a clock that the test holds."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablab.errors import ConfigError
from ablab.export import Bundle, Model, choose, read_bundle
from ablab.export.runners import RUNTIMES
from ablab.measure.latency import Latency

choosing = sys.modules["ablab.export.choose"]


@pytest.fixture
def copied(bundle: Bundle, tmp_path: Path) -> Bundle:
    return read_bundle(shutil.copytree(bundle.folder, tmp_path / "bundle"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Milliseconds by runtime, 50 where none are given; "measured" counts the measurements."""
    ms = {"measured": 0.0}

    def in_turn(calls: dict[str, Any], rounds: int) -> dict[str, Latency]:
        ms["measured"] += 1
        for call in calls.values():
            assert call()[0].shape[0] == 2
        return {name: Latency(ms.get(name, 50.0), 0.0) for name in calls}

    monkeypatch.setattr(choosing, "in_turn", in_turn)
    return ms


def test_the_fastest_is_chosen_and_remembered(copied: Bundle, patient: Model, clock: dict[str, float]) -> None:
    clock["openvino"] = 3.0
    said: list[str] = []
    chosen = choose(copied, network=lambda: patient.network, threads=1, batch=2, say=said.append)
    assert chosen.name == "openvino"
    assert {row.runtime for row in chosen.table} == {n for n in copied.card.runtimes if RUNTIMES[n].auto}
    assert chosen.runner(np.zeros((2, 64, 96, 3), np.uint8))[0].shape[0] == 2
    clock["onnx"] = 1.0
    again = choose(copied, network=lambda: patient.network, threads=1, batch=2, say=said.append)
    assert said == [f"first use on this machine: time every runtime of {copied.folder}"]
    assert (again.name, clock["measured"]) == ("openvino", 1)
    assert choose(copied, network=lambda: patient.network, threads=2, batch=2).name == "onnx"  # measured anew
    assert read_bundle(copied.folder)  # the table is no part of what is checked


def test_one_that_differs_on_this_machine_is_left_out(
    copied: Bundle, clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Bundle.open
    clock["openvino-bf16"], clock["onnx"] = 1.0, 2.0

    def opened(self: Bundle, name: str, **options: Any) -> Any:
        runner = real(self, name, **options)
        return runner if name != "openvino-bf16" else lambda images: (runner(images)[0], 1 - runner(images)[1])

    monkeypatch.setattr(Bundle, "open", opened)
    chosen = choose(copied, threads=1, batch=2)
    rows = {row.runtime: row for row in chosen.table}
    assert chosen.name == "onnx"
    assert rows["openvino-bf16"].ms is None
    assert "differs here" in rows["openvino-bf16"].note
    assert "restores it" in rows["torch"].note


def test_one_that_did_not_pass_is_not_tried(copied: Bundle, clock: dict[str, float]) -> None:
    document = json.loads((copied.folder / "bundle.json").read_text())
    document["runtimes"]["onnx"]["passed"] = False
    (copied.folder / "bundle.json").write_text(json.dumps(document))
    clock["onnx"] = 0.1
    chosen = choose(read_bundle(copied.folder), threads=1, batch=2)
    assert chosen.name != "onnx"
    assert "onnx" not in {row.runtime for row in chosen.table}


def test_missing_packages_leave_the_others(
    copied: Bundle, clock: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    chosen = choose(copied, threads=1, batch=2)
    assert chosen.name == "onnx"
    assert "ablab[export]" in {row.runtime: row.note for row in chosen.table}["openvino"]
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (copied.folder / "measured.json").unlink()
    with pytest.raises(ConfigError, match=r"no runtime of .* runs here: torch: .*onnx: "):
        choose(copied, threads=1, batch=2)


@pytest.mark.parametrize("text", ["{", "[]", '{"key": 1}'])
def test_a_damaged_memory_is_measured_anew(copied: Bundle, clock: dict[str, float], text: str) -> None:
    (copied.folder / "measured.json").write_text(text)
    assert choose(copied, threads=1, batch=2).name in copied.card.runtimes
    assert clock["measured"] == 1


def test_it_really_measures(copied: Bundle) -> None:
    start = time.perf_counter()
    chosen = choose(copied, threads=1, batch=1, rounds=2)
    spent = 1e3 * (time.perf_counter() - start)
    assert all(row.ms is None or 0 < row.ms < spent for row in chosen.table)
    assert (
        min(row.ms for row in chosen.table if row.ms is not None)
        == {r.runtime: r.ms for r in chosen.table}[chosen.name]
    )
