"""The networks of timm (https://github.com/huggingface/pytorch-image-models) as backbones."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import timm
import torch
from torch import Tensor, nn

from ablab.errors import ConfigError, UnknownName
from ablab.parts.backbone.fill import fill
from ablab.parts.backbone.foreign import PROBE, Foreign, ended, first_line, last_at_each_stride, measured, stride_of
from ablab.registry import register

KNOWN = ("resnet18", "mobilenetv3_small_100", "efficientnet_b0", "convnext_atto", "regnetx_002")


class Channels(nn.Module):
    """A network that gives its maps channels last, with the channels moved to their place."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> list[Tensor]:
        return [y.permute(0, 3, 1, 2) for y in self.net(x)]  # (B, H, W, C) -> (B, C, H, W)


@register(
    "backbone",
    "timm",
    paper="https://github.com/huggingface/pytorch-image-models",
    alternatives={"name": ["mobilenetv3_small_100", "resnet18"]},
)
class TimmBackbone(Foreign):
    """A timm network by name.  (B, 3, H, W) in 0..1 -> three maps at strides 8, 16, 32

    `pretrained`: True asks timm for its weights, which wants a network; a path takes a safetensors or torch file with
    the names that timm gives. The image is normalised with the mean and deviation of timm's configuration for `name`,
    pretrained or not. Raises UnknownName for a name that timm does not know; ConfigError for a network without maps at
    the three strides or bound to one input size, and for weights that cannot be had or do not fit.
    """

    def __init__(self, name: str, pretrained: bool | str = False) -> None:
        if not timm.is_model(name):
            raise UnknownName("timm network", name, timm.list_models(), "the backbone")
        tapped = taps(name)
        fetch = pretrained is True
        try:
            net: Any = timm.create_model(name, pretrained=fetch, features_only=True, out_indices=tapped.indices)
        except Exception as error:
            if not fetch:
                raise
            raise ConfigError(
                f"the backbone: timm cannot fetch the weights of {name}: {type(error).__name__}: {first_line(error)}; "
                "without a network, give a file that you have: pretrained: path/to/file.safetensors"
            ) from None
        if isinstance(pretrained, str):
            fill(net, _names(name), pretrained, f"timm's {name}")
        for parameter in (p for n, p in net.named_parameters() if n in tapped.idle):
            parameter.requires_grad_(False)
        config = net.pretrained_cfg
        whole = Channels(net) if tapped.channels_last else net
        super().__init__(whole, tapped.channels, config["mean"], config["std"], pretrained)


class Taps(NamedTuple):
    """Which of a network's maps are the last at strides 8, 16, 32; their channels, and whether these stand last; and
    the parameters that only other maps depend on (HRNet's)."""

    indices: tuple[int, ...]
    channels: tuple[int, ...]
    channels_last: bool
    idle: frozenset[str]


def taps(name: str) -> Taps:
    """Where a network gives the three maps.

    Raises ConfigError, with names that do work, where one is missing or an image size is refused.
    """
    return measured("timm", name, timm.list_models(), _taps, KNOWN)


@lru_cache(maxsize=64)
def _taps(name: str) -> Taps | str:
    """What `taps` says, measured on a network without numbers (torch's meta device); or why there is nothing to say."""
    try:
        with torch.device("meta"), torch.enable_grad():
            net: Any = timm.create_model(name, features_only=True).eval()
            maps = net(torch.empty(1, 3, *PROBE))
    except Exception as error:  # whatever a network does with a size that it was not made for
        return ended(error)
    channels_last = "NHWC" in str(getattr(net, "output_fmt", ""))
    shapes = [(s[0], s[3], s[1], s[2]) if channels_last else tuple(s) for s in (y.shape for y in maps)]
    chosen = last_at_each_stride(shapes)
    if len(chosen) < 3:
        return f"its maps have strides {', '.join(str(stride_of(shape) or '?') for shape in shapes)}"
    sum(maps[i].sum() for i in chosen).backward()
    return Taps(
        indices=tuple(net.feature_info.out_indices[i] for i in chosen),
        channels=tuple(shapes[i][1] for i in chosen),
        channels_last=channels_last,
        idle=frozenset(name for name, p in net.named_parameters() if p.grad is None),
    )


def _names(name: str) -> set[str]:
    """The names of all tensors of the whole network, its classifier included."""
    with torch.device("meta"):
        return set(timm.create_model(name).state_dict())
