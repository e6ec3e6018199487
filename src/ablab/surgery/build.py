"""Build a part for a site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from ablab import registry
from ablab.errors import ConfigError, SurgeryError, UserError
from ablab.measure.forward import tensors
from ablab.measure.seeding import forked
from ablab.recipe import Edit
from ablab.registry import Entry
from ablab.streams import Key
from ablab.surgery.feed import Feed


def build(edit: Edit, entry: Entry, args: Mapping[str, Any], site: str, feeds: Sequence[Feed], key: Key) -> nn.Module:
    """Build an edit's part for a site, under a seed of the site's own, where its input is (device and dtype).

    A module among the arguments, which the part stands around, stays as it is. Raises SurgeryError where the part
    cannot be built; ConfigError for an argument that it does not take, or a value that it refuses.
    """
    part = str(edit.part)
    with forked("init", *key, site):
        try:
            built = registry.make(entry.name, entry.slot or None, **args)
        except UserError as error:
            raise ConfigError(f"{site}: {error}" if part in str(error) else f"{site}: {part}: {error}") from error
        except Exception as error:
            given = ", ".join(f"{name}={_short(value)}" for name, value in args.items())
            raise SurgeryError(f"{site}: {part}({given}) cannot be built: {type(error).__name__}: {error}") from error
    if not isinstance(built, nn.Module):
        raise SurgeryError(f"{site}: {part} makes a {type(built).__name__}, not a torch.nn.Module")
    theirs = [value for value in args.values() if isinstance(value, nn.Module)]
    _move(built, next(tensors((feeds[0].args, feeds[0].kwargs)), torch.zeros(())), theirs)
    return built


def _short(value: Any) -> str:
    return type(value).__name__ if isinstance(value, nn.Module) else repr(value)


def _move(part: nn.Module, like: Tensor, theirs: Sequence[nn.Module]) -> None:
    """Take a part's own tensors, not those of modules that it was given, to a tensor's device and precision."""
    dtype = like.dtype if like.is_floating_point() else None
    if not theirs:
        part.to(like.device, dtype)
        return
    given = {id(tensor) for module in theirs for tensor in chain(module.parameters(), module.buffers())}
    for owner in part.modules():
        for parameter in owner.parameters(recurse=False):
            if id(parameter) not in given:
                parameter.data = parameter.data.to(like.device, dtype)
        for name, buffer in owner.named_buffers(recurse=False):
            if id(buffer) not in given:
                setattr(owner, name, buffer.to(like.device, dtype if buffer.is_floating_point() else None))
