"""The same promises on a card: `pytest -m cuda` where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Tiny, fresh, recipe

from ablab.engine.distributed import check
from ablab.engine.evaluate import evaluate
from ablab.engine.events import Silent
from ablab.engine.fit import Fitted, fit
from ablab.engine.precision import choose
from ablab.engine.snapshot import Snapshots
from ablab.errors import ConfigError
from ablab.measure import peak_memory_mb
from ablab.recipe import TrainRecipe

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA card"),
]


def train(snapshots: Snapshots | None = None, events: Any = None, **settings: Any) -> Fitted:
    task = Tiny(recipe(**{"device": "cuda"} | settings))
    data = task.data(("study", 0))
    return fit(task, fresh(), data, task.recipe, key=("study", 0), snapshots=snapshots, events=events)


def furthest(first: Fitted, second: Fitted) -> float:
    pairs = zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True)
    return max(float((a.double().cpu() - b.double().cpu()).abs().max()) for a, b in pairs)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_two_trainings_are_equal_to_the_bit(precision: str) -> None:
    first, second = train(precision=precision), train(precision=precision)
    assert furthest(first, second) == 0
    assert first.batch_hash == second.batch_hash == train(device="cpu").batch_hash
    assert first.environment["device"] == torch.cuda.get_device_name()
    assert next(first.model.parameters()).is_cuda


def test_a_card_trains_as_the_processor_does() -> None:
    """Without dropout, whose draws differ between devices; TF32 is off, or the difference would be 1e-3."""

    def still() -> torch.nn.Module:
        model = fresh()
        model[5].p = 0.0
        return model

    found = []
    for device in ("cpu", "cuda"):
        task = Tiny(recipe(device=device, epochs=1))
        data = task.data(("study", 0))
        found.append(fit(task, still(), data, task.recipe, key=("study", 0)))
    assert furthest(*found) < 1e-4


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_it_goes_on_to_the_same_bits(precision: str, tmp_path: Path) -> None:
    class Cut(Silent):
        def advance(self, done: int, values: Any) -> None:
            if done == 7:
                raise KeyboardInterrupt

    def snapshots() -> Snapshots:
        return Snapshots(tmp_path / "snapshot.safetensors", "tiny", 0)

    whole = train(precision=precision)
    with pytest.raises(KeyboardInterrupt):
        train(snapshots(), Cut(), precision=precision)
    resumed = train(snapshots(), precision=precision)
    assert resumed.earlier_seconds > 0
    assert furthest(whole, resumed) == 0


def test_evaluation_and_memory() -> None:
    torch.cuda.reset_peak_memory_stats()
    model = fresh()
    items = []
    for device in ("cpu", "cuda"):
        task = Tiny(recipe(device=device))
        items.append(evaluate(task, model, task.data(("study", 0)).validation, task.recipe)["right"])
    assert (items[0] == items[1]).all()
    assert 0 < peak_memory_mb(torch.device("cuda", 0)) < 1000


def test_settled_turns_tf32_off_and_on_again() -> None:
    before = torch.backends.cudnn.allow_tf32
    a = torch.rand(256, 256, device="cuda", dtype=torch.float64)
    with choose(TrainRecipe(device="cuda", precision="fp32")).settled():
        assert not torch.backends.cudnn.allow_tf32
        assert ((a.float() @ a.float()).double() - a @ a).abs().max() < 1e-3
    assert torch.backends.cudnn.allow_tf32 == before


def test_more_processes_than_cards() -> None:
    cards = torch.cuda.device_count()
    with pytest.raises(ConfigError, match=rf"wants {cards + 1} cards on this machine, which has {cards}"):
        check(TrainRecipe(device="cuda", devices=cards + 1, batch=64))


def test_a_compiled_step() -> None:
    fitted = train(compile=True, epochs=1)
    assert fitted.environment["compile"] == "yes", fitted.notes
    assert furthest(fitted, train(epochs=1)) < 1e-2
