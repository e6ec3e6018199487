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

from ablab.contracts import Batch, SampleSet, Sampling
from ablab.errors import ContractError
from ablab.streams import Key, stream

Indices = list[tuple[int, int]]  # (epoch, index) of each sample in a batch


class KeyedSampler:
    """The batches of a training: every epoch in an order of its own, drawn from ("order", *key, epoch).

    `sampling` says which samples an epoch has; without it every one comes once, shuffled. `start` leaves out the first
    batches, which an earlier process took.

    An epoch's last batch may be smaller. Only where it would hold a single sample (and batches hold more) it is left
    out, because batch norm cannot train on one: another sample each epoch, so every epoch has the same number of
    batches.
    """

    def __init__(
        self, length: int, key: Key, batch: int, epochs: int, sampling: Sampling | None = None, start: int = 0
    ) -> None:
        self.samples, self.sampling = length, sampling
        self.length = length if sampling is None else len(sampling)
        self.key, self.batch, self.epochs, self.start = key, batch, epochs, start
        full, rest = divmod(self.length, batch)
        self.sizes = (batch,) * full + (rest,) * (rest > 1 or (rest == 1 and full == 0))  # of an epoch's batches

    def __len__(self) -> int:
        """Batches in all, those left out included."""
        return self.epochs * len(self.sizes)

    def __iter__(self) -> Iterator[Indices]:
        for at in range(self.start, len(self)):
            epoch, place = divmod(at, len(self.sizes))
            if place == 0 or at == self.start:
                order = self._order(epoch)
            yield [(epoch, index) for index in order[place * self.batch : (place + 1) * self.batch]]

    def _order(self, epoch: int) -> list[int]:
        rng = stream("order", *self.key, epoch)
        if self.sampling is None:
            return rng.permutation(self.length).tolist()
        order = self.sampling.draw(rng)
        if len(order) != self.length or not ((order >= 0) & (order < self.samples)).all():
            raise ContractError(
                f"{type(self.sampling).__name__}.draw gave {len(order)} indices from {order.min(initial=0)} to "
                f"{order.max(initial=0)}; expected {self.length} from 0 to {self.samples - 1}"
            )
        return order.tolist()


def in_order(length: int, batch: int, shapes: Sequence[tuple[int, int]] | None = None) -> list[Indices]:
    """Every sample once, for evaluation: epoch 0, no shuffle, nothing left out, no two shapes in one batch."""
    alike: dict[Any, list[int]] = {}
    for index in range(length):
        alike.setdefault(None if shapes is None else tuple(shapes[index]), []).append(index)
    return [
        [(0, index) for index in indices[at : at + batch]]
        for indices in alike.values()
        for at in range(0, len(indices), batch)
    ]


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
    """A chain of SHA-256 over batches: equal where two trainings saw the same ids and the same tensors.

    `state` is the chain so far, in hex, from which another process goes on.
    """

    BYTES = 1 << 14  # of each tensor, evenly spread: the 5 MB of a batch of pixels would take 3 ms a step

    def __init__(self, state: str = "") -> None:
        self.state = state or hashlib.sha256().hexdigest()

    def update(self, batch: Batch) -> None:
        """Take one batch, on the CPU: its ids and its tensors, which are all that a training sees."""
        link = hashlib.sha256(self.state.encode())
        link.update("\n".join(batch["ids"]).encode())
        for name, value in batch.items():
            if isinstance(value, Tensor):
                link.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                flat = _bytes(value)
                stride = (len(flat) // self.BYTES) | 1  # odd, so that it walks through all columns of an even width
                link.update(np.ascontiguousarray(flat[::stride]).data)
        self.state = link.hexdigest()

    def hexdigest(self) -> str:
        """16 hex digits over all that was taken so far."""
        return joined([self.state])


def joined(states: Sequence[str]) -> str:
    """The chains of all ranks as one hash, 16 hex digits; of one chain, its own."""
    return (states[0] if len(states) == 1 else hashlib.sha256(" ".join(states).encode()).hexdigest())[:16]


def _bytes(tensor: Tensor) -> np.ndarray:
    """A tensor's bytes (N,): as they lie in memory where they lie densely, otherwise in a contiguous copy."""
    if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        tensor = tensor.permute(0, 2, 3, 1)  # (B, C, H, W) -> (B, H, W, C)
    flat = tensor.detach().reshape(-1).contiguous()
    # torch takes none or one value for dense whatever its stride is, and refuses to view it as bytes all the same
    return flat.as_strided((flat.numel(),), (1,)).view(torch.uint8).numpy()
