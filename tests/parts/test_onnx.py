"""Every part that goes into a network leaves it again: onnxruntime computes what torch does."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from ablab import registry
from ablab.measure.seeding import forked
from ablab.registry import Entry
from ablab.surgery.specimen import FACTS, specimen

SLOTS = ("activation", "attention", "norm", "conv", "dropout", "upsample", "wrapper")
CHANNELS, SHAPE = 16, (2, 16, 9, 7)
SITE = FACTS | {"channels": CHANNELS, "in_channels": CHANNELS, "out_channels": CHANNELS, "bias": True}


class Bundle(nn.Module):
    """All parts of a slot on one map, an output each: one export instead of many."""

    def __init__(self, parts: dict[str, nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({f"part_{name}": part for name, part in parts.items()})  # `in` is a keyword

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(part(x.clone()) for part in self.parts.values())  # a part may write in place


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def build(entry: Entry) -> Any:
    """The part at a site, with running statistics and weights that are no longer those it started with."""
    inner = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
    host = {name: inner if fact == "inner" else SITE[fact] for name, fact in entry.host.items()}
    part = entry.build(**host, **specimen(entry).args)
    if isinstance(part, nn.Module):
        with torch.no_grad():
            for parameter in part.parameters():
                parameter += 0.1 * torch.randn_like(parameter)
            part.train()(2 * draw(*SHAPE) + 1)
    return part


def parts(slot: str) -> dict[str, nn.Module]:
    with forked("onnx", slot):
        built = {name: build(registry.get(name, slot)) for name in registry.names(slot)}
    return {name: part for name, part in built.items() if isinstance(part, nn.Module)}


def differing(made: dict[str, nn.Module]) -> dict[str, float]:
    """{part: largest difference} of those whose output onnxruntime computes otherwise."""
    bundle, x = Bundle(made).eval(), draw(*SHAPE)
    with torch.no_grad():
        expected = [each.numpy() for each in bundle(x)]
        program = torch.onnx.export(bundle, (x,), dynamo=True, external_data=False, verbose=False)
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    got = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return {
        name: float(np.abs(want - have).max())
        for name, want, have in zip(made, expected, got, strict=True)
        if not np.allclose(want, have, rtol=1e-3, atol=1e-5)
    }


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.filterwarnings("ignore")
def test_every_part_computes_the_same_in_onnx(slot: str) -> None:
    made = parts(slot)
    if not made:
        pytest.skip(f"the slot {slot} is empty")
    try:
        found = differing(made)
    except Exception:  # which of them?
        found = {name: trouble for name, part in made.items() if (trouble := alone(name, part))}
        assert found, "each part can be exported, but not all of them together"
    assert not found


def alone(name: str, part: nn.Module) -> Any:
    """What goes wrong with one part; nothing where it is well."""
    try:
        return differing({name: part})
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[-600:]}"


def test_the_test_sees_a_part_that_onnx_computes_otherwise() -> None:
    """One whose output depends on more than its input differs, and one that cannot be exported is named."""

    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return x * self.calls

    assert set(differing({"fickle": Fickle(), "relu": nn.ReLU()})) == {"fickle"}

    class Undecided(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    assert isinstance(alone("undecided", Undecided()), str)
