"""The process's memory: kept between steps, and in words that help where it runs out."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ablab.errors import AblabError, RunError, TooLarge
from ablab.recipe import TrainRecipe

SIGNS = ("not enough memory", "can't allocate memory", "Cannot allocate memory", "out of memory", "Insufficient memory")
LOST_WORKER = ("killed by signal", "exited unexpectedly")  # torch's words for a loader process that died

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h's
NEVER = 2**31 - 1  # bytes; the largest that mallopt takes


def keep_freed() -> None:
    """Let the C library keep what a step frees for the next one, where it is glibc; elsewhere nothing happens.

    It would give large maps back to the system and fault them in again, page by page, in every step: a tenth to a fifth
    of YOLOv5n's training on two cores.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, NEVER)
        mallopt(M_MMAP_THRESHOLD, NEVER)


@contextmanager
def explained(train: TrainRecipe) -> Iterator[None]:
    """Raise RunError, which says what to lower, where memory runs out inside, and TooLarge where it is a card's.

    Other errors come through.
    """
    try:
        yield
    except AblabError:
        raise
    except Exception as error:
        said = str(error)
        size = f"batches of {train.batch} images of {train.image_size[0]} x {train.image_size[1]}"
        if "DataLoader worker" in said and any(sign in said for sign in LOST_WORKER):
            raise RunError(
                f"a loader process was killed, perhaps out of memory, with {train.workers} of them and {size}: lower "
                "train.workers or train.cache_gb"
            ) from error
        memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if memory or any(sign in said for sign in SIGNS):
            first = said.strip().splitlines()[0] if said.strip() else type(error).__name__
            kind = TooLarge if isinstance(error, torch.OutOfMemoryError) else RunError
            raise kind(
                f"out of memory with {size}: lower train.batch and raise train.accumulate by as much (the same step in "
                f"smaller pieces), or lower train.image_size ({first})"
            ) from error
        raise
