"""Globs over parameter names: `backbone.*`, `*.bias`."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn

from ablab.errors import ConfigError, suggest


def names(model: nn.Module) -> dict[str, nn.Parameter]:
    """Every parameter under every name that it has: one that several modules share has several."""
    return dict(model.named_parameters(remove_duplicate=False))


def matching(glob: str, known: Iterable[str], where: str) -> list[str]:
    """The names that a glob means. Raises ConfigError with the nearest where there is none; `where` is the setting."""
    known = list(known)
    found = [name for name in known if fnmatchcase(name, glob)]
    if not found:
        raise ConfigError(f"{where}: '{glob}' matches no parameter's name{suggest(glob, _words(known))}")
    return found


def _words(known: Iterable[str]) -> set[str]:
    """The names, and a glob for each module on the way to them: what somebody may have meant."""
    words = set(known)
    for name in known:
        parts = name.split(".")
        words |= {".".join(parts[:depth]) + ".*" for depth in range(1, len(parts))}
    return words
