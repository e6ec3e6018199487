"""Several processes that share each batch, as one team: torch's DistributedDataParallel and what stands around it.

    batch of n samples --share--> n_r samples a rank --forward, backward--> gradients, averaged --> the same step

A rank's loss is a mean over its own samples. Weighted by `weight` before DDP averages over ranks, the gradient is that
of the mean over the whole batch, however unevenly it was shared, where the loss is a mean over samples. A criterion
that divides by something else asks all ranks for it (a detector's, by objects: `losses.divisor`). Batch norm sees its
rank's samples, unless `train.sync_norm` says all (`engine.synced`); rank 0's running statistics count.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ablab.errors import ConfigError
from ablab.recipe import TrainRecipe

PATIENCE = datetime.timedelta(days=7)  # for rank 0's validation; who waits for a dead rank is ended from outside
TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Team:
    """Who takes part in a training: this process is `rank` of `size`. All methods but `share` and `weight` are met by
    every rank at the same time; for a team of one they do nothing.

    A rank gets at least `least` samples of a batch. Where a batch is too small for that, the last ranks compute what
    the first ones compute, with weight 0, so that the number of steps is that of one process.
    """

    rank: int = 0
    size: int = 1
    least: int = 1

    @property
    def leads(self) -> bool:
        """Whether this rank validates, writes and shows."""
        return self.rank == 0

    def _sharers(self, count: int) -> int:
        return max(1, min(self.size, count // self.least))

    def share(self, batch: Sequence[Any]) -> list[Any]:
        """This rank's part of a batch: every k-th sample, k ranks sharing it."""
        sharers = self._sharers(len(batch))
        return list(batch[self.rank % sharers :: sharers])

    def shares(self, batches: Iterable[Sequence[Any]]) -> Iterator[list[Any]]:
        """This rank's part of each batch."""
        return map(self.share, batches)

    def weight(self, count: int) -> float:
        """What this rank's mean loss over its share of `count` samples is multiplied by, before the mean over ranks."""
        sharers = self._sharers(count)
        own = len(range(self.rank, count, sharers)) if self.rank < sharers else 0
        return own * self.size / count

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with its gradients averaged over ranks in the backward pass; a team of one keeps it as it is.

        Parameters that a step does not use are looked for in each step: they are allowed, and the buckets, hence the
        order of sums, stay the same from the first step on.
        """
        if self.size == 1:
            return module
        return DistributedDataParallel(module, find_unused_parameters=True)

    def average(self, values: Tensor) -> Tensor:
        """The mean over ranks, on every rank."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def told(self, value: Any) -> Any:
        """Rank 0's `value`, which is JSON, on every rank; what the others pass is ignored."""
        if self.size == 1:
            return value
        length = torch.zeros((), dtype=torch.int64)
        content = torch.zeros(0, dtype=torch.uint8)
        if self.leads:
            content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
            length.fill_(len(content))
        dist.broadcast(length, 0)
        content = content if self.leads else torch.zeros(int(length), dtype=torch.uint8)
        dist.broadcast(content, 0)
        return json.loads(bytes(content.tolist()))

    def gather(self, text: str) -> list[str]:
        """Every rank's `text`, ASCII and of the same length everywhere, in the order of ranks."""
        if self.size == 1:
            return [text]
        own = torch.frombuffer(bytearray(text.encode("ascii")), dtype=torch.uint8)
        found = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(found, own)
        return [bytes(each.tolist()).decode("ascii") for each in found]

    def leave(self) -> None:
        """Wait for the others, then part from them."""
        if self.size > 1:
            dist.all_reduce(torch.zeros(1))
            dist.destroy_process_group()


ALONE = Team()


def check(train: TrainRecipe) -> str:
    """A sentence where the processes want more cores than there are, else "".

    Raises ConfigError where `train.devices` cannot share a batch, or wants more cards than there are.
    """
    if train.devices > train.batch:
        raise ConfigError(
            f"train.devices is {train.devices}, but a batch has {train.batch} samples: raise train.batch or lower "
            "train.devices"
        )
    if train.devices > 1 and train.device != "cpu" and torch.cuda.is_available():
        here, local = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", train.devices))
        if local > here:
            raise ConfigError(
                f"train.devices wants {local} cards on this machine, which has {here}: lower it, or set train.device "
                "to 'cpu'"
            )
        return ""
    cores, wanted = _cores(), train.devices * train.threads
    if train.devices == 1 or wanted <= cores:
        return ""
    return (
        f"{train.devices} processes of {train.threads} threads want {wanted} cores, and {cores} are here: expect it to "
        f"be slow, or set train.threads to {max(cores // train.devices, 1)}"
    )


def join(train: TrainRecipe, rank: int, meeting: Path) -> Team:
    """Become `rank` of `train.devices` processes on this machine, which meet through the file `meeting`."""
    if sys.platform in ("linux", "darwin"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if sys.platform == "linux" else "lo0")  # no name to look up
    store = dist.FileStore(str(meeting), train.devices)  # type: ignore[attr-defined]
    return _join(train, rank, rank, store)


def under_torchrun(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun (or what speaks as it does) started this process as one of several."""
    return all(environment.get(name) for name in TORCHRUN) and int(environment["WORLD_SIZE"]) > 1


def follows(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun started this process as another rank than 0, which neither writes nor speaks."""
    return under_torchrun(environment) and int(environment["RANK"]) > 0


def join_torchrun(train: TrainRecipe) -> Team:
    """Become the rank that torchrun's environment names. Raises ConfigError where the recipe says another number."""
    size = int(os.environ["WORLD_SIZE"])
    if size != train.devices:
        raise ConfigError(
            f"torchrun started {size} processes, and train.devices is {train.devices}: it is part of the recipe, so "
            f"make them equal, with --set train.devices={size} for one"
        )
    return _join(train, int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", os.environ["RANK"])), None)


def _join(train: TrainRecipe, rank: int, card: int, store: Any) -> Team:
    """Two samples a rank, where a batch has so many: batch norm cannot train on one where maps are 1 x 1."""
    check(train)
    # A 1 x 1 convolution's weight is contiguous in both layouts, and DDP complains that its gradient chose the other.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    cuda = train.device != "cpu" and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(card)
    # CPU tensors go through gloo also where there are cards: what rank 0 tells must not wait in a card's queue.
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    dist.init_process_group(backend, store=store, timeout=PATIENCE, rank=rank, world_size=train.devices)
    return Team(rank, train.devices, least=min(2, train.batch // train.devices))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
