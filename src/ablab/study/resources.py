"""What a study will take of memory and disk, reckoned before it starts and held against what is free.

A run's memory: on a card what the plan's probe step allocated there; on processors

    BASE + state x (weights, gradient, average and the optimizer's moments) + SLACK x what the backward pass keeps

where the last is measured on a few images and grows with the batch. A run's disk is what `study.tidy` lets it keep:
weights, evidence of every scored image, curves and record; while it runs its snapshot stands beside them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn

MB = 2**20
BASE = 720.0  # MB of a process that has torch and a task's packages imported, its data set opened
COPIES = 5  # weights, gradient, average, two moments: of Adam and AdamW; SGD has one less
SLACK = 1.3  # the allocator's, and what a backward pass needs beside what was kept for it
IMAGE_BYTES = 2200  # of evidence, compressed: a hundred detections; measured on BCCD, 2,190, and photo-digits, 2,020
PAPER_BYTES = 60 * 1024  # record, recipe, test scores and curves; measured 25 to 45 kB
SNAPSHOT = 4  # times the weights


def kept_bytes(step: Callable[[], Any]) -> tuple[Any, int]:
    """(what a forward pass returns, bytes of storage that it keeps for the backward pass)."""
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        return step(), sum(storages.values())


def state_bytes(model: nn.Module) -> int:
    """Bytes of a network's weights and buffers."""
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())


def memory_mb(state: int, kept: float) -> float:
    """Peak memory of a run on processors, MB, whose network has `state` bytes and whose step keeps `kept`."""
    return BASE + (COPIES * state + SLACK * kept) / MB


def disk_mb(state: int, images: int) -> float:
    """What a finished run leaves, MB: weights of `state` bytes, and evidence of so many scored images."""
    return (state + images * IMAGE_BYTES + PAPER_BYTES) / MB


def needed_mb(rows: Sequence[Mapping[str, Any]], seeds: int, jobs: int) -> float:
    """Disk of a whole study, MB: every run's remains, and the snapshots of as many as run at a time."""
    snapshots = jobs * SNAPSHOT * max(row["state_mb"] for row in rows)
    return seeds * float(sum(row["disk_mb"] for row in rows)) + float(snapshots)


def free_mb(folder: Path) -> float:
    """What is free where a folder stands or will stand, MB."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free / MB


def shortages(rows: Sequence[Mapping[str, Any]], disk: float, free: float, jobs: int, cuda: bool) -> list[str]:
    """Sentences for what will not fit: the study's disk, and the memory of as many runs as are done at a time."""
    said = []
    if disk > free:
        said.append(
            f"warning: the study will take about {disk:,.0f} MB of disk, and {free:,.0f} are free: free some, choose "
            "another --folder, or ask for fewer seeds"
        )
    most = max(rows, key=lambda row: float(row["memory_mb"] or 0))
    memory = float(most["memory_mb"] or 0)
    have = torch.cuda.mem_get_info()[1] / MB if cuda else psutil.virtual_memory().total / MB
    together = memory if cuda else memory * min(jobs, os.cpu_count() or 1)
    if together > have:
        at_a_time = "" if cuda or jobs == 1 else f", {min(jobs, os.cpu_count() or 1)} at a time"
        said.append(
            f"warning: a run of {most['arm']} will take about {memory:,.0f} MB of memory{at_a_time}, and there are "
            f"{have:,.0f}: lower train.batch and raise train.accumulate by as much, or run fewer at a time with --jobs"
        )
    return said
