"""Each promise of the initialisation slot is broken on purpose once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ablab.errors import ContractError
from ablab.registry import Entry
from ablab.surgery import contract


def fill(weight: Tensor, std: float) -> None:
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape) * std)


def sound(std: float = 0.1) -> Callable[[Tensor], None]:
    return lambda weight: fill(weight, std)


def deaf(std: float = 0.1) -> Callable[[Tensor], None]:
    return lambda weight: fill(weight, 0.1)


def moves() -> Callable[[Tensor], None]:
    """Puts other memory in the place of the weight's."""

    def draw(weight: Tensor) -> None:
        weight.data = torch.randn(weight.shape).to(weight.dtype)

    return draw


def partly() -> Callable[[Tensor], None]:
    """Leaves the first row as it was."""

    def draw(weight: Tensor) -> None:
        with torch.no_grad():
            weight[1:].copy_(torch.randn(weight[1:].shape))

    return draw


def scales() -> Callable[[Tensor], None]:
    """Draws sound numbers, but by what was there: NaN counts as 1."""

    def draw(weight: Tensor) -> None:
        with torch.no_grad():
            weight.copy_(torch.randn(weight.shape) * (1 + weight.nan_to_num(1.0).float().mean()))

    return draw


GENERATOR = torch.Generator().manual_seed(3)


def kept() -> Callable[[Tensor], None]:
    """Draws from one generator that lives on."""

    def draw(weight: Tensor) -> None:
        with torch.no_grad():
            weight.copy_(torch.randn(weight.shape, generator=GENERATOR))

    return draw


def by_memory() -> Callable[[Tensor], None]:
    """Fills the numbers in the order in which they lie in memory."""

    def draw(weight: Tensor) -> None:
        with torch.no_grad():
            torch.as_strided(weight, (weight.numel(),), (1,)).copy_(torch.randn(weight.numel()))

    return draw


def test_a_sound_one_passes() -> None:
    contract.check(Entry("initialisation", "sound", sound))


@pytest.mark.parametrize(
    ("build", "promise", "words"),
    [
        (moves, "drawn in place", "fill it"),
        (partly, "drawn in place", "keeps old numbers"),
        (scales, "what was there does not matter", "came out unlike"),
        (by_memory, "layout does not matter", "in channels_last a seed gives another weight"),
        (deaf, "every argument counts", "'std' changes nothing"),
    ],
)
def test_the_broken_promise_is_named(build: Callable[..., object], promise: str, words: str) -> None:
    with pytest.raises(ContractError) as caught:
        contract.check(Entry("initialisation", "broken", build))
    lines = {
        line.split("? ")[0].removeprefix("initialisation/broken: "): line for line in str(caught.value).split("\n")
    }
    assert promise in lines
    assert words in lines[promise]


def test_a_generator_of_its_own_is_noticed() -> None:
    with pytest.raises(ContractError, match="draw from torch's generator alone"):
        contract.check(Entry("initialisation", "broken", kept))
