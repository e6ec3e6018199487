"""Try a part alone, on what its site sees, before it goes in."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ablab.errors import SurgeryError, UserError
from ablab.measure.forward import still, tensors
from ablab.measure.seeding import forked
from ablab.surgery.feed import Feed
from ablab.surgery.structure import outline, with_tensors


def try_alone(
    part: nn.Module, what: str, feeds: Sequence[Feed], learns: Collection[str], old: nn.Module | None = None
) -> None:
    """Run a copy of the part on each distinct input: shapes and dtypes kept, values finite, gradients through.

    `learns` names the parameters that a gradient must reach. What stood there (`old`) may have cut the gradient before,
    and then the part may. Raises SurgeryError that names the site, the expected and the actual shape, and what to do.
    """
    for each in {outline((one.args, one.kwargs)): one for one in feeds}.values():
        with forked("trial"), torch.enable_grad():
            _try(copy.deepcopy(part).eval(), what, each, learns, old)


def try_values(part: nn.Module, what: str, feeds: Sequence[Feed]) -> None:
    """For a part like one that was tried on such shapes: its values are finite here too. Raises SurgeryError."""
    for each in feeds:
        args, kwargs = with_tensors((each.args, dict(each.kwargs)), Tensor.clone)
        with forked("trial"), still(part), torch.no_grad():
            _assert_finite(what, each, part(*args, **kwargs))


def _assert_finite(what: str, feed: Feed, output: Any) -> None:
    if not _finite(output) and _finite((feed.args, feed.kwargs)):
        given = outline(list(feed.args))
        raise SurgeryError(f"{what} gives NaN or inf on {given}, which is finite; its arithmetic overflows")


def _try(part: nn.Module, what: str, feed: Feed, learns: Collection[str], old: nn.Module | None) -> None:
    leaves: list[Tensor] = []
    args, kwargs = with_tensors((feed.args, dict(feed.kwargs)), partial(_on_graph, leaves))
    given, expected = outline(list(feed.args)), outline(feed.expected)
    output = _call(part, what, given, expected, args, kwargs)
    if outline(output) != expected:
        raise SurgeryError(
            f"{what} turns {given} into {outline(output)}, expected {expected}; make the part keep what stood here "
            f"gave, or choose another site"
        )
    _assert_finite(what, feed, output)
    total = sum((t.sum() for t in tensors(output) if t.requires_grad), start=torch.zeros(()))
    if isinstance(total, Tensor) and total.requires_grad:
        total.backward()  # type: ignore[no-untyped-call]
    unreached = [n for n, p in part.named_parameters() if n in learns and p.grad is None]
    if unreached:
        raise SurgeryError(
            f"{what}: no gradient reaches {', '.join(unreached)}, which would never learn; use or drop it"
        )
    if leaves and all(leaf.grad is None for leaf in leaves) and (old is None or _carries_gradient(old, feed)):
        raise SurgeryError(
            f"{what} passes no gradient on to its input {given}, so nothing before it would learn; drop the detach"
        )


def _call(part: Callable[..., Any], what: str, given: str, expected: str, args: Any, kwargs: Any) -> Any:
    try:
        return part(*args, **kwargs)
    except UserError:
        raise
    except Exception as error:
        raise SurgeryError(
            f"{what} fails on its input {given} (expected output {expected}): {type(error).__name__}: {error}; choose "
            f"a part for such an input, or narrow the edit with 'within' or 'but'"
        ) from error


def _carries_gradient(old: nn.Module, feed: Feed) -> bool:
    leaves: list[Tensor] = []
    args, kwargs = with_tensors((feed.args, dict(feed.kwargs)), partial(_on_graph, leaves))
    outputs = [t for t in tensors(copy.deepcopy(old).eval()(*args, **kwargs)) if t.requires_grad]
    grads = torch.autograd.grad([t.sum() for t in outputs], leaves, allow_unused=True) if outputs else ()
    return any(grad is not None for grad in grads)


def _on_graph(leaves: list[Tensor], tensor: Tensor) -> Tensor:
    """A copy in the graph that is not a leaf, so that a part may write in place; its leaf is kept."""
    if not tensor.is_floating_point():
        return tensor.clone()
    leaves.append(tensor.detach().clone().requires_grad_())
    return leaves[-1].clone()


def _finite(value: Any) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors(value))


def try_among_others(part: nn.Module, what: str, feed: Feed, old: nn.Module | None = None) -> None:
    """In evaluation mode what a sample gives may not depend on the samples beside it (trap 22).

    Where what stood there did depend on them, as a network may that has its samples on another axis, so may the part.
    Raises SurgeryError.
    """
    reason = _dependence(part, feed)
    if reason and (old is None or not _dependence(old, feed)):
        raise SurgeryError(f"{what}: in evaluation mode {reason} on {outline(list(feed.args))}; use running statistics")


def _dependence(module: nn.Module, feed: Feed) -> str:
    """How the module's output depends on the batch; '' where it does not, or where there is no batch to see it on."""
    x = feed.only
    if x is None or not _finite(x):
        return ""
    module = copy.deepcopy(module).eval()
    with forked("trial"), torch.no_grad():
        alone = module(x.clone())
        try:
            among = module(torch.cat((x, 3 * x.flip(0) + 1)))
        except Exception as error:
            return f"it fails on twice as many samples ({type(error).__name__}: {error})"
    if not isinstance(alone, Tensor) or alone.shape[:1] != x.shape[:1]:
        return ""
    worst = float((among[: len(x)] - alone).abs().max())
    if worst <= torch.finfo(x.dtype).eps ** 0.5 * max(float(alone.abs().max()), 1e-6):
        return ""
    return f"a sample changes by {worst:.2g} with the samples beside it"
