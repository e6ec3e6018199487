"""The most memory that this process has held."""

from __future__ import annotations

import resource
import sys

import torch


def peak_memory_mb(device: torch.device | str = "cpu") -> float:
    """Megabytes (2^20 bytes): the process's resident peak, or on a CUDA device what torch allocated there at most."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
