"""Batches in keyed order, the same with any number of loader workers (trap 16).

    KeyedSampler --[(epoch, index), ...]--> SampleSet --[sample, ...]--> collate --> batch

One iterator runs over all epochs, so that workers live as long as the training and never wait at an epoch's end.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ablab.contracts import Batch, SampleSet
from ablab.streams import Key, stream

Indices = list[tuple[int, int]]  # (epoch, index) of each sample in a batch


class KeyedSampler:
    """The batches of a training: every epoch in an order of its own, drawn from ("order", *key, epoch).

    An epoch's last batch may be smaller. Only where it would hold a single sample (and batches hold more) it is left
    out, because batch norm cannot train on one: another sample each epoch, so every epoch has the same number of steps.
    """

    def __init__(self, length: int, key: Key, batch: int, epochs: int) -> None:
        self.length, self.key, self.batch, self.epochs = length, key, batch, epochs
        full, rest = divmod(length, batch)
        self.steps_per_epoch = full + (rest > 1 or (rest == 1 and full == 0))

    def __len__(self) -> int:
        """Steps in all."""
        return self.epochs * self.steps_per_epoch

    def __iter__(self) -> Iterator[Indices]:
        for epoch in range(self.epochs):
            order = stream("order", *self.key, epoch).permutation(self.length).tolist()
            for step in range(self.steps_per_epoch):
                yield [(epoch, index) for index in order[step * self.batch : (step + 1) * self.batch]]


def in_order(length: int, batch: int) -> list[Indices]:
    """Every sample once, for evaluation: epoch 0, no shuffle, nothing left out."""
    return [[(0, index) for index in range(at, min(at + batch, length))] for at in range(0, length, batch)]


def load(
    samples: SampleSet,
    batches: Iterable[Indices],
    collate: Callable[[Sequence[Any]], Batch],
    *,
    workers: int = 0,
    pin: bool = False,
) -> Generator[Batch]:
    """Collated batches on the CPU, made ahead: by forked workers, or by one thread where `workers` is 0.

    `pin` puts tensors in page-locked memory, from which a card copies without waiting. An error in a sample comes out
    here, with its own type. Close the iterator (`contextlib.closing`) to end its workers early.
    """
    loader: Any = DataLoader(
        samples,  # type: ignore[arg-type]  # indexed by (epoch, index), which torch passes on as it is
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=_calm_worker if workers else None,
        multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
        generator=torch.Generator(),  # otherwise it draws from the global one
    )
    return _by_workers(loader) if workers else _ahead(loader)


def _by_workers(loader: Iterable[Batch]) -> Generator[Batch]:
    source: Any = iter(loader)
    try:
        yield from source
    finally:
        source._shutdown_workers()  # torch does so when it is collected, which an error's traceback puts off


def _ahead(loader: Iterable[Batch]) -> Generator[Batch]:
    """Make the next batch in a thread while this one is in use. OpenCV, numpy and torch release the lock."""
    source = iter(loader)
    with ThreadPoolExecutor(1, thread_name_prefix="loader") as thread:
        threads = torch.get_num_threads()
        thread.submit(_calm).result()
        torch.set_num_threads(threads)  # set per thread, but also for threads yet to come
        pending = thread.submit(next, source, None)
        while (batch := pending.result()) is not None:
            pending = thread.submit(next, source, None)
            yield batch


def _calm_worker(worker: int) -> None:
    _calm()


def _calm() -> None:
    """One thread for what makes samples: the others are the training's."""
    torch.set_num_threads(1)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(0)


class BatchHash:
    """A running SHA-256 over batches: equal where two trainings saw the same ids and the same tensors."""

    BYTES = 1 << 14  # of each tensor, evenly spread: the 5 MB of a batch of pixels would take 3 ms a step

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, batch: Batch) -> None:
        """Take one batch, on the CPU: its ids and its tensors, which are all that a training sees."""
        self._hash.update("\n".join(batch["ids"]).encode())
        for name, value in batch.items():
            if isinstance(value, Tensor):
                self._hash.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                flat = _bytes(value)
                stride = (len(flat) // self.BYTES) | 1  # odd, so that it walks through all columns of an even width
                self._hash.update(np.ascontiguousarray(flat[::stride]).data)

    def hexdigest(self) -> str:
        """16 hex digits over all that was taken so far."""
        return self._hash.hexdigest()[:16]


def _bytes(tensor: Tensor) -> np.ndarray:
    """A tensor's bytes (N,): as they lie in memory where they lie densely, otherwise in a contiguous copy."""
    if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        tensor = tensor.permute(0, 2, 3, 1)  # (B, C, H, W) -> (B, H, W, C)
    return tensor.detach().reshape(-1).view(torch.uint8).numpy()
