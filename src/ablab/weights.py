"""Tensors from files that others wrote, never code: safetensors, and torch files without unpickling.

    read(path) -> Weights(path, form, tensors, taken_off)

A torch file is opened with `weights_only=True`, which knows tensors and plain containers and refuses everything that
would have to be run. What training tools wrap around a state is taken off: `state_dict`, `model`, `ema`, and the
prefixes of DDP and `torch.compile`.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ablab.errors import ConfigError, suggest

# Where training tools keep a network's state, the averaged one first; as timm's loader does.
NESTS = (
    "state_dict_ema", "model_ema", "ema_state_dict", "ema", "params_ema",
    "state_dict", "model_state_dict", "model", "module", "network", "net", "params", "weights",
)  # fmt: skip
WRAPPERS = ("module.", "_orig_mod.")  # DDP and torch.compile
EXPORT = (
    "in the tool that made it, write the bare tensors: safetensors.torch.save_file(model.state_dict(), "
    "'weights.safetensors'), or torch.save(model.state_dict(), 'weights.pt')"
)


@dataclass(frozen=True)
class Weights:
    """The tensors of a file by name, on the CPU; `taken_off` is what stood around or before their names."""

    path: Path
    form: str
    tensors: dict[str, Tensor] = field(repr=False)
    taken_off: tuple[str, ...] = ()


def locate(path: Path) -> Path:
    """The file that a path means: itself, or the weights in a run's folder.

    Raises ConfigError where there is none, with the nearest name.
    """
    if path.is_file():
        return path
    inside = path / "weights.safetensors"
    if inside.is_file():
        return inside
    if path.is_dir():
        found = sorted(str(each.parent) for each in path.rglob("weights.safetensors"))
        shown = f"; it holds these runs: {', '.join(found[:6])}" if found else "; give the file itself"
        raise ConfigError(f"{path} is a folder without weights.safetensors{shown}")
    near = suggest(path.name, [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else [])
    raise ConfigError(f"no file {path}{near}")


def read(path: Path) -> Weights:
    """Read a safetensors or torch file, or the weights of a run's folder.

    Raises ConfigError for a file that is missing, empty, damaged, of another kind, or that could only be opened by
    running what is in it.
    """
    path = locate(path)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None
    if not head:
        raise ConfigError(f"{path} is empty; copy or download it again")
    if head[8:9] == b"{" or path.suffix == ".safetensors":
        return Weights(path, "safetensors", *_bare(_safetensors(path), path))
    return Weights(path, "torch", *_bare(_torch(path, head), path))


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError) as error:
        if said := no_safetensors(path):
            raise ConfigError(f"{path} {said}; copy or download it again, or {EXPORT}") from None
        raise ConfigError(f"{path} is damaged or no safetensors file: {error}; copy or download it again") from None


def no_safetensors(path: Path) -> str:
    """A sentence about a file that begins as anything but a safetensors file; empty where it may be one, or is cut off.

    A safetensors file begins with the length of its header in eight bytes, and then `{`.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError:
        return ""
    if len(head) < 9 or head[8:] == b"{":
        return ""
    pickle = head[:1] == b"\x80" or head[:2] == b"PK"  # protocol 2 and later; a zip is what torch puts its own into
    return "is no safetensors file" + (" (it looks like a pickle)" if pickle else "")


def _torch(path: Path, head: bytes) -> Any:
    if head[:2] == b"PK":
        _refuse_archive(path)
    elif head[:1] != b"\x80":  # a pickle's first byte, which is how torch files before 1.6 begin
        raise ConfigError(f"{path} is neither a safetensors nor a torch file: it begins with {head!r}; {EXPORT}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        said = str(error)
        inside = re.search(r"(?:Unsupported global: GLOBAL|Unsupported class|global) ([\w.]+\.[\w.]+)", said)
        if inside:
            raise ConfigError(
                f"{path} holds more than tensors: to open it, Python would have to run code ({inside[1]}), and that is "
                f"never done; {EXPORT}"
            ) from None
        raise ConfigError(
            f"{path} is damaged or no torch file: {type(error).__name__}: {said.strip().splitlines()[0][:200]}; copy "
            f"or download it again, or {EXPORT}"
        ) from None


def _refuse_archive(path: Path) -> None:
    """A zip must be one that `torch.save` wrote."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.rpartition("/")[2] for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError) as error:
        raise ConfigError(f"{path} is damaged or cut off: {error}; copy or download it again") from None
    if "constants.pkl" in names:
        raise ConfigError(f"{path} is a TorchScript archive: a program, not weights; {EXPORT}")
    if "data.pkl" not in names:
        raise ConfigError(f"{path} is a zip archive, but not one that torch.save wrote; {EXPORT}")


def _bare(value: Any, path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors of what a file holds, without what training tools put around them; and what that was."""
    taken_off = []
    while isinstance(value, Mapping) and (nest := _nest(value)):
        value = value[nest]
        taken_off.append(nest)
    tensors = {str(k): v for k, v in value.items() if isinstance(v, Tensor)} if isinstance(value, Mapping) else {}
    if not tensors:
        held = ", ".join(map(str, list(value)[:8])) if isinstance(value, Mapping) else type(value).__name__
        raise ConfigError(f"{path} holds no tensors by name (it holds: {held or 'nothing'}); {EXPORT}")
    odd = [name for name, tensor in tensors.items() if tensor.layout != torch.strided or tensor.is_quantized]
    if odd:
        raise ConfigError(f"{path}: {odd[0]} is sparse or quantized; expected plain tensors; {EXPORT}")
    while wrapper := next((w for w in WRAPPERS if all(name.startswith(w) for name in tensors)), ""):
        tensors = {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}
        taken_off.append(wrapper)
    # torch.compile on a part of the network leaves its mark in the middle of a name.
    return {name.replace("._orig_mod.", "."): t for name, t in tensors.items()}, tuple(taken_off)


def _nest(value: Mapping[Any, Any]) -> str:
    """The key under which a training tool kept the state; empty where the tensors stand here."""
    if any(isinstance(each, Tensor) for each in value.values()):
        return ""
    return next((nest for nest in NESTS if isinstance(value.get(nest), Mapping) and value[nest]), "")


def refuse_nan(tensors: Mapping[str, Tensor], where: str | Path) -> None:
    """Raise ConfigError that names the tensors which hold NaN or infinite numbers."""
    bad = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise ConfigError(f"{where}: {some('NaN or inf in', bad)}; the training that wrote it diverged: take another")


def some(what: str, names: Sequence[str], most: int = 4) -> str:
    """A few names of a list, and how many there are; empty for an empty list."""
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return f"{what}: {', '.join(names[:most])}{more}" if names else ""
