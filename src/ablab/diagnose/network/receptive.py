"""The receptive field: which pixels can reach a cell of a map, whatever the weights."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ablab.diagnose.network.maps import maps
from ablab.errors import ConfigError
from ablab.measure.forward import still
from ablab.measure.seeding import forked

LIMIT = 2048  # pixels: no larger image is tried; a field that reaches its edges counts as the whole image
THIN = 64  # pixels across a strip: two cells at stride 32


@dataclass(frozen=True)
class ReceptiveField:
    """What the middle cell of a map can see of the input, in pixels.

    `whole` says that it reached the edge of the largest image that the network took: the sides are then a lower bound.
    A mean over the map (squeeze-and-excitation, group norm, attention) makes it so, rightly. `stride` is pixels a cell.
    """

    name: str
    width: int
    height: int
    stride: float
    whole: bool


def receptive_fields(
    model: nn.Module, image: Tensor, at: Sequence[str] = (), limit: int = LIMIT
) -> tuple[ReceptiveField, ...]:
    """The theoretical receptive field of each map at `at` (module names; none: the network's outputs).

    Pixels of `image` (1, C, H, W) are made NaN from one side up to a cut, and the cut at which the map's middle cell
    turns NaN is bisected. A NaN passes every convolution, pool, stretch, sum, concatenation and activation whatever
    the weights, so this is exact on any graph of these; on a chain it equals r_l = r_(l-1) + (k_l - 1) * prod(strides)
    (Araujo et al. 2019, https://distill.pub/2019/computing-receptive-fields). After a bilinear stretch it may be a
    coarse cell too wide: weights of zero count. The axes are measured apart, on strips as long as needed up to `limit`.

    Raises ConfigError for images of another shape, for a place without a map or one that no pixel reaches.
    """
    if image.dim() != 4 or len(image) != 1:
        raise ConfigError(f"a receptive field is measured on one image (1, C, H, W), got {tuple(image.shape)}")
    with still(model), torch.no_grad(), forked("receptive field"), _Windows():  # type: ignore[no-untyped-call]
        across, down = (_spans(model, image.detach(), at, axis, limit) for axis in (3, 2))
    return tuple(
        ReceptiveField(name, across[name].side, down[name].side, across[name].stride, across[name].cut | down[name].cut)
        for name in across
    )


@dataclass(frozen=True)
class _Span:
    side: int
    stride: float
    cut: bool


class _Windows(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Convolutions that give NaN where their window holds one: a channel a group does, for a hundredth of the work.

    Whatever algorithm runs (Winograd's smears a NaN over a tile), counts of NaNs are told from none.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is not torch.ops.aten.convolution.default:
            return func(*args, **(kwargs or {}))
        x, weight, _, *geometry = args
        transposed, groups = geometry[3], geometry[5]
        outputs = weight.shape[1] if transposed else weight.shape[0] // groups  # a group
        inside = x.isnan().unflatten(1, (groups, -1)).any(dim=2).to(x.dtype)  # (B, groups, h, w)
        count = func(inside, weight.new_ones(groups, 1, *weight.shape[2:]), None, *geometry)
        return torch.where(count > 0.5, torch.nan, 0.5).to(x.dtype).repeat_interleave(outputs, dim=1)


class _Probe:
    """Which maps' middle cells a strip's pixels from `start` to `stop` along the axis reach."""

    def __init__(self, net: nn.Module, strip: Tensor, at: Sequence[str], axis: int) -> None:
        self.net, self.strip, self.at, self.axis = net, strip, at, axis
        self.length = strip.shape[axis]
        self.seen: dict[tuple[int, int], dict[str, bool]] = {}
        self.strides: dict[str, float] = {}

    def reaches(self, start: int, stop: int) -> dict[str, bool]:
        if (start, stop) not in self.seen:
            marked = self.strip.clone()
            marked.narrow(self.axis, start, stop - start).fill_(torch.nan)
            found = maps(self.net, marked, self.at)
            self.strides = {name: self.length / y.shape[self.axis] for name, y in found.items()}
            self.seen[start, stop] = {
                name: bool(y[0, :, y.shape[2] // 2, y.shape[3] // 2].isnan().any()) for name, y in found.items()
            }
        return self.seen[start, stop]

    def span(self, name: str) -> _Span:
        """Bisect both edges: the first pixel of which the right part still reaches the cell, the last of the left."""
        if not self.reaches(0, self.length)[name]:
            raise ConfigError(
                f"no pixel reaches the middle of {name}: a comparison, a sort or a constant stands between"
            )
        pixels = range(self.length)
        first = bisect_left(pixels, True, key=lambda i: self.reaches(0, i + 1)[name])
        beyond = bisect_left(pixels, True, key=lambda i: not self.reaches(i, self.length)[name])
        return _Span(beyond - first, self.strides[name], first == 0 or beyond == self.length)


def _spans(net: nn.Module, image: Tensor, at: Sequence[str], axis: int, limit: int) -> dict[str, _Span]:
    """Along one axis, of every map, on the shortest strip that no field leaves."""
    strip = _thin(net, image, at, axis)
    while True:
        probe = _Probe(net, strip, at, axis)
        ends = probe.reaches(0, 1), probe.reaches(probe.length - 1, probe.length)
        longer = torch.cat((strip, strip), dim=axis)
        inside = not any(ends[0].values()) and not any(ends[1].values())
        if inside or probe.length * 2 > limit or not _takes(net, longer, at):
            return {name: probe.span(name) for name in ends[0]}
        strip = longer


def _thin(net: nn.Module, image: Tensor, at: Sequence[str], axis: int) -> Tensor:
    """The image cut across the axis to a strip, which costs less and has the same field; whole if that will not do."""
    strip = image.narrow(5 - axis, 0, min(THIN, image.shape[5 - axis]))
    return strip if _takes(net, strip, at) else image


def _takes(net: nn.Module, image: Tensor, at: Sequence[str]) -> bool:
    try:
        maps(net, image, at)
    except (RuntimeError, ValueError, AssertionError, IndexError):  # whatever a network says of a size that it dislikes
        return False
    return True
