"""What a run leaves behind, and its files on disk.

STUDY/
  study.json                  what is asked, frozen before the first run
  driver.json                 which process works on the study, as long as it does
  plan.json                   every arm's sites, cost and pre-flight notes
  runs/ARM/SEED-FINGERPRINT/
    record.json               written last and at once: a folder without it is an unfinished run
    record.json.corrupt-*     one that was damaged, set aside by the driver that did the run again
    claim-0.json              who does the run, as long as it is under way
    progress.json             how far it is, every few seconds; gone when it has ended
    snapshot.safetensors      from which an unfinished run goes on; gone when its record stands
    snapshot-tune.safetensors the same of the fine-tune after pruning
    curves.csv                one row an epoch
    items-validation.npz      per-image evidence
    weights.safetensors
  verdicts.json  final.json   what `judge` says; the one reading of test
  looks.json                  every look of a sequential study
  confirm.json  confirm/      what fresh seeds leave of the winner, and their runs
  panels/  report/
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ablab.errors import Damaged, StoreError

Status = Literal["done", "failed", "diverged"]
RECORD_VERSION = 1  # of record.json; those without the field are 0, and differ in nothing else


@dataclass(frozen=True)
class RunKey:
    """Which run: an arm of a study under a seed, and the fingerprint of all that could change its result."""

    study: str
    arm: str
    seed: int
    fingerprint: str

    @property
    def folder(self) -> Path:
        """Relative to the study's folder."""
        return Path("runs") / slug(self.arm) / f"{self.seed}-{self.fingerprint}"


@dataclass(frozen=True)
class SiteReport:
    """One place that surgery changed: shapes are (B, C, H, W) as probed, counts are gained ones.

    `drift` is how far a converted part's output is from that of the module whose weights it got: the L2 norm of their
    difference in evaluation mode, relative to the old output; None where no weights were carried over.
    """

    name: str
    op: str
    old: str
    new: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    parameters: int
    drift: float | None = None


@dataclass(frozen=True)
class EditReport:
    """What surgery did to a network, and what it could not reach (functional calls in a `forward`, trap 8)."""

    sites: tuple[SiteReport, ...] = ()
    parameters: int = 0
    flops: int = 0
    unreached: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunRecord:
    """The outcome of one run.

    `scores` is {split: {metric: value}}; `settings` what was chosen on validation; `cost` holds `parameters`, `flops`,
    `train_seconds`, of them `waiting_seconds` for data, `peak_memory_mb`; `error` is the last line of what failed.
    `trained_by` is the arm whose run of the same seed trained the network, and spent these seconds, "" for this one.
    """

    key: RunKey
    status: Status
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    settings: dict[str, float] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    edits: EditReport = EditReport()
    batch_hash: str = ""
    weights_loaded: float | None = None
    environment: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str = ""
    trained_by: str = ""


def slug(name: str) -> str:
    """A name as a folder: `a/a` becomes `a-a`."""
    return "".join(c if c.isalnum() or c in "._+-" else "-" for c in name)


@contextmanager
def holding(folder: Path, busy: str, elsewhere: str) -> Iterator[None]:
    """Hold a folder, made where it is not there, so that two processes do not write the same files.

    Raises StoreError where it cannot be written, with the advice `elsewhere`, and where another process holds it: then
    `busy` says so.
    """
    import fcntl  # POSIX only

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise StoreError(f"cannot write into {folder}: {error.strerror}; {elsewhere}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(busy) from None
        yield


def write_bytes(path: Path, content: bytes, durable: bool = True) -> None:
    """Write a file whole or not at all: a temporary file beside it, flushed to disk, then renamed.

    Without `durable` nothing is flushed: for what may be lost with the machine, but not read in halves. Raises
    StoreError where the disk is full or the folder cannot be written.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~UMASK)
        os.replace(temporary, path)
        temporary = ""
        if durable:
            _flush(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}; what was finished before is kept") from None
    finally:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)


def _flush(folder: Path) -> None:
    """Bring a folder's names to disk: what is written next shall not outlive what was written before.

    Some network file systems refuse it; then the order is their own affair.
    """
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    """The process's umask, which can only be read by setting it; two threads at once would leave it at 0."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


UMASK = _umask()


def write_json(path: Path, value: Any, durable: bool = True) -> None:
    """Write JSON whole or not at all, as `write_bytes` does. NaN becomes null, so that any reader can read it."""
    text = json.dumps(plain_json(value), indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode(), durable)


def plain_json(value: Any) -> Any:
    """A value as plain JSON data: paths and numpy become text and numbers, NaN and inf become None."""
    if isinstance(value, Mapping):
        return {str(k): plain_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain_json(v) for v in value]
    if hasattr(value, "__dataclass_fields__"):
        return plain_json(asdict(value))
    if isinstance(value, np.ndarray):
        return plain_json(value.tolist())
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    return value


def read_json(path: Path) -> Any:
    """Read JSON; StoreError names a file that is missing, Damaged one that is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"no file {path}") from None
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path} is damaged: {error}; move it away and run again") from None


def write_items(path: Path, items: Mapping[str, np.ndarray]) -> None:
    """Write per-image evidence, compressed, without pickles."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **items)
    write_bytes(path, buffer.getvalue())


def read_items(path: Path) -> dict[str, np.ndarray]:
    """Read per-image evidence; pickles are refused."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise StoreError(f"no file {path}") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is damaged: {error}; delete its folder and run again") from None


def write_record(folder: Path, record: RunRecord) -> None:
    """Write a run's record into its folder inside the study `folder`."""
    write_json(folder / record.key.folder / "record.json", {"version": RECORD_VERSION, **plain_json(record)})


def read_record(path: Path) -> RunRecord:
    """Read `record.json` of this version or an older one.

    Raises Damaged where it is no record, and StoreError for one of a newer version: that one is sound, and stays.
    """
    data = read_json(path)
    try:
        version = data.pop("version", 0)
        if version > RECORD_VERSION:
            raise StoreError(
                f"{path} has record version {version}, and this ablab reads up to {RECORD_VERSION}: a newer one wrote "
                "it; install that one, or give another folder"
            )
        return _record(data)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise Damaged(
            f"{path} is damaged, or no run record: {type(error).__name__}: {error}; the same command of its study sets "
            "it aside and does the run again"
        ) from None


def _record(data: dict[str, Any]) -> RunRecord:
    data["key"] = RunKey(**data["key"])
    edits = data.get("edits") or {}
    sites = tuple(
        SiteReport(**site | {n: tuple(site[n]) for n in ("input_shape", "output_shape")})
        for site in edits.get("sites", ())
    )
    data["edits"] = EditReport(**edits | {"sites": sites, "unreached": tuple(edits.get("unreached", ()))})
    data["notes"] = tuple(data.get("notes", ()))
    record = RunRecord(**data)
    if record.status not in get_args(Status) or not all(isinstance(of, dict) for of in record.scores.values()):
        raise ValueError(f"status '{record.status}', scores {str(record.scores)[:80]}")
    return record


def read_records(folder: Path) -> list[RunRecord]:
    """Every finished run of a study, in the order of their folders."""
    return [read_record(path) for path in sorted(folder.glob("runs/*/*/record.json"))]


def read_history(path: Path) -> dict[str, list[float]]:
    """Read `curves.csv`: {column: one number an epoch, NaN where the cell is empty}; empty without the file.

    Raises StoreError where a cell is no number.
    """
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    try:
        columns = list(zip(*([float(cell) if cell else math.nan for cell in row] for row in rows[1:]), strict=True))
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}; delete its folder and run again") from None
    return {name: list(column) for name, column in zip(rows[0] if rows else [], columns, strict=False)}
