"""Optuna's storage, `sqlite:///study.db`, read without Optuna.

Tables since schema 12 of Optuna 3 (`optuna/storages/_rdb/models.py`), unchanged in 5:

    studies (study_id, study_name)          trials (trial_id, number, study_id, state)
    trial_params (trial_id, param_name, param_value, distribution_json)   a categorical's value: its place in `choices`
    trial_values (trial_id, objective, value, value_type)                 FINITE, INF_POS or INF_NEG
    trial_user_attributes (trial_id, key, value_json)
    study_system_attributes (study_id, key, value_json)                   study:metric_names
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from ablab.errors import DataError, UnknownName
from ablab.results.sheets import optuna_table
from ablab.results.table import Table

OF_STUDY = "JOIN trials USING (trial_id) WHERE study_id = ?"
INFINITE = {"INF_POS": "inf", "INF_NEG": "-inf"}


def read_storage(path: Path, study: str | None = None) -> Table:
    """Every trial of a study, under the column names of `trials_dataframe`; one study alone needs no name.

    Raises DataError where the file is no such storage; UnknownName for a study that it has not.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
            studies = {str(name): key for key, name in base.execute("SELECT study_id, study_name FROM studies")}
            chosen = _chosen(path, studies, study)
            trials = _trials(base, chosen)
    except (sqlite3.Error, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(
            f"{path} is not an Optuna storage of version 3 or later: {error}; write the study with "
            "study.trials_dataframe().to_csv(...) and give that file"
        ) from None
    if not trials:
        raise DataError(f"{path}: the Optuna study holds no trial")
    columns = tuple(dict.fromkeys(name for trial in trials.values() for name in trial))
    rows = [[trial.get(name, "") for name in columns] for trial in trials.values()]
    return optuna_table(columns, rows, str(path))


def _chosen(path: Path, studies: dict[str, int], study: str | None) -> int:
    if study is not None and study not in studies:
        raise UnknownName("study", study, studies, str(path))
    if study is None and len(studies) != 1:
        raise DataError(f"{path} holds {len(studies)} studies; name one as --study: {', '.join(sorted(studies))}")
    return studies[study] if study is not None else next(iter(studies.values()))


def _trials(base: sqlite3.Connection, study: int) -> dict[int, dict[str, str]]:
    """{trial_id: {column: cell}} in the order of the trials."""
    rows = base.execute("SELECT trial_id, number, state FROM trials WHERE study_id = ? ORDER BY number", (study,))
    trials = {trial: {"number": str(number), "state": str(state)} for trial, number, state in rows}
    for trial, column, value in _values(base, study):
        trials[trial][column] = value
    for trial, name, value, kind in base.execute(
        f"SELECT trial_id, param_name, param_value, distribution_json FROM trial_params {OF_STUDY}", (study,)
    ):
        trials[trial][f"params_{name}"] = _parameter(value, json.loads(kind))
    for trial, key, value in base.execute(
        f"SELECT trial_id, key, value_json FROM trial_user_attributes {OF_STUDY}", (study,)
    ):
        trials[trial][f"user_attrs_{key}"] = _text(json.loads(value))
    return trials


def _values(base: sqlite3.Connection, study: int) -> list[tuple[int, str, str]]:
    """(trial_id, column, cell) of every value; the columns are named as `trials_dataframe` names them."""
    (objectives,) = base.execute("SELECT COUNT(*) FROM study_directions WHERE study_id = ?", (study,)).fetchone()
    named = base.execute(
        "SELECT value_json FROM study_system_attributes WHERE study_id = ? AND key = 'study:metric_names'", (study,)
    ).fetchone()
    names = [f"values_{name}" for name in (json.loads(named[0]) if named else range(objectives))]
    columns = names if objectives > 1 else ["value"]
    rows = base.execute(f"SELECT trial_id, objective, value, value_type FROM trial_values {OF_STUDY}", (study,))
    return [(trial, columns[objective], INFINITE.get(kind, _text(value))) for trial, objective, value, kind in rows]


def _parameter(value: float, distribution: dict[str, Any]) -> str:
    """A parameter as it was suggested."""
    if distribution["name"] == "CategoricalDistribution":
        return _text(distribution["attributes"]["choices"][int(value)])
    return str(int(value)) if distribution["name"].startswith("Int") else _text(value)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
