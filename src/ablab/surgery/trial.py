"""Build a part for a site and try it alone, on what the site sees, before it goes in."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ablab import registry
from ablab.errors import SurgeryError, UserError
from ablab.measure.seeding import forked
from ablab.recipe import Edit
from ablab.streams import Key
from ablab.surgery.probe import Call
from ablab.surgery.structure import Shape, first_shape, outline, tensors, with_tensors


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


def feed(edit: Edit, site: str, call: Call) -> Feed:
    """What a part at `site` receives in `call`.

    Raises SurgeryError where something is to be inserted and there is no single map to insert it on.
    """
    if edit.op != "insert":
        return Feed(call.args, call.kwargs, call.output, call.linear_input)
    value = call.output if edit.after else call.args[0] if call.args else None
    if not isinstance(value, Tensor):
        side = "gives" if edit.after else "takes"
        count = len(list(tensors(value)))
        raise SurgeryError(
            f"{edit}: a part works on one tensor, but {site} {side} {type(value).__name__} with {count} tensors; name "
            f"the modules inside it that make single maps"
        )
    return Feed((value,), {}, value, call.linear_output if edit.after else call.linear_input)


def build(edit: Edit, site: str, feeds: Sequence[Feed], key: Key) -> nn.Module:
    """Build the edit's part for a site, under a seed of the site's own, where its input is (device and dtype).

    Raises SurgeryError where it cannot be built; ConfigError for an argument that it does not take.
    """
    part = str(edit.part)
    entry = registry.get(part)
    args = dict(edit.args)
    for name, fact in entry.host.items():
        if name not in args and fact == "channels":
            args[name] = _channels(part, site, feeds)
    with forked("init", *key, site):
        try:
            built = registry.make(part, **args)
        except UserError:
            raise
        except Exception as error:
            given = ", ".join(f"{name}={value!r}" for name, value in args.items())
            raise SurgeryError(f"{site}: {part}({given}) cannot be built: {type(error).__name__}: {error}") from error
    if not isinstance(built, nn.Module):
        raise SurgeryError(f"{site}: {part} makes a {type(built).__name__}, not a torch.nn.Module")
    here = next(tensors((feeds[0].args, feeds[0].kwargs)), torch.zeros(()))
    return built.to(here.device, here.dtype if here.is_floating_point() else None)


def _channels(part: str, site: str, feeds: Sequence[Feed]) -> int:
    shapes = list(dict.fromkeys(feed.shape for feed in feeds))
    widths = {shape[1] for shape in shapes if len(shape) > 1}
    listed = ", ".join(map(str, shapes))
    if any(feed.channels_last and len(feed.shape) > 2 for feed in feeds):
        raise SurgeryError(
            f"{site}: {part} counts channels on axis 1 of (B, C, ...), but the map here comes from a linear layer or "
            f"layer norm, with its channels on the last axis: {listed}; choose a part that takes no channels"
        )
    if len(widths) != 1:
        raise SurgeryError(
            f"{site}: {part} wants one number of channels, but the calls that it would serve bring {listed}; give each "
            f"call a module of its own in the network, or choose a part that takes no channels"
        )
    return widths.pop()


def try_alone(part: nn.Module, name: str, site: str, feeds: Sequence[Feed]) -> None:
    """Run a copy of the part on each distinct input: shapes and dtypes kept, values finite, all parameters reached.

    Raises SurgeryError that names the site, the expected and the actual shape, and what to do.
    """
    for each in {outline((one.args, one.kwargs)): one for one in feeds}.values():
        with forked("trial"), torch.enable_grad():
            _try(copy.deepcopy(part).eval(), f"{site}: {name}", each)


def _try(part: nn.Module, what: str, feed: Feed) -> None:
    args, kwargs = with_tensors((feed.args, dict(feed.kwargs)), _on_graph)
    given, expected = outline(list(feed.args)), outline(feed.expected)
    output = _call(part, what, given, expected, args, kwargs)
    if outline(output) != expected:
        raise SurgeryError(
            f"{what} turns {given} into {outline(output)}, expected {expected}; make the part keep what stood here "
            f"gave, or choose another site"
        )
    if _finite((feed.args, feed.kwargs)) and not _finite(output):
        raise SurgeryError(f"{what} gives NaN or inf on {given}, which is finite; its arithmetic overflows")
    wanted = {n: p for n, p in part.named_parameters() if p.requires_grad}
    total = sum((t.sum() for t in tensors(output) if t.requires_grad), start=torch.zeros(()))
    if isinstance(total, Tensor) and total.requires_grad:
        total.backward()  # type: ignore[no-untyped-call]
    unreached = [n for n, p in wanted.items() if p.grad is None]
    if unreached:
        raise SurgeryError(
            f"{what}: no gradient reaches {', '.join(unreached)}, which would never learn; use or drop it"
        )


def _call(part: Callable[..., Any], what: str, given: str, expected: str, args: Any, kwargs: Any) -> Any:
    try:
        return part(*args, **kwargs)
    except UserError:
        raise
    except Exception as error:
        raise SurgeryError(
            f"{what} fails on its input {given} (expected output {expected}): {type(error).__name__}: {error}; choose "
            f"a part for such an input, or narrow the edit with 'within'"
        ) from error


def _on_graph(tensor: Tensor) -> Tensor:
    """A copy in the graph that is not a leaf, so that a part may write in place."""
    return tensor.clone().requires_grad_().clone() if tensor.is_floating_point() else tensor.clone()


def _finite(value: Any) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors(value))
