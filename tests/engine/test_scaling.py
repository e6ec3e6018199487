"""fp16's loss scaling in the loop: skipped steps are no divergence, are counted, and survive a snapshot."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Tiny, fresh, recipe
from torch.amp.grad_scaler import GradScaler

from ablab.config import override
from ablab.contracts import Step
from ablab.engine.events import Silent
from ablab.engine.fit import Fitted, fit
from ablab.engine.ledger import SKIPS_IN_A_ROW, Ledger
from ablab.engine.precision import Precision, choose
from ablab.engine.snapshot import Snapshots
from ablab.errors import Diverged
from ablab.recipe import TrainRecipe


def train(changes: dict[str, Any] | None = None, snapshots: Snapshots | None = None, events: Any = None) -> Fitted:
    task = Tiny(override(recipe(precision="fp16"), changes or {}))
    data = task.data(("study", 0))
    return fit(task, fresh(), data, task.recipe, key=("study", 0), snapshots=snapshots, events=events)


@pytest.fixture
def high(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scale under which gradients overflow in fp16 at first."""
    monkeypatch.setattr(Precision, "scaler", lambda self: GradScaler("cpu", init_scale=2.0**26))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_overflow_skips_steps_and_is_noted(high: None, optimizer: str) -> None:
    fitted = train({"optimizer.name": optimizer, "optimizer.lr": 0.01})
    (note,) = (note for note in fitted.notes if "fp16 and were skipped" in note)
    skipped = int(note.split()[0])
    assert 0 < skipped < fitted.steps == 15
    assert note == f"{skipped} of 15 steps overflowed in fp16 and were skipped"
    assert all(math.isfinite(value) for row in fitted.curves for value in row.values())
    assert all(tensor.isfinite().all() for tensor in fitted.model.state_dict().values())


def test_without_overflow_there_is_nothing_to_say() -> None:
    fitted = train()
    assert not any("skipped" in note for note in fitted.notes)
    assert fitted.environment["precision"] == "fp16"
    assert torch.get_autocast_dtype("cpu") is torch.bfloat16  # nothing is left behind


def test_it_goes_on_with_the_scale_it_had(high: None, tmp_path: Path) -> None:
    class Cut(Silent):
        def advance(self, done: int, values: Any) -> None:
            if done == 9:
                raise KeyboardInterrupt

    def snapshots() -> Snapshots:
        return Snapshots(tmp_path / "snapshot.safetensors", "tiny", 0)

    whole = train()
    with pytest.raises(KeyboardInterrupt):
        train(snapshots=snapshots(), events=Cut())
    resumed = train(snapshots=snapshots())
    assert resumed.earlier_seconds > 0
    assert resumed.notes == whole.notes
    for first, second in zip(whole.model.state_dict().values(), resumed.model.state_dict().values(), strict=True):
        assert torch.equal(first, second)


def line(loss: float, norm: float) -> tuple[Step, torch.Tensor]:
    return Step(torch.tensor(loss), {}), torch.tensor(norm)


def test_the_means_leave_skipped_steps_out() -> None:
    ledger = Ledger(4, scaled=True)
    for step, (loss, norm) in enumerate([(1.0, math.inf), (2.0, 3.0), (8.0, math.nan), (4.0, 5.0)]):
        ledger.add(step, *line(loss, norm))
    assert ledger.close() == {"loss": 3.0, "gradient norm": 4.0}
    assert ledger.skipped == 2


def test_too_many_in_a_row_are_a_divergence() -> None:
    ledger = Ledger(100, scaled=True)
    for step in range(SKIPS_IN_A_ROW):
        ledger.add(step, *line(1.0, math.inf))
    ledger.add(50, *line(1.0, 1.0))  # one that was taken begins the count anew
    for step in range(SKIPS_IN_A_ROW):
        ledger.add(step, *line(1.0, math.inf))
    with pytest.raises(Diverged, match="gradient norm inf"):
        ledger.add(99, *line(1.0, math.inf))


def test_a_loss_that_is_not_finite_is_a_divergence_at_once() -> None:
    with pytest.raises(Diverged, match="loss nan"):
        Ledger(4, scaled=True).add(0, *line(math.nan, math.nan))
    with pytest.raises(Diverged, match="gradient norm inf"):
        Ledger(4).add(0, *line(1.0, math.inf))


def test_only_fp16_is_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    enabled = {name: choose(_on_cpu(name)).scaler().is_enabled() for name in ("fp32", "bf16", "fp16")}
    assert enabled == {"fp32": False, "bf16": False, "fp16": True}


def test_what_the_processor_only_emulates_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ablab.engine.precision._cpu_has", lambda *features: False)
    assert choose(_on_cpu("fp32")).notes == ()
    for name in ("bf16", "fp16"):
        (note,) = choose(_on_cpu(name)).notes
        assert (
            note == f"train.precision is '{name}', which this processor only emulates: expect it to be slower than fp32"
        )
    monkeypatch.setattr("ablab.engine.precision._cpu_has", lambda *features: True)
    assert choose(_on_cpu("fp16")).notes == ()


def _on_cpu(precision: str) -> TrainRecipe:
    return TrainRecipe.model_validate({"precision": precision, "device": "cpu", "threads": 1})
