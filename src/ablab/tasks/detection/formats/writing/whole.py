"""A folder that is written whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ablab.errors import ConfigError, StoreError

ABANDONED = 86400.0  # seconds after which a work folder is taken for that of a killed process


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `folder` when all went well, and is removed otherwise.

    Raises ConfigError where `folder` exists and is not empty, StoreError where it cannot be written.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not empty; name a new folder, or remove it")
    prefix = f".{folder.name}-writing-"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f"{prefix}*"):
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > ABANDONED:
                    shutil.rmtree(left)
        work = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
        try:
            made = work / folder.name  # mkdtemp's own is for nobody else to read
            made.mkdir()
            yield made
            if folder.exists():
                folder.rmdir()
            made.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise StoreError(
            f"cannot write {folder}: {error.strerror or error}; nothing was left there: make room, or name another"
        ) from None
