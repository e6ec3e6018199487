"""What the backbones of other libraries have in common: they normalise, run, and hand out three maps."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

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


def working(name: str, names: Iterable[str], works: Callable[[str], bool], known: Sequence[str]) -> str:
    """End an error message: names near `name` that do work, then some that are known to."""
    near = difflib.get_close_matches(name, list(names), n=5, cutoff=0.5)
    found = [word for word in near if word != name and works(word)][:3]
    return ", ".join(dict.fromkeys([*found, *known]))


def first_line(error: Exception) -> str:
    """What another library's error says first, for a sentence of ours."""
    return next(iter(str(error).strip().splitlines()), "no reason given")
