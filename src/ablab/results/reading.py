"""Files of any kind that is known here, told apart by what is in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ablab.errors import DataError
from ablab.results.labels import Source, is_mlflow
from ablab.results.mlflow import read_store
from ablab.results.optuna import read_storage
from ablab.results.result import Reading
from ablab.results.runs import Columns, read_tables
from ablab.results.sheets import read_sheet
from ablab.results.table import Table

HEAD = 64  # bytes that tell the kind
SQLITE = b"SQLite format 3\0"
KNOWN = (
    "a CSV file (columns arm, seed, score; or exported from Optuna, MLflow or W&B), an Optuna storage, sqlite:///x.db, "
    "MLflow's folder mlruns, or COCO detections (a JSON list) with --truth"
)


def read_files(files: Sequence[Source], asked: Columns, *, paired: bool = True) -> Reading:
    """Read tables of scores of any known kind. Raises DataError for any other file."""
    source = files[0].path.name if len(files) == 1 else f"{len(files)} files"
    return read_tables([(each, _table(each.path, asked)) for each in files], asked, paired=paired, source=source)


def _kind(path: Path) -> str:
    if path.is_dir():
        return "mlflow" if is_mlflow(path) else ""
    if not path.is_file():
        raise DataError(f"{path} is no regular file; save what it gives into one, as it is read more than once")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    if head.startswith(SQLITE):
        return "sqlite"
    if b"\0" in head:
        return ""
    return "json" if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{") else "csv"


def _table(path: Path, asked: Columns) -> Table:
    readers: dict[str, Callable[[Path], Table]] = {
        "mlflow": read_store,
        "sqlite": partial(read_storage, study=asked.study),
        "csv": read_sheet,
    }
    kind = _kind(path)
    if kind == "json":
        raise DataError(f"{path} holds JSON; where it is COCO's detections, --truth names their ground truth")
    if kind not in readers:
        raise DataError(f"{path} is of no kind that is known here; expected {KNOWN}")
    return readers[kind](path)
