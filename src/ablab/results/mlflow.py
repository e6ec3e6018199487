"""MLflow's file store, the folder `mlruns`, read without MLflow.

    mlruns/EXPERIMENT/RUN/meta.yaml           status (a number), lifecycle_stage
                         /metrics/NAME        a line a value: timestamp value step [dataset]
                         /params/NAME         a text; a slash in NAME is a folder
                         /tags/NAME

Source: `mlflow/store/tracking/file_store.py` and `RunStatus` of `mlflow/protos/service.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ablab.config import parse_yaml
from ablab.errors import DataError
from ablab.results.sheets import mlflow_table
from ablab.results.table import Table

STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
DELETED = "deleted"


def read_store(folder: Path) -> Table:
    """Every run that is not deleted, a row a step, under the column names of `search_runs` and `step`.

    Raises DataError for a folder without runs and for a damaged run.
    """
    runs = [meta.parent for meta in sorted(folder.rglob("meta.yaml")) if (meta.parent / "metrics").is_dir()]
    rows = [row for run in runs for row in _run(run)]
    if not rows:
        raise DataError(f"{folder} holds no run of MLflow; expected mlruns/EXPERIMENT/RUN with meta.yaml and metrics/")
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return mlflow_table(columns, [[row.get(name, "") for name in columns] for row in rows], str(folder))


def _run(run: Path) -> Iterator[dict[str, str]]:
    """A run's rows: one a step, each with the values that were logged at it."""
    meta = parse_yaml((run / "meta.yaml").read_text(encoding="utf-8"), str(run / "meta.yaml"))
    if meta.get("lifecycle_stage") == DELETED:
        return
    fixed = {"run_id": run.name, "status": STATUS.get(meta.get("status", 0), "unknown")}
    fixed |= {f"params.{name}": path.read_text(encoding="utf-8").strip() for name, path in _files(run / "params")}
    fixed |= {f"tags.{name}": path.read_text(encoding="utf-8").strip() for name, path in _files(run / "tags")}
    steps: dict[int, dict[str, str]] = {}
    for name, path in _files(run / "metrics"):
        for step, _, _, value in sorted(_lines(path)):  # of two values at one step the later one counts
            steps.setdefault(step, {})[f"metrics.{name}"] = value
    for step, values in sorted(steps.items()):
        yield fixed | {"step": str(step)} | values
    if not steps:
        yield fixed


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def _lines(path: Path) -> Iterator[tuple[int, int, float, str]]:
    """(step, timestamp, value, its text) of every line, in MLflow's order; a line without a step is at step 0."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        cells = line.split()
        try:
            yield int(cells[2]) if len(cells) == 3 else 0, int(cells[0]), float(cells[1]), cells[1]
        except (IndexError, ValueError):
            raise DataError(f"{path}, line {number}: expected 'timestamp value step', got '{line}'") from None
