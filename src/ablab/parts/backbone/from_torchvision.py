"""The networks of torchvision as backbones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from ablab.errors import ConfigError, UnknownName
from ablab.parts.backbone.fill import fill
from ablab.parts.backbone.foreign import PROBE, Foreign, ended, first_line, last_at_each_stride, measured, stride_of
from ablab.registry import register

KNOWN = ("resnet18", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "regnet_y_400mf")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which all of torchvision's weights are made for
Taps = tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]


class Trunk(nn.Module):
    """The modules that a network runs one after the other, up to the last map wanted, under the network's names."""

    def __init__(self, net: nn.Module, steps: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.steps, self.outputs = tuple(steps), frozenset(outputs)
        for name, child in net.named_children():
            inside = [step for step in steps if step == name or step.startswith(f"{name}.")]
            if inside:
                self.add_module(name, child)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for step in self.steps:
            x = self.get_submodule(step)(x)
            if step in self.outputs:
                maps.append(x)
        return maps


@register(
    "backbone",
    "torchvision",
    paper="https://docs.pytorch.org/vision/stable/models.html",
    alternatives={"name": ["mobilenet_v3_small", "resnet18"]},
)
class TorchvisionBackbone(Foreign):
    """A torchvision classifier by name.  (B, 3, H, W) in 0..1 -> three maps at strides 8, 16, 32

    `pretrained`: True asks for torchvision's default weights, which wants a network; a path takes a safetensors or
    torch file with torchvision's names. The image is normalised with ImageNet's mean and deviation, pretrained or not.
    Raises UnknownName for a name that torchvision does not know; ConfigError for a network without maps at the three
    strides, and for weights that cannot be had or do not fit.
    """

    def __init__(self, name: str, pretrained: bool | str = False) -> None:
        if name not in names():
            raise UnknownName("torchvision network", name, names(), "the backbone")
        steps, outputs, channels = taps(name)
        whole: Any = torchvision.models.get_model(name, weights=None)
        known = set(whole.state_dict())
        if pretrained is True:
            whole.load_state_dict(_fetched(name))
        net = Trunk(whole, steps, outputs)
        if isinstance(pretrained, str):
            fill(net, known, pretrained, f"torchvision's {name}")
        super().__init__(net, channels, MEAN, STD, pretrained)


def names() -> list[str]:
    """torchvision's classifiers."""
    return list(torchvision.models.list_models(module=torchvision.models))


def taps(name: str) -> Taps:
    """The modules that a network runs one after the other, those of them that are the last at strides 8, 16 and 32, and
    the channels of these.

    Raises ConfigError, with names that do work, where a stride is missing.
    """
    return measured("torchvision", name, names(), _taps, KNOWN)


@lru_cache(maxsize=64)
def _taps(name: str) -> Taps | str:
    """What `taps` says, measured; or why there is nothing to say.

    A module is a step where it takes the very tensor that the step before it gave: nothing happened in between.
    """
    calls: list[tuple[str, Tensor, Any]] = []
    try:
        net = _blank(name).eval()
        image = torch.empty(1, 3, *PROBE, device=next(net.parameters()).device)
        for step, module in _trunk(net):
            module.register_forward_hook(lambda _, given, got, step=step: calls.append((step, given[0], got)))
        with torch.no_grad():
            net(image)
    except Exception as error:  # whatever a network does with a size that it was not made for
        return ended(error)
    chain: list[tuple[str, tuple[int, ...]]] = []
    for step, given, got in calls:
        if given is image and isinstance(got, Tensor):
            chain.append((step, tuple(got.shape)))
            image = got
    chosen = last_at_each_stride([shape for _, shape in chain])
    if len(chosen) < 3:
        strides = [stride_of(shape) for _, shape in chain]
        return f"its maps have strides {', '.join(dict.fromkeys(str(s) for s in strides if s)) or 'of no whole number'}"
    steps = tuple(step for step, _ in chain[: chosen[-1] + 1])
    return steps, tuple(chain[i][0] for i in chosen), tuple(chain[i][1][1] for i in chosen)


def _blank(name: str) -> nn.Module:
    """The network to be measured: without numbers (torch's meta device) where it can be built so."""
    try:
        with torch.device("meta"):
            net: nn.Module = torchvision.models.get_model(name, weights=None)
    except NotImplementedError:  # RegNet computes its widths with tensors
        with torch.random.fork_rng(devices=[]):
            net = torchvision.models.get_model(name, weights=None)
    return net


def _trunk(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """The network's children, and instead of a Sequential what is in it."""
    found = []
    for name, child in net.named_children():
        inner = child.named_children() if isinstance(child, nn.Sequential) else ()
        found += [(f"{name}.{deeper}", module) for deeper, module in inner] or [(name, child)]
    return found


def _fetched(name: str) -> Any:
    try:
        return torchvision.models.get_model_weights(name)["DEFAULT"].get_state_dict(progress=False, check_hash=True)
    except Exception as error:
        raise ConfigError(
            f"the backbone: torchvision cannot fetch the weights of {name}: {type(error).__name__}: "
            f"{first_line(error)}; without a network, give a file that you have: pretrained: path/to/file.safetensors"
        ) from None
