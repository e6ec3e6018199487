"""Mirrors, read back with the trackers' own readers."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablab.engine.events import Silent
from ablab.errors import ConfigError, UnknownName
from ablab.records import RunKey, RunRecord, write_json, write_record
from ablab.study.trackers.entry import Entry, flat, run_entry, verdict_entry
from ablab.study.trackers.mirror import Mirror, mirroring, tracker
from ablab.study.trackers.mlflow import MLflow
from ablab.study.trackers.tensorboard import TensorBoard
from ablab.study.trackers.wandb import Wandb

RECIPE = {"task": "tiny", "train": {"epochs": 2, "ema": {"decay": 0.9}, "freeze": []}}
DONE = RunRecord(
    RunKey("study one", "cbam", 0, "0123456789abcdef"),
    "done",
    scores={"validation": {"AP": 0.5, "AP/left hand": float("nan")}},
    settings={"threshold": 0.25},
    cost={"parameters": 12.0},
    notes=("a note",),
)


class Kept:
    """A tracker that keeps, or fails where it is told to."""

    name = "kept"

    def __init__(self, fails: Exception | None = None, lost: Exception | None = None) -> None:
        self.fails, self.lost, self.entries = fails, lost, list[Entry]()

    def sent(self) -> dict[str, str]:
        if self.lost:
            raise self.lost
        return {}

    def send(self, entry: Entry) -> None:
        if self.fails:
            raise self.fails
        self.entries.append(entry)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study of two runs, one of which failed, and its verdicts."""
    place = tmp_path / DONE.key.folder
    write_record(tmp_path, DONE)
    write_json(place / "run.json", {"arm": {"recipe": RECIPE}})
    (place / "curves.csv").write_text("epoch,loss,validation/AP\n1,2.5,\n2,1.25,0.5\n")
    failed = replace(DONE, key=replace(DONE.key, seed=1), status="failed", scores={}, error="the disk is full")
    write_record(tmp_path, failed)
    row = {"arm": "cbam", "verdict": "helps", "qualifiers": ["screening"], "effect": 0.02, "sd": None, "p": 0.01}
    row |= {"p_holm": 0.02, "n": 5, "simultaneous": [0.01, None]}
    write_json(tmp_path / "verdicts.json", {"metric": "AP", "split": "validation", "label": "", "arms": [row]})
    write_json(tmp_path / "study.json", {"name": "study one"})
    return tmp_path


def look(folder: Path, *trackers: Any) -> list[str]:
    said: list[str] = []
    Mirror(folder, trackers, said.append).look()
    return said


def test_an_entry_is_what_the_files_say(folder: Path) -> None:
    entry = run_entry(folder, folder / DONE.key.folder / "record.json")
    assert entry.key == "runs/cbam/0-0123456789abcdef"
    assert entry.numbers == {"validation/AP": 0.5, "cost/parameters": 12.0, "chosen/threshold": 0.25}
    assert entry.curves == {"epoch/loss": [(1, 2.5), (2, 1.25)], "epoch/validation/AP": [(2, 0.5)]}
    assert entry.settings == {"arm": "cbam", "seed": "0"} | flat(RECIPE)
    assert entry.texts == {"notes": "a note"}
    write_json(folder / DONE.key.folder / "test.json", {"AP": 0.4})
    later = run_entry(folder, folder / DONE.key.folder / "record.json")
    assert later.numbers["test/AP"] == 0.4
    assert later.digest != entry.digest
    verdicts = verdict_entry(folder)
    assert verdicts
    assert verdicts.texts == {"cbam": "helps; screening"}
    assert verdicts.numbers == {f"cbam/{n}": v for n, v in {"effect": 0.02, "p": 0.01, "p_holm": 0.02}.items()} | {
        "cbam/n": 5,
        "cbam/low": 0.01,
    }


def test_flat_loses_nothing() -> None:
    assert flat(RECIPE) == {"task": "tiny", "train.epochs": "2", "train.ema.decay": "0.9", "train.freeze": "[]"}
    assert flat({"a": {}}) == {"a": "{}"}


def test_what_is_new_is_sent_once_and_a_changed_record_again(folder: Path) -> None:
    kept, said = Kept(), list[str]()
    mirror = Mirror(folder, [kept], said.append)
    mirror.look()
    mirror.look()
    assert [entry.title for entry in kept.entries] == ["cbam, seed 0", "cbam, seed 1", "verdicts"]
    write_record(folder, replace(DONE, key=replace(DONE.key, seed=1)))
    os.utime(folder / replace(DONE.key, seed=1).folder / "record.json", ns=(1, 1))
    mirror.look()
    assert [entry.status for entry in kept.entries[3:]] == ["done"]
    assert not said


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionError("no route\nmore"), "tracker kept: ConnectionError: no route; the study goes on"),
        (ModuleNotFoundError("No module named 'kept'"), "pip install 'ablab[kept]'"),
    ],
)
def test_one_that_fails_costs_a_line_and_the_others_nothing(folder: Path, error: Exception, words: str) -> None:
    kept = Kept()
    said = look(folder, Kept(error), kept)
    assert len(said) == 1
    assert words in said[0]
    assert len(kept.entries) == 3


def test_one_that_cannot_be_reached_is_told_before_there_is_anything_to_send(tmp_path: Path) -> None:
    said: list[str] = []
    kept, lost = Kept(), Kept(lost=ConnectionError("no route"))
    lost.name = "lost"
    mirror = Mirror(tmp_path, [lost, kept], said.append)
    mirror.greet()
    mirror.look()
    assert said == [
        "tracker lost: ConnectionError: no route; the study goes on, and the same command sends what is missing"
    ]


def test_a_damaged_record_is_a_line(folder: Path) -> None:
    (folder / DONE.key.folder / "record.json").write_text("{")
    kept = Kept()
    said = look(folder, kept)
    assert len(said) == 1
    assert "damaged" in said[0]
    assert len(kept.entries) == 2


def test_names_are_checked_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'tensorboard'"):
        tracker("tensorbord", tmp_path, "s")
    for wrong in ("mlflow", "wandb=somewhere"):
        with pytest.raises(ConfigError, match="expected"):
            tracker(wrong, tmp_path, "s")
    assert isinstance(tracker("mlflow=http://127.0.0.1:1", tmp_path, "s"), MLflow)
    assert isinstance(tracker("wandb=online", tmp_path, "s"), Wandb)
    with pytest.raises(UnknownName), mirroring(tmp_path, ["none"], "s", Silent()):
        raise AssertionError


@pytest.mark.parametrize("ends", [None, RuntimeError])
def test_the_last_look_comes_however_the_study_ends(folder: Path, ends: type[Exception] | None) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install 'ablab[tensorboard]'")

    def body() -> None:
        with mirroring(folder, [f"tensorboard={folder / 'events'}"], "s", Silent()):
            if ends:
                raise ends

    if ends:
        with pytest.raises(ends):
            body()
    else:
        body()
    assert len(TensorBoard(folder / "events").sent()) == 3


def test_tensorboard_reads_back_what_was_written(folder: Path) -> None:
    reading = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    events = folder / "events"
    assert not look(folder, TensorBoard(events))
    place = events / DONE.key.folder
    files = sorted(place.iterdir())
    found = reading.EventAccumulator(str(place)).Reload()
    assert [(event.step, event.value) for event in found.Scalars("epoch/loss")] == [(1, 2.5), (2, 1.25)]
    assert [event.value for event in found.Scalars("validation/AP")] == [0.5]
    assert b"a note" in found.Tensors("notes/text_summary")[0].tensor_proto.string_val[0]
    assert "_hparams_/session_start_info" in found.summary_metadata
    assert not look(folder, TensorBoard(events))  # another process: nothing is written twice
    assert sorted(place.iterdir()) == files
    write_record(folder, replace(DONE, scores={"validation": {"AP": 0.75}}))
    look(folder, TensorBoard(events))
    again = reading.EventAccumulator(str(place)).Reload()
    assert [event.value for event in again.Scalars("validation/AP")] == [0.75]


def log(file: Path) -> Iterator[bytes]:
    """The records of a LevelDB log, which is what W&B writes after 7 bytes of its own: blocks of 32 KiB, each record
    in pieces with a header of checksum, length and kind (1 whole, 2 first, 3 middle, 4 last)."""
    content, at, record = file.read_bytes(), 7, b""
    assert content[:4] == b":W&B"
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def test_wandb_keeps_offline_runs_that_it_can_read(folder: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: pip install 'ablab[wandb]'")
    from wandb.proto import wandb_internal_pb2

    place = folder / "wandb"
    assert not look(folder, Wandb(place))
    files = sorted(place.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(files) == 3
    assert not look(folder, Wandb(place))
    assert sorted(place.glob("wandb/offline-run-*/run-*.wandb")) == files
    found: dict[str, list[tuple[str, str]]] = {}
    for file in files:
        name = ""
        for data in log(file):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                name = record.run.display_name or name
                assert record.run.project == "study one"
            items = {"history": record.history.item, "summary": record.summary.update}.get(kind, ())
            pairs = [(item.key or "/".join(item.nested_key), item.value_json) for item in items]
            found.setdefault(name, []).extend(pairs)
    done = found["cbam, seed 0"]
    assert {("epoch/loss", "2.5"), ("epoch/loss", "1.25"), ("validation/AP", "0.5")} <= set(done)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A local MLflow server on a free port."""
    pytest.importorskip("mlflow.server", reason="MLflow's server is not installed: pip install mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = tmp_path / "server"
    place.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{place / 'store.db'}",
        "--artifacts-destination",
        str(place / "files"),
    ]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(3000):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, (place / "log").read_text()
                time.sleep(0.1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_mlflow_answers_what_was_sent(folder: Path, server: str) -> None:
    from mlflow import MlflowClient

    assert not look(folder, MLflow(server, "study one"))
    client = MlflowClient(tracking_uri=server)
    experiment = client.get_experiment_by_name("study one").experiment_id

    def runs() -> dict[str, Any]:
        return {run.info.run_name: run for run in client.search_runs([experiment])}

    first = runs()
    assert set(first) == {"cbam, seed 0", "cbam, seed 1", "verdicts"}
    done = first["cbam, seed 0"]
    history = client.get_metric_history(done.info.run_id, "epoch/loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 2.5), (2, 1.25)]
    assert done.data.metrics["validation/AP"] == 0.5
    assert done.data.params == {"arm": "cbam", "seed": "0"} | flat(RECIPE)
    assert done.data.tags["notes"] == "a note"
    assert [first[name].info.status for name in sorted(first)] == ["FINISHED", "FAILED", "FINISHED"]
    assert first["verdicts"].data.tags["cbam"] == "helps; screening"
    assert not look(folder, MLflow(server, "study one"))
    assert {run.info.run_id for run in runs().values()} == {run.info.run_id for run in first.values()}
    write_record(folder, replace(DONE, key=replace(DONE.key, seed=1)))
    look(folder, MLflow(server, "study one"))
    assert len(client.search_runs([experiment])) == 3
    assert runs()["cbam, seed 1"].info.status == "FINISHED"


def test_a_server_that_is_away_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed: pip install 'ablab[mlflow]'")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        said = look(folder, MLflow(f"http://127.0.0.1:{free.getsockname()[1]}", "study one"))
    assert len(said) == 1
    assert said[0].startswith("tracker mlflow: ")


def test_sent_json_is_whole(tmp_path: Path) -> None:
    """What the folder of events says of itself can be read by anybody."""
    board = TensorBoard(tmp_path)
    assert board.sent() == {}
    write_json(tmp_path / "runs" / "ablab.json", {"key": "runs/a/0-f", "digest": "d"})
    assert json.loads((tmp_path / "runs" / "ablab.json").read_text())["digest"] == "d"
    assert board.sent() == {"runs/a/0-f": "d"}
