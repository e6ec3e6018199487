"""A part as its contract examines it: built again and again, always from the same seed, and fed with fixed draws."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ablab.errors import ContractError
from ablab.measure.seeding import forked
from ablab.registry import Entry
from ablab.streams import torch_seed

CHANNELS = 64


@dataclass(frozen=True)
class Specimen:
    """A registered part and the arguments that the contract gives it beyond the host's."""

    entry: Entry
    args: dict[str, Any]

    def build(self, channels: int = CHANNELS, **args: Any) -> Any:
        """Make one, with the channels that a host would supply; equal arguments give equal weights."""
        given = self.args | args
        if "channels" in self.entry.arguments:
            given = {"channels": channels} | given
        with forked("specimen", self.entry.slot, self.entry.name):
            return self.entry.build(**given)


def specimen(entry: Entry) -> Specimen:
    """Take a part as it is by default; an argument without default gets the first of its declared `alternatives`."""
    args = {}
    for name, parameter in entry.arguments.items():
        if name != "channels" and parameter.default is inspect.Parameter.empty:
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
