"""The compiled forward pass: what it may change (speed) and what not (everything else)."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny import Tiny, fresh, recipe
from torch import nn

from ablab import registry
from ablab.engine.distributed import ALONE
from ablab.engine.fit import Fitted, fit
from ablab.engine.forward import Forward

compile_with: Callable[..., Any] = torch.compile


def train(**settings: Any) -> Fitted:
    task = Tiny(recipe(**settings))
    return fit(task, fresh(), task.data(("study", 0)), task.recipe, key=("study", 0))


def furthest(first: nn.Module, second: nn.Module) -> float:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """torch.compile without its code generator, which takes minutes; returns the shapes that were compiled."""
    seen: list[tuple[int, ...]] = []

    def backend(graph: Any, example: list[torch.Tensor]) -> Any:
        seen.append(max((tuple(x.shape) for x in example if isinstance(x, torch.Tensor)), key=len))
        return graph.forward

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(compile_with, backend=backend))
    return seen


def test_a_compiled_training_is_the_same_training(quick: list[Any]) -> None:
    """The trial step leaves no trace: statistics, dropout's draws and gradients are those of a run without it."""
    plain, compiled = train(), train(compile=True)
    assert furthest(plain.model, compiled.model) < 1e-6
    assert list(plain.model.state_dict()) == list(compiled.model.state_dict())
    assert compiled.environment["compile"] == "yes"
    assert plain.environment["compile"] == "no"
    assert compiled.notes == ()
    assert type(compiled.model) is type(plain.model)
    # torch.compile puts another constructor into nn.Module; a part without one of its own still takes no argument.
    assert registry.get("activation/sigmoid").arguments == {}


def test_only_whole_batches_are_compiled(quick: list[Any]) -> None:
    """36 samples in batches of 8: the last 4 run uncompiled, instead of a second compilation."""
    train(compile=True, epochs=1)
    assert quick
    assert all(8 in shape for shape in quick)


def test_where_it_cannot_compile_training_goes_on_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: Any, example: Any) -> Any:
        raise RuntimeError("no C++ compiler found\nlong story")

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(compile_with, backend=broken))
    plain, failed = train(), train(compile=True)
    assert furthest(plain.model, failed.model) == 0
    assert failed.environment["compile"] == "failed"
    (note,) = failed.notes
    assert note.startswith("train.compile does not work here, so training runs uncompiled: ")
    assert "no C++ compiler found" in note
    assert "\n" not in note


def test_the_task_can_reach_into_a_compiled_network() -> None:
    """A task asks its network for parts by name; nothing is compiled for that."""
    network = torch.compile(fresh())
    assert isinstance(network.get_submodule("0"), nn.Conv2d)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile wants g++, which is not here")
def test_torchs_own_compiler_once() -> None:
    class Line(Tiny):
        def step(self, model: nn.Module, batch: dict[str, Any]) -> Any:
            return super().step(model, batch | {"images": batch["images"].flatten(1)})

    torch._dynamo.reset()
    task = Line(recipe())
    model = nn.Sequential(nn.Linear(432, 3))
    batch = task.collate([task.data(("study", 0)).train[0, i] for i in range(4)])
    expected = task.step(model, batch).loss.item()
    forward = Forward(task, model, ALONE, True, 4)
    found = forward(batch).loss
    assert forward.note == ""
    assert forward.describe()["compile"] == "yes"
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert all(p.grad is None for p in model.parameters())
    found.backward()
    assert all(p.grad is not None for p in model.parameters())
