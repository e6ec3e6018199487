"""A training under way, on disk: one file, written whole or not at all, from which the same training goes on."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ablab.engine.checkpoint import read_metadata, read_weights, save_weights
from ablab.errors import StoreError

SNAPSHOT_SECONDS = 30.0
SHARE = 0.02  # of the time: where a snapshot takes longer than this share of `every`, they come less often


class Snapshots:
    """The snapshots of one training, each in the place of the one before.

    `run` names the training: a snapshot of another is not used.
    """

    def __init__(self, path: Path, run: str = "", every: float | None = None) -> None:
        self.path, self.run = path, run
        self.every = SNAPSHOT_SECONDS if every is None else every
        self._wait, self._last = self.every, time.monotonic()

    def due(self) -> bool:
        """Whether it is time for another."""
        return time.monotonic() - self._last >= self._wait

    def write(self, about: Mapping[str, Any], tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Keep a state. Raises StoreError where the disk is full; the snapshot before then stays."""
        start = time.monotonic()
        metadata = {"about": {**about, "run": self.run}, "state": plain, "checksum": _checksum(tensors)}
        try:
            save_weights(self.path, tensors, metadata)
        finally:
            self._last = time.monotonic()
            self._wait = max(self.every, (self._last - start) / SHARE) if self.every else 0.0

    def read(self, about: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The state that was kept, (tensors, plain), or None where there is none.

        Raises StoreError where it is damaged, or is of another training or machine than `about` says.
        """
        if not self.path.exists():
            return None
        metadata, tensors = read_metadata(self.path), read_weights(self.path)
        if not {"about", "state", "checksum"} <= set(metadata) or metadata["checksum"] != _checksum(tensors):
            raise StoreError(f"{self.path} is damaged: its content is not what was written")
        now = json.loads(json.dumps({**about, "run": self.run}))
        if metadata["about"] != now:
            other = [f"{name}: {metadata['about'].get(name)}, now {now[name]}" for name in now]
            changed = [text for text, name in zip(other, now, strict=True) if metadata["about"].get(name) != now[name]]
            raise StoreError(f"{self.path} was made under other conditions ({'; '.join(changed)})")
        return tensors, metadata["state"]

    def about(self, name: str) -> Any:
        """One of the conditions under which the snapshot was made; None where there is none, or it is of another run.

        Raises StoreError where it is damaged.
        """
        about = read_metadata(self.path).get("about", {}) if self.path.exists() else {}
        return about.get(name) if about.get("run") == self.run else None

    def delete(self) -> None:
        """Remove the snapshot, and what a kill left of one that was being written."""
        self.path.unlink(missing_ok=True)
        self.tidy()

    def tidy(self) -> None:
        """Remove what a kill left of files that were being written."""
        for path in self.path.parent.glob(f".{self.path.name}.*"):
            path.unlink(missing_ok=True)


def _checksum(tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 over names and bytes: safetensors itself would not notice a byte that changed."""
    value = 0
    for name in sorted(tensors):
        value = zlib.crc32(name.encode(), value)
        flat = tensors[name].detach().cpu().contiguous().reshape(-1)  # (N,)
        value = zlib.crc32(flat.view(torch.uint8).numpy().data, value)
    return value
