"""Structured pruning: whole channels leave a network, with everything that makes, normalises or reads them.

Which layers lose channels together is the dependency graph of Fang et al. 2023 (DepGraph,
https://arxiv.org/abs/2301.12900), by its authors' library torch-pruning. What a channel is worth is the L2 norm of all
weights coupled to it, as there. Each layer loses the same share: so the sizes that come out do not depend on the
weights, and the plan counts and times the pruned network before anything is trained.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError
from ablab.export.extra import need
from ablab.measure.forward import forward, tensors
from ablab.recipe import MOST_PRUNED

LONGEST = 60.0  # seconds to follow all channels; a YOLOv5 takes a tenth of one
MIXERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def left(channels: int, share: float) -> int:
    """How many of a layer's channels stay: the nearest multiple of 8 of 32 or more, of 4 of 16 or more; never none.

    Processors work through channels in blocks of as many, and a block that is not full takes as long as one that is.
    """
    block = 8 if channels >= 32 else 4 if channels >= 16 else 1
    return min(channels, max(block, block * round(channels * (1 - share) / block)))


def prune(network: nn.Module, share: float, example: Tensor) -> nn.Module:
    """A copy of the network, on the CPU and in eval mode, each of whose layers has lost a share of its channels.

    `example` (B, 3, H, W) is what it is called with. Layers whose channels are outputs stay whole, and so does
    what is coupled to them. Raises ConfigError for a share outside (0, 0.9], for a missing package, and for a network
    that cannot be pruned or would lose nothing.
    """
    if not 0 < share <= MOST_PRUNED:
        raise ConfigError(f"prune: expected a share of channels above 0 and at most {MOST_PRUNED:g}, got {share:g}")
    library, name = need("torch_pruning"), type(network).__name__
    whole = copy.deepcopy(network).cpu().eval()
    pruned = copy.deepcopy(whole).requires_grad_(True)  # the graph is read off autograd's
    example = example.cpu()
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            _shrink(library, pruned, share, example)
        same = _outputs(pruned, example) == _outputs(whole, example)
    except Exception as error:  # whatever a network does that the library cannot follow
        raise ConfigError(f"{name} cannot be pruned: {type(error).__name__}: {error}; leave prune out") from error
    if not same:
        raise ConfigError(f"{name} cannot be pruned: its outputs would have other shapes; leave prune out")
    if not sizes(whole, pruned):
        raise ConfigError(f"prune/{share:g} would take no channel of {name}: its layers are too narrow for the share")
    for path, parameter in whole.named_parameters():
        pruned.get_parameter(path).requires_grad_(parameter.requires_grad)
    return pruned


def _shrink(library: Any, network: nn.Module, share: float, example: Tensor) -> None:
    """Prune in place."""
    graph = library.DependencyGraph().build_dependency(network, example)
    widths = {m: graph.get_out_channels(m) for m in graph.module2node if isinstance(m, MIXERS)}
    ends = [m for m in widths if _leaves(graph.module2node[m])]
    _follow(graph, ends)
    # The library keeps the whole part of width * (1 - ratio).
    ratios = {m: max(0.0, 1 - (left(width, share) + 0.5) / width) for m, width in widths.items()}
    library.pruner.BasePruner(
        network,
        example,
        importance=library.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=0.0,
        pruning_ratio_dict=ratios,
        ignored_layers=ends,
    ).step()


def _follow(graph: Any, ends: list[Any]) -> None:
    """Go through all groups once. Where a reshape misleads it the library goes round without an end: raise there."""
    latest = time.monotonic() + LONGEST

    def watched(asked: Callable[[Any], bool]) -> Callable[[Any], bool]:
        def ask(function: Any) -> bool:
            if time.monotonic() > latest:
                raise TimeoutError("its channels cannot be followed: somewhere they are reshaped into places")
            return asked(function)

        return ask

    for node in graph.module2node.values():
        for each in node.dependencies:
            each.is_triggered_by = watched(each.is_triggered_by)
    for _ in graph.get_all_groups(ignored_layers=ends):
        pass


def _leaves(layer: Any) -> bool:
    """Whether what a layer makes reaches the network's outputs without another layer that mixes channels."""
    ahead, seen = [layer], {layer}
    while ahead:
        node = ahead.pop()
        if not node.outputs:
            return True
        for after in node.outputs:
            mixes = isinstance(after.module, MIXERS) and getattr(after.module, "groups", 1) == 1
            if after not in seen and not mixes:
                seen.add(after)
                ahead.append(after)
    return False


def _outputs(network: nn.Module, example: Tensor) -> list[torch.Size]:
    with torch.inference_mode():
        return [each.shape for each in tensors(forward(network, example))]


def sizes(whole: nn.Module, pruned: nn.Module) -> dict[str, dict[str, Any]]:
    """{module: {attribute: number or numbers}} of what pruning changed, such as `out_channels`."""
    known = dict(whole.named_modules())
    found = {
        name: {key: value for key, value in vars(module).items() if _counts(value) and value != vars(known[name])[key]}
        for name, module in pruned.named_modules()
    }
    return {name: changed for name, changed in found.items() if changed}


def _counts(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_counts, value))
    return isinstance(value, int) and not isinstance(value, bool)


def resize(network: nn.Module, changed: dict[str, dict[str, Any]], weights: dict[str, Tensor]) -> None:
    """Give a network, in place, the sizes of a pruned one: its `sizes`, and the shapes of its weights.

    What numbers it then holds is of no account: the weights are loaded next. Raises ConfigError where they are another
    network's.
    """
    for path, attributes in changed.items():
        module = dict(network.named_modules()).get(path)
        for name, value in attributes.items():
            new = tuple(value) if isinstance(value, list) else value
            if module is None or not (_counts(getattr(module, name, None)) and _counts(new)):
                raise ConfigError(f"the weights are of a pruned network that has {path}.{name}, and this one has not")
            setattr(module, name, new)
    for path, tensor in network.state_dict().items():
        if path in weights and weights[path].shape != tensor.shape:
            owner, _, name = path.rpartition(".")
            module = network.get_submodule(owner)
            empty = torch.zeros(weights[path].shape, dtype=tensor.dtype)
            if name in module._parameters:
                setattr(module, name, nn.Parameter(empty, requires_grad=module.get_parameter(name).requires_grad))
            else:
                module._buffers[name] = empty
