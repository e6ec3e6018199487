"""Weights on disk: safetensors, so that opening a file never runs what is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ablab.errors import ConfigError, StoreError
from ablab.records import write_bytes
from ablab.weights import no_safetensors


def save_weights(
    path: Path, model: nn.Module | Mapping[str, Tensor], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a network's state whole or not at all. `metadata` is JSON-able: recipe, edits, classes.

    Raises StoreError where it cannot be written, or where the state holds something that is not a tensor.
    """
    state: Mapping[str, Any] = model.state_dict() if isinstance(model, nn.Module) else model
    odd = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if odd:
        raise StoreError(f"cannot write {path}: the network's state holds {odd[:5]}, which are not tensors")
    # A copy each: safetensors refuses tensors that share memory, and wants them contiguous.
    tensors = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in state.items()}
    text = {name: json.dumps(value, ensure_ascii=False) for name, value in (metadata or {}).items()}
    write_bytes(path, save(tensors, metadata=text))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read every tensor, on the CPU. Raises StoreError where the file is missing or damaged."""
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping


def load_weights(path: Path, model: nn.Module) -> None:
    """Read a file into the network, in place. Raises StoreError, or ConfigError where it does not fit."""
    restore(model, read_weights(path), str(path))


def read_metadata(path: Path) -> dict[str, Any]:
    """Read what `save_weights` was given as `metadata`, without the tensors. Raises StoreError."""
    with _opened(path) as file:
        text = file.metadata() or {}
    try:
        return {name: json.loads(value) for name, value in text.items()}
    except ValueError:
        raise StoreError(f"{path} was not written by ablab: its metadata is not JSON; expected a run's file") from None


def restore(model: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Put every tensor into the network, in place; raises as `check` does, before anything is changed."""
    check(model, weights, where)
    model.load_state_dict(dict(weights))


def check(model: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Hold tensors against the network's names and shapes; `where` names the file in errors.

    Raises ConfigError naming what is missing, what the network does not know, and what has another shape.
    """
    own = model.state_dict()
    wrong = [
        _some("missing in the file", [n for n in own if n not in weights]),
        _some("unknown to the network", [n for n in weights if n not in own]),
        _some(
            "of another shape",
            [
                f"{n} {tuple(w.shape)}, expected {tuple(own[n].shape)}"
                for n, w in weights.items()
                if n in own and w.shape != own[n].shape
            ],
        ),
    ]
    if any(wrong):
        reasons = "; ".join(reason for reason in wrong if reason)
        raise ConfigError(
            f"{where} does not fit the network: {reasons}; build it from the recipe and edits it was saved with"
        )


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError:
        raise StoreError(f"no file {path}") from None
    except (OSError, SafetensorError) as error:
        if said := no_safetensors(path):
            raise StoreError(
                f"{path} {said}; it was not opened; put the right one back, or delete it and run again"
            ) from None
        raise StoreError(f"{path} is damaged or no safetensors file: {error}; delete it and run again") from None


def _some(what: str, names: list[str], most: int = 4) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return f"{what}: {', '.join(names[:most])}{more}" if names else ""
