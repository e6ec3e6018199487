"""CSV: a table of scores as anybody writes it, and as Optuna, MLflow and Weights & Biases export theirs.

scores               arm, seed, score (or other names), one row a run, or one a step of a run
Optuna               number, value or values_*, params_*, user_attrs_*, state       trials_dataframe().to_csv()
MLflow               run_id, status, metrics.*, params.*, tags.*                    mlflow.search_runs().to_csv()
W&B, table of runs   Name, State, ... config and summary
W&B, chart           Step, "RUN - METRIC", "RUN - METRIC__MIN", "RUN - METRIC__MAX", ...
W&B, history         _step, _timestamp, _runtime, ... of one run                    run.history().to_csv()
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ablab.errors import DataError
from ablab.results.labels import understand
from ablab.results.table import STEPS, Table

BETWEEN = ",;\t"
AGGREGATES = ("__MIN", "__MAX")
DASH = " - "


def read_sheet(path: Path) -> Table:
    """Read a CSV file; comma, semicolon or tab stand between the cells. Raises DataError, with the row."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text in UTF-8; save it as 'CSV UTF-8'") from None
    rows = _rows(text, path)
    if len(rows) < 2:
        what = "is empty" if not rows else "has a head and no rows"
        raise DataError(f"{path} {what}; expected a table with the columns arm, seed and score, one row a run")
    head = tuple(cell.strip() for cell in rows[0])
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(head):
            raise DataError(
                f"{path}, row {number} has {len(row)} cells, the head has {len(head)}; with commas between the cells "
                "a number has no decimal comma, and a text with a comma stands in quotes"
            )
    return _as_written_by(head, rows[1:], str(path))


def _rows(text: str, path: Path) -> list[list[str]]:
    """All rows that are not blank. What stands most often in the first line, outside quotes, is between the cells."""
    first = text.lstrip("\r\n").partition("\n")[0]
    between = max(BETWEEN, key=lambda sign: len(next(csv.reader([first], delimiter=sign), [])))
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=between, strict=True) if any(row)]
    except csv.Error as error:
        raise DataError(f"{path} is no CSV file: {error}; is a quote left open?") from None


def _as_written_by(head: tuple[str, ...], rows: list[list[str]], where: str) -> Table:
    if {"number", "state"} <= set(head) and any(name == "value" or name.startswith("values_") for name in head):
        return optuna_table(head, rows, where)
    if "run_id" in head and any(name.startswith("metrics.") for name in head):
        return mlflow_table(head, rows, where)
    if any(DASH in name and name.endswith(AGGREGATES) for name in head):
        return _chart(head, rows, where)
    steps = next((name for name in STEPS if name in head), "")
    if {"Name", "State"} <= set(head):
        return Table("W&B table of runs", where, head, rows, state="State", finished="finished", steps=steps)
    return Table("table of scores", where, head, rows, steps=steps)


def optuna_table(head: tuple[str, ...], rows: list[list[str]], where: str) -> Table:
    """Optuna's trials, by the column names of `Study.trials_dataframe`."""
    prefixes = ("params_", "user_attrs_", "values_")
    return Table("Optuna study", where, head, rows, prefixes, "params_", "state", "complete", "number", metric="value")


def mlflow_table(head: tuple[str, ...], rows: list[list[str]], where: str) -> Table:
    """MLflow's runs, by the column names of `mlflow.search_runs`."""
    prefixes, steps = ("params.", "metrics.", "tags."), "step" if "step" in head else ""
    state = "status" if "status" in head else ""
    return Table("MLflow runs", where, head, rows, prefixes, "params.", state, "finished", "run_id", steps)


def _chart(head: tuple[str, ...], rows: list[list[str]], where: str) -> Table:
    """A W&B chart's export: a column a run becomes rows of arm, seed, step and the metric."""
    lines = [name for name in head[1:] if DASH in name and not name.endswith(AGGREGATES) and f"{DASH}_" not in name]
    metrics = {name.rpartition(DASH)[2] for name in lines}
    if len(metrics) != 1:
        shown = ", ".join(sorted(metrics)[:5])
        raise DataError(f"{where}: expected a chart of one metric, columns 'RUN - METRIC'; got the metrics {shown}")
    found = []
    for name in lines:
        run = name.rpartition(DASH)[0]
        known = understand(run)
        if known is None:
            raise DataError(
                f"{where}: the run '{run}' does not tell its arm and seed; expected a name such as frelu-seed3. Export "
                "the table of runs instead, with the columns of the configuration, and name them by --arm and --seed"
            )
        place = head.index(name)
        found += [[known[0], str(known[1]), row[0], row[place]] for row in rows if row[place].strip()]
    (metric,) = metrics
    return Table("W&B chart", where, ("arm", "seed", "step", metric), found, steps="step", metric=metric)
