from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Tiny, fresh, recipe
from told import Told

from ablab.engine import snapshot
from ablab.engine.checkpoint import save_weights
from ablab.engine.events import Silent
from ablab.engine.fit import Fitted, fit
from ablab.engine.snapshot import Snapshots
from ablab.errors import RunError, StoreError

ABOUT = {"device": "cpu", "key": ("study", 0)}
TENSORS = {"model/a": torch.arange(6.0).view(2, 3), "model/b": torch.tensor(7), "x": torch.zeros(0, 2)}


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    plain = {"done": 3, "sum": 0.1 + 0.2, "worst": float("-inf"), "rows": [{"epoch": 1}]}
    Snapshots(tmp_path / "s", "run").write(ABOUT, TENSORS, plain)
    kept = Snapshots(tmp_path / "s", "run").read(ABOUT)
    assert kept is not None
    assert kept[1] == plain
    assert kept[0].keys() == TENSORS.keys()
    assert all(torch.equal(kept[0][name], value) for name, value in TENSORS.items())
    assert Snapshots(tmp_path / "other", "run").read(ABOUT) is None


def test_one_byte_that_changed_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    Snapshots(path, "run").write(ABOUT, TENSORS, {})
    content = bytearray(path.read_bytes())
    at = content.index(b"\x00\x00\xa0\x40")  # 5.0
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        Snapshots(path, "run").read(ABOUT)


@pytest.mark.parametrize("content", [b"", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", b"half"])
def test_no_snapshot_at_all_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        Snapshots(tmp_path / "s").read(ABOUT)


def test_a_snapshot_of_another_run_or_machine_is_refused_and_says_what_differs(tmp_path: Path) -> None:
    Snapshots(tmp_path / "s", "run").write(ABOUT, TENSORS, {})
    with pytest.raises(StoreError, match=r"other conditions \(run: run, now other\)"):
        Snapshots(tmp_path / "s", "other").read(ABOUT)
    with pytest.raises(StoreError, match="device: cpu, now cuda"):
        Snapshots(tmp_path / "s", "run").read(ABOUT | {"device": "cuda"})


def test_they_come_every_so_often_and_less_often_where_they_take_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, takes = [0.0], [0.1]
    monkeypatch.setattr(snapshot.time, "monotonic", lambda: now[0])

    def save(*_: Any) -> None:
        now[0] += takes[0]

    monkeypatch.setattr(snapshot, "save_weights", save)
    snapshots = Snapshots(tmp_path / "s")

    def wait() -> float:
        start = now[0]
        while not snapshots.due():
            now[0] += 1.0
        return now[0] - start

    assert wait() == 30
    snapshots.write(ABOUT, {}, {})
    assert wait() == 30
    takes[0] = 3.0
    snapshots.write(ABOUT, {}, {})
    assert wait() == 150  # 3 s are 2% of that


def test_deleting_takes_what_a_kill_left(tmp_path: Path) -> None:
    for name in ("s", ".s.abc123", "curves.csv", ".t.abc123"):
        (tmp_path / name).touch()
    Snapshots(tmp_path / "s").delete()
    assert {path.name for path in tmp_path.iterdir()} == {"curves.csv", ".t.abc123"}


def train(folder: Path, told: Silent, **options: Any) -> Fitted:
    task = Tiny(recipe(epochs=2))
    snapshots = Snapshots(folder / "s", every=0.0)
    key = ("study", 0)
    return fit(task, fresh(), task.data(key), task.recipe, key=key, events=told, snapshots=snapshots, **options)


def same(first: Fitted, second: Fitted) -> bool:
    pairs = zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_one_that_is_whole_is_gone_on_from_even_at_the_end(tmp_path: Path) -> None:
    first, told = train(tmp_path, Silent()), Told()
    second = train(tmp_path, told)
    assert told.said == ["goes on from step 10 of 10"]
    assert same(first, second)
    assert second.seconds == first.seconds
    assert second.earlier_seconds > 0


@pytest.mark.parametrize("how", ["cut", "other run", "other network"])
def test_a_snapshot_of_no_use_is_said_and_training_starts_anew(tmp_path: Path, how: str) -> None:
    first, told = train(tmp_path, Silent()), Told()
    path = tmp_path / "s"
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-7])
    elif how == "other run":
        save_weights(path, {"a": torch.zeros(2)}, {"about": {}, "state": {}, "checksum": 1})
    else:
        kept = Snapshots(path)
        tensors, plain = kept.read(_about(path)) or ({}, {})
        kept.write(_about(path), {name: value for name, value in tensors.items() if "8.bias" not in name}, plain)
    second = train(tmp_path, told)
    assert len(told.said) == 1
    assert told.said[0].endswith("training starts anew")
    assert same(first, second)
    assert second.earlier_seconds == 0


def _about(path: Path) -> dict[str, Any]:
    from ablab.engine.checkpoint import read_metadata

    return read_metadata(path)["about"]


def test_a_full_disk_is_said_once_and_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *_: Any) -> None:
        raise StoreError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(snapshot, "save_weights", full)
    told = Told()
    first = train(tmp_path, told)
    assert len(told.said) == 1
    assert "No space left" in told.said[0]
    assert "training goes on" in told.said[0]
    monkeypatch.undo()
    assert same(first, train(tmp_path / "other", Silent()))


def test_memory_that_runs_out_keeps_the_snapshot(tmp_path: Path) -> None:
    """A run that failed is tried again, and goes on from there."""

    class Large(Tiny):
        def step(self, model: Any, batch: Any) -> Any:
            if (tmp_path / "s").exists():
                torch.empty(1 << 60, dtype=torch.uint8)
            return super().step(model, batch)

    task, key = Large(recipe(epochs=2)), ("study", 0)
    with pytest.raises(RunError, match="out of memory"):
        fit(task, fresh(), task.data(key), task.recipe, key=key, snapshots=Snapshots(tmp_path / "s", every=0.0))
    told = Told()
    train(tmp_path, told)
    assert told.said == ["goes on from step 1 of 10"]
