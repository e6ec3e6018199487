"""What the backbones of other libraries have in common: they normalise, run, and hand out three maps."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError

T = TypeVar("T")
STRIDES = (8, 16, 32)
PROBE = (96, 160)  # pixels; odd numbers of cells at stride 32, which networks bound to one input size refuse


class Foreign(nn.Module):
    """A network of another library as a backbone.  (B, 3, H, W) in 0..1 -> maps at strides 8, 16, 32

    The network gets what it was made for: the image less `mean`, over `std`, a number a colour each.
    """

    strides = STRIDES
    constants = ("mean", "std")  # starting weights do not replace them

    def __init__(
        self,
        net: nn.Module,
        channels: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        pretrained: bool | str,
    ) -> None:
        """`channels` are those of the three maps that `net` gives."""
        super().__init__()
        self.channels = tuple(channels)
        self.pretrained = bool(pretrained)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, 3, 1, 1))
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p3, p4, p5 = self.net((x - self.mean) / self.std)
        return p3, p4, p5


def stride_of(shape: Sequence[int]) -> int | None:
    """The stride of a map (B, C, H, W) made from an image of PROBE's size; None where height and width disagree."""
    if len(shape) != 4 or 0 in shape:
        return None
    down, across = (whole / part for whole, part in zip(PROBE, shape[2:], strict=True))
    return int(down) if down == across and down.is_integer() else None


def last_at_each_stride(shapes: Sequence[Sequence[int]]) -> list[int]:
    """Which of these maps is the last at stride 8, at 16 and at 32; fewer than three where a stride is missing."""
    strides = [stride_of(shape) for shape in shapes]
    return [max(i for i, s in enumerate(strides) if s == stride) for stride in STRIDES if stride in strides]


def measured(
    library: str, name: str, names: Iterable[str], measure: Callable[[str], T | str], known: Sequence[str]
) -> T:
    """What `measure` finds out about a network.

    Raises ConfigError where it gives a reason instead: with names near `name` that do work, then some `known` to.
    """
    found = measure(name)
    if not isinstance(found, str):
        return found
    near = difflib.get_close_matches(name, list(names), n=5, cutoff=0.5)
    work = [word for word in near if word != name and not isinstance(measure(word), str)][:3]
    raise ConfigError(
        f"the backbone: {library}'s {name} gives no maps at strides 8, 16 and 32 of any image size: {found}; these do: "
        + ", ".join(dict.fromkeys([*work, *known]))
    )


def ended(error: Exception) -> str:
    """That a network did not live through the probe, for a sentence of ours."""
    return f"at {PROBE[0]} x {PROBE[1]} pixels it ends with {type(error).__name__}: {first_line(error)}"


def first_line(error: Exception) -> str:
    """What another library's error says first, for a sentence of ours."""
    return next(iter(str(error).strip().splitlines()), "no reason given")
