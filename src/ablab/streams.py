"""Keyed random streams: a draw depends on its key alone, never on what was drawn before it elsewhere.

Keys in use:

    order           ("order", study, seed, epoch)
    augmentation    ("augment", study, seed, epoch, sample id, name of the augmentation)
    initialisation  ("init", study, seed, site name)      through `torch_seed`
    training step   ("step", study, seed, batch)          through `torch_seed`

So arms under one seed see the same batches whatever layers they hold, and any number of loader workers gives the same
samples. Philox is a counter-based generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

Key = tuple[str | int, ...]

_plain = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make an encoder for each draw


def digest(*key: str | int) -> bytes:
    """The SHA-256 of a key; distinct keys give distinct bytes because the parts are quoted."""
    return hashlib.sha256(_plain(key).encode()).digest()


def stream(*key: str | int) -> np.random.Generator:
    """A generator of its own for `key`: equal keys give equal draws."""
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest(*key)[:16], "little")))


def torch_seed(*key: str | int) -> int:
    """A 63-bit seed for `key`, for `torch.Generator.manual_seed`."""
    return int.from_bytes(digest(*key)[:8], "little") >> 1
