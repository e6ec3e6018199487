"""A part as its contract examines it: built again and again, always from the same seed, and fed with fixed draws."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ablab.errors import ContractError
from ablab.measure.seeding import forked
from ablab.registry import Entry
from ablab.streams import torch_seed

CHANNELS = 64
# What a site tells a part, where the contract is the host.
FACTS: dict[str, Any] = {
    "channels": CHANNELS,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "kernel_size": 3,
    "stride": 1,
    "padding": 1,
    "dilation": 1,
    "groups": 1,
    "bias": False,
}
# Slots whose parts stand in a network.
MODULES = ("activation", "attention", "conv", "upsample", "norm", "dropout", "wrapper", "backbone")


@dataclass(frozen=True)
class Specimen:
    """A registered part and the arguments that the contract gives it beyond the host's."""

    entry: Entry
    args: dict[str, Any]

    def build(self, **args: Any) -> Any:
        """Make one at a site of FACTS; `args` are other facts, or arguments. Equal ones give equal weights."""
        own = self.entry.arguments
        facts = FACTS | {name: args.pop(name) for name in list(args) if name in FACTS and name not in own}
        if "inner" in self.entry.host.values():
            facts["inner"] = inner(args.get("channels", facts["channels"]))
        given = {name: facts[fact] for name, fact in self.entry.host.items() if fact in facts} | self.args | args
        with forked("specimen", self.entry.slot, self.entry.name):
            built = self.entry.build(**given)
        if self.entry.slot in MODULES and not isinstance(built, nn.Module):
            raise ContractError(f"it makes a {type(built).__name__}, expected a torch.nn.Module; subclass nn.Module")
        return built


def inner(channels: int) -> nn.Module:
    """What the contract gives to a wrapper: a convolution that keeps the shape.  (B, C, H, W) -> (B, C, H, W)"""
    with forked("specimen", "inner"):
        return nn.Conv2d(channels, channels, 3, padding=1)


def specimen(entry: Entry) -> Specimen:
    """Take a part as it is by default; an argument without default gets the first of its declared `alternatives`."""
    args = {}
    for name, parameter in entry.arguments.items():
        if parameter.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            raise ContractError(f"it takes {parameter}, which would swallow a typo; name each argument")
        if name not in entry.host and parameter.default is inspect.Parameter.empty:
            declared = entry.traits.get("alternatives", {}).get(name)
            if not declared:
                raise ContractError(
                    f"its argument '{name}' has no default, so nothing can be checked; give it one, or register with "
                    f"alternatives={{'{name}': [some, values]}}"
                )
            args[name] = declared[0]
    return Specimen(entry, args)


def draw(*shape: int, dtype: torch.dtype = torch.float32, salt: int = 0) -> Tensor:
    """Standard normal numbers, the same ones for the same shape and salt."""
    generator = torch.Generator().manual_seed(torch_seed("draw", salt, *shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)
