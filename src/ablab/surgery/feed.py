"""What a site feeds to the part that stands there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ablab.errors import SurgeryError
from ablab.measure.forward import tensors
from ablab.recipe import Edit
from ablab.surgery.probe import Call
from ablab.surgery.structure import Shape, first_shape


@dataclass(frozen=True)
class Feed:
    """What a part will receive in one call, and what must come out (its shapes and dtypes count)."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    expected: Any
    channels_last: bool

    @property
    def shape(self) -> Shape:
        """Of the first tensor."""
        return first_shape((self.args, self.kwargs))

    @property
    def expected_shape(self) -> Shape:
        """Of the first tensor that must come out."""
        return first_shape(self.expected)

    @property
    def only(self) -> Tensor | None:
        """The one map that the part receives, where it is floating-point and the part receives nothing else."""
        alone = self.args[0] if len(self.args) == 1 and not self.kwargs else None
        return alone if isinstance(alone, Tensor) and alone.is_floating_point() and alone.dim() > 1 else None


def feed(edit: Edit, site: str, call: Call) -> Feed:
    """What a part at `site` receives in `call`.

    Raises SurgeryError where something is to be inserted and there is no single map to insert it on.
    """
    if edit.op != "insert":
        return Feed(call.args, call.kwargs, call.output, call.input_channels_last)
    value = call.output if not edit.before else call.args[0] if call.args else None
    if not isinstance(value, Tensor):
        side = "takes" if edit.before else "gives"
        count = len(list(tensors(value)))
        raise SurgeryError(
            f"{edit}: a part works on one tensor, but {site} {side} {type(value).__name__} with {count} tensors; name "
            f"the modules inside it that make single maps"
        )
    return Feed((value,), {}, value, call.input_channels_last if edit.before else call.output_channels_last)
