"""Parameter groups and optimizers (trap 5)."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ablab import registry
from ablab.engine.naming import matching, names
from ablab.errors import ConfigError, RunError, suggest
from ablab.recipe import OptimizerRecipe, TrainRecipe

SECTION = ("lr", "momentum", "weight_decay")  # what the recipe's section says itself, not under `args`


def groups(model: nn.Module, weight_decay: float, rates: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """Trainable parameters in groups by decay and by `factor`, which multiplies the learning rate.

    Tensors of two or more dimensions decay, the others do not: norms, biases and per-channel slopes are
    one-dimensional, whatever their modules are called (as in nanoGPT). A parameter that several modules share is in
    once. Raises ConfigError where a glob of `rates` matches nothing, or nothing that an earlier one left.
    """
    factors = _factors(model, rates or {})
    made: dict[tuple[float, float], list[nn.Parameter]] = {}
    for factor in dict.fromkeys([1.0, *factors.values()]):
        made |= {(weight_decay, factor): [], (0.0, factor): []}
    for parameter in model.parameters():
        if parameter.requires_grad:
            decay = weight_decay if parameter.dim() >= 2 else 0.0
            made[decay, factors.get(id(parameter), 1.0)].append(parameter)
    return [
        {"params": params, "weight_decay": decay, "factor": factor}
        for (decay, factor), params in made.items()
        if params
    ]


def _factors(model: nn.Module, rates: Mapping[str, float]) -> dict[int, float]:
    """{id of a parameter: factor}, by the first glob that matches."""
    known = names(model)
    found: dict[int, float] = {}
    for glob, factor in rates.items():
        new = {id(known[name]) for name in matching(glob, known, "optimizer.rates")} - set(found)
        if not new:
            raise ConfigError(f"optimizer.rates: '{glob}' would do nothing: globs before it match all that it matches")
        found |= dict.fromkeys(new, factor)
    return found


def optimizer(model: nn.Module, recipe: OptimizerRecipe) -> Optimizer:
    """The part that the recipe names, over every trainable parameter.

    Raises ConfigError where nothing is trainable, a glob of `rates` does nothing, or the part does not take what the
    recipe says; UnknownName for a name that the slot lacks; RunError where `verify` finds a gap.
    """
    entry = registry.get(recipe.name, "optimizer")
    given = _arguments(entry, recipe)
    params = groups(model, recipe.weight_decay, recipe.rates)
    if not params:
        raise ConfigError("the network has no trainable parameter; there is nothing to train")
    try:
        made: Optimizer = entry.build(params=params, **given)
    except (TypeError, ValueError) as error:  # how torch and timm refuse an argument's value
        raise ConfigError(f"optimizer '{recipe.name}' cannot be built from the recipe: {error}") from None
    verify(made, model)
    return made


def _arguments(entry: registry.Entry, recipe: OptimizerRecipe) -> dict[str, Any]:
    """What the part is given besides its parameters: nothing that it does not take, and all that the recipe says."""
    own = [name for name in entry.arguments if name not in ("params", *SECTION)]
    for name in recipe.args:
        if name in SECTION:
            raise ConfigError(f"optimizer.args.{name}: write it as optimizer.{name}")
        if name not in own:
            raise ConfigError(f"optimizer.args: '{recipe.name}' takes no '{name}'{suggest(name, own)}")
    said = {name: getattr(recipe, name) for name in SECTION}
    for name, nothing in {"momentum": None, "weight_decay": 0.0}.items():
        if name not in entry.arguments and said[name] != nothing:
            value = "null" if nothing is None else "0"
            raise ConfigError(f"the optimizer '{recipe.name}' has no {name}: set optimizer.{name} to {value}")
    return {name: value for name, value in said.items() if name in entry.arguments and value is not None} | recipe.args


def searches(made: Optimizer) -> bool:
    """Whether its step evaluates the batch again and again, so that it cannot do without a closure (L-BFGS)."""
    closure = inspect.signature(type(made).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def check(made: Optimizer, train: TrainRecipe) -> None:
    """Raise ConfigError where the loop's settings do not suit an optimizer that searches."""
    if not searches(made):
        return
    name = type(made).__name__
    if train.clip_norm is not None or train.clip_value is not None:
        raise ConfigError(
            f"{name} measures curvature by gradients, which clipping would falsify: set train.clip_norm and "
            "train.clip_value to null"
        )
    if train.precision == "fp16":
        raise ConfigError(f"{name} evaluates a batch several times, which fp16's loss scaling cannot: use bf16 or fp32")


def verify(made: Optimizer, model: nn.Module) -> None:
    """Raise RunError unless the optimizer holds every trainable parameter of the model exactly once, and no other."""
    known = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
    held = Counter(id(p) for group in made.param_groups for p in group["params"])
    missing = [name for key, name in known.items() if key not in held]
    twice = [known.get(key, "?") for key, count in held.items() if count > 1]
    foreign = sum(key not in known for key in held)
    if missing or twice or foreign:
        raise RunError(
            f"the optimizer must hold each of {len(known)} trainable parameters once: missing {missing[:5]}, "
            f"twice {twice[:5]}, not of this network {foreign}; build it after the network's last edit"
        )


def clip(made: Optimizer, norm: float | None, value: float | None = None) -> Tensor:
    """Scale all gradients down to a joint 2-norm of at most `norm`, then cut each entry to +-`value`.

    Returns the norm before both, a scalar: what is not finite must be seen.
    """
    params = [p for group in made.param_groups for p in group["params"]]  # walking the network takes 2 ms
    before = torch.nn.utils.clip_grad_norm_(params, float("inf") if norm is None else norm)
    if value is not None:
        torch.nn.utils.clip_grad_value_(params, value)
    return before


def set_rate(made: Optimizer, rate: float) -> None:
    """Set every group's learning rate: `rate` times the group's factor."""
    for group in made.param_groups:
        group["lr"] = rate * group["factor"]


def state(made: Optimizer, model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What the optimizer remembers, {"exp_avg/NAME": tensor}, and what of it is no tensor, as JSON.

    NAME is a parameter's, or "#0" for the first group; "ro.3/NAME" is the fourth of a list.
    """
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for name, memory in _memories(made, model).items():
        for kind, value in memory.items():
            for key, leaf in _leaves(kind, value):
                if isinstance(leaf, Tensor):
                    tensors[f"{key}/{name}"] = leaf
                else:
                    plain[f"{key}/{name}"] = leaf
    return tensors, plain


def _memories(made: Optimizer, model: nn.Module) -> dict[str, dict[str, Any]]:
    """{name: what is remembered of it}; of a group, what stands in it besides settings."""
    found = {name: made.state[parameter] for name, parameter in model.named_parameters() if parameter in made.state}
    settings = {"params", "factor", *made.defaults}
    for name, group in _groups(made).items():
        found[name] = {kind: value for kind, value in group.items() if kind not in settings}
    return found


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and value:
        for at, each in enumerate(value):
            yield from _leaves(f"{key}.{at}", each)
    else:
        yield key, value


def restore(made: Optimizer, model: nn.Module, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
    """Put back what `state` gave, laid out in memory as its parameter is: fused kernels walk over both alike.

    Raises ConfigError, before anything is changed, for a name that the network does not have or a shape that is none of
    its parameter's.
    """
    known: dict[str, Any] = {**dict(model.named_parameters()), **_groups(made)}
    everything = sum(p.numel() for group in made.param_groups for p in group["params"])
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for key, value in {**tensors, **plain}.items():
        path, name = key.split("/", 1)
        if name not in known or not _fits(value, known[name], everything):
            raise ConfigError(f"the optimizer's state does not fit the network: {key} {getattr(value, 'shape', value)}")
        kind, _, at = path.partition(".")
        found.setdefault((name, kind), {})[at] = value
    for (name, kind), leaves in found.items():
        memory = known[name] if isinstance(known[name], dict) else made.state[known[name]]
        placed = {at: _placed(leaf, known[name], made) for at, leaf in leaves.items()}
        memory[kind] = placed[""] if "" in placed else [placed[str(at)] for at in range(len(placed))]


def _groups(made: Optimizer) -> dict[str, dict[str, Any]]:
    return {f"#{number}": group for number, group in enumerate(made.param_groups)}


def _fits(value: Any, owner: nn.Parameter | dict[str, Any], everything: int) -> bool:
    """Whether a parameter may have such a memory: of its shape, of fewer dimensions, or (L-BFGS) of all parameters."""
    if isinstance(owner, dict) or not isinstance(value, Tensor):
        return True
    return value.shape == owner.shape or value.dim() < owner.dim() or value.shape == (everything,)


def _placed(value: Any, owner: nn.Parameter | dict[str, Any], made: Optimizer) -> Any:
    """A kept value in the memory layout and on the device where the optimizer had it."""
    if not isinstance(value, Tensor):
        return value
    if isinstance(owner, dict):
        return value.clone()
    if value.shape == owner.shape:
        return torch.empty_like(owner, dtype=value.dtype, requires_grad=False).copy_(value)
    on_card = value.dim() or any(group.get("fused") or group.get("capturable") for group in made.param_groups)
    return value.to(owner.device if on_card else "cpu", copy=True)  # torch counts steps on the CPU unless told not to
