"""The maps of a network at chosen places: outputs of named modules, or what the network itself gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from ablab.diagnose.network.running import watched
from ablab.errors import ConfigError, UnknownName
from ablab.measure.forward import tensors


def maps(model: nn.Module, images: Tensor, at: Sequence[str] = ()) -> dict[str, Tensor]:
    """Run the model once and keep its maps (B, C, h, w), in the model's present mode, with their gradient graph.

    `at` names modules, whose outputs are kept (of the last call, where there are several); without it, the network's
    own outputs are. A module that gives several maps has them numbered: `head.0`, `head.1`.

    Raises UnknownName for a module that the network has not, ConfigError where a place gives no map.
    """
    kept: dict[str, Any] = {}
    modules = dict(model.named_modules())
    for name in at:
        if name not in modules:
            raise UnknownName("module", name, modules, type(model).__name__)
    with watched({name: modules[name] for name in at}, kept.__setitem__):
        output = model(images)
    if missing := [name for name in at if name not in kept]:
        raise ConfigError(f"{', '.join(missing)} of {type(model).__name__} did not run on these images; name others")
    found: dict[str, Tensor] = {}
    for name, value in [(name, kept[name]) for name in at] or [("output", output)]:
        here = [tensor for tensor in tensors(value) if tensor.dim() == 4]
        if not here:
            raise ConfigError(
                f"{name} of {type(model).__name__} gives no map (B, C, h, w); name modules that do, such as "
                f"{', '.join(_givers(model))}"
            )
        found |= {name if len(here) == 1 else f"{name}.{i}": tensor for i, tensor in enumerate(here)}
    return found


def _givers(model: nn.Module, most: int = 3) -> Iterator[str]:
    """Some convolutions, the last ones first."""
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    yield from names[::-1][:most] or ["(none found)"]
