"""Optuna's SQLite storage and MLflow's folder, made here as those two make them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ablab.errors import DataError, UnknownName
from ablab.results.labels import Source
from ablab.results.mlflow import read_store
from ablab.results.optuna import read_storage
from ablab.results.reading import read_files
from ablab.results.runs import Columns

SCHEMA = """
CREATE TABLE studies (study_id INTEGER NOT NULL, study_name VARCHAR(512) NOT NULL, PRIMARY KEY (study_id));
CREATE TABLE study_directions (
    study_direction_id INTEGER NOT NULL, direction VARCHAR(8) NOT NULL, study_id INTEGER NOT NULL,
    objective INTEGER NOT NULL, PRIMARY KEY (study_direction_id));
CREATE TABLE study_system_attributes (
    study_system_attribute_id INTEGER NOT NULL, study_id INTEGER, "key" VARCHAR(512), value_json TEXT,
    PRIMARY KEY (study_system_attribute_id));
CREATE TABLE trials (
    trial_id INTEGER NOT NULL, number INTEGER, study_id INTEGER, state VARCHAR(8) NOT NULL, PRIMARY KEY (trial_id));
CREATE TABLE trial_params (
    param_id INTEGER NOT NULL, trial_id INTEGER, param_name VARCHAR(512), param_value FLOAT, distribution_json TEXT,
    PRIMARY KEY (param_id));
CREATE TABLE trial_values (
    trial_value_id INTEGER NOT NULL, trial_id INTEGER NOT NULL, objective INTEGER NOT NULL, value FLOAT,
    value_type VARCHAR(7) NOT NULL, PRIMARY KEY (trial_value_id));
CREATE TABLE trial_user_attributes (
    trial_user_attribute_id INTEGER NOT NULL, trial_id INTEGER, "key" VARCHAR(512), value_json TEXT,
    PRIMARY KEY (trial_user_attribute_id));
"""
ARMS = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": ["baseline", "frelu"]}})
SEEDS = json.dumps({"name": "IntDistribution", "attributes": {"log": False, "step": 1, "low": 0, "high": 2}})
RATES = json.dumps({"name": "FloatDistribution", "attributes": {"step": None, "low": 0.0, "high": 1.0, "log": False}})


def storage(path: Path) -> Path:
    """A study `acts` of two activations under three seeds, and a study `two` with two objectives and one trial."""
    with closing(sqlite3.connect(path)) as base:
        base.executescript(SCHEMA)
        base.executemany("INSERT INTO studies VALUES (?, ?)", [(1, "acts"), (2, "two")])
        directions = [(1, "MAXIMIZE", 1, 0), (2, "MAXIMIZE", 2, 0), (3, "MINIMIZE", 2, 1)]
        base.executemany("INSERT INTO study_directions VALUES (?, ?, ?, ?)", directions)
        trial = 0
        for place, first in enumerate((0.50, 0.53)):
            for seed in range(3):
                trial += 1
                pruned = place == 1 and seed == 2
                infinite = place == 0 and seed == 2
                base.execute(
                    "INSERT INTO trials VALUES (?, ?, 1, ?)", (trial, trial - 1, "PRUNED" if pruned else "COMPLETE")
                )
                for name, value, kind in (("activation", place, ARMS), ("seed", seed, SEEDS), ("lr", 0.1, RATES)):
                    base.execute(
                        "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)"
                        " VALUES (?, ?, ?, ?)",
                        (trial, name, float(value), kind),
                    )
                base.execute(
                    "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?, 0, ?, ?)",
                    (trial, None if infinite else first + seed / 100, "INF_NEG" if infinite else "FINITE"),
                )
                base.execute(
                    "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (?, 'AP50', ?)",
                    (trial, json.dumps(0.7 + seed / 100)),
                )
        base.execute("INSERT INTO trials VALUES (99, 0, 2, 'COMPLETE')")
        for objective, value in enumerate((0.4, 12.0)):
            base.execute(
                "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (99, ?, ?, 'FINITE')",
                (objective, value),
            )
        base.execute(
            "INSERT INTO study_system_attributes VALUES (1, 2, 'study:metric_names', ?)", (json.dumps(["AP", "ms"]),)
        )
        base.commit()
    return path


def test_a_storage_is_read_as_optuna_would_export_it(tmp_path: Path) -> None:
    table = read_storage(storage(tmp_path / "o.db"), "acts")
    assert table.columns == (
        "number",
        "state",
        "value",
        "params_activation",
        "params_seed",
        "params_lr",
        "user_attrs_AP50",
    )
    assert table.rows[0] == ["0", "COMPLETE", "0.5", "baseline", "0", "0.1", "0.7"]
    assert table.rows[2][2] == "-inf"
    assert read_storage(tmp_path / "o.db", "two").columns == ("number", "state", "values_AP", "values_ms")


def test_a_storage_is_compared(tmp_path: Path) -> None:
    asked = Columns(arm="activation", seed="seed", study="acts")
    found = read_files([Source(storage(tmp_path / "o.db"))], asked)
    assert found.table() == {"baseline": {0: 0.5, 1: 0.51, 2: None}, "frelu": {0: 0.53, 1: 0.54, 2: None}}
    assert [each.missing for each in found.results if each.missing] == ["its score is -inf", "the run is PRUNED"]


def test_a_storage_with_several_studies_wants_a_name(tmp_path: Path) -> None:
    path = storage(tmp_path / "o.db")
    with pytest.raises(DataError, match="holds 2 studies; name one as --study: acts, two"):
        read_storage(path)
    with pytest.raises(UnknownName, match=r"unknown study 'act'.*did you mean 'acts'"):
        read_storage(path, "act")


def test_another_database_is_no_storage(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as base:
        base.execute("CREATE TABLE t (a)")
        base.commit()
    with pytest.raises(DataError, match=r"is not an Optuna storage.*no such table.*trials_dataframe"):
        read_storage(tmp_path / "x.db")


def store(folder: Path) -> Path:
    """Two arms under two seeds, three steps each; one run failed, one is deleted."""
    for arm, first in (("baseline", 0.50), ("frelu", 0.53)):
        for seed in range(3):
            run = folder / "350567" / f"{arm}{seed}"
            deleted, failed = (arm, seed) == ("frelu", 2), (arm, seed) == ("frelu", 1)
            texts = {
                "meta.yaml": f"run_id: {arm}{seed}\nlifecycle_stage: {'deleted' if deleted else 'active'}\n"
                f"status: {4 if failed else 3}\nartifact_uri: file:///x\ntags: []\n",
                "params/arm": arm,
                "params/seed": str(seed),
                "params/opt/name": "sgd",
                "tags/mlflow.runName": f"{arm}-{seed}",
                "metrics/val/AP": "".join(
                    f"17953616400{step} {first + seed / 100 + step / 1000} {step}\n" for step in range(3)
                ),
                "metrics/AP50": "1795361640036 0.7\n",
            }
            for name, text in texts.items():
                (run / name).parent.mkdir(parents=True, exist_ok=True)
                (run / name).write_text(text)
    (folder / "350567" / "meta.yaml").write_text("experiment_id: '350567'\nname: exp\nlifecycle_stage: active\n")
    return folder


def test_a_store_is_compared_by_its_last_steps(tmp_path: Path) -> None:
    found = read_files([Source(store(tmp_path / "mlruns"))], Columns(metric="val/AP"))
    table = found.table()
    assert table["baseline"] == pytest.approx({0: 0.502, 1: 0.512, 2: 0.522})
    assert table["frelu"] == pytest.approx({0: 0.532, 1: None})
    assert [each.missing for each in found.results if each.missing] == ["the run is FAILED"]
    assert found.results[0].settings["opt/name"] == "sgd"
    assert found.warnings == ()


def test_a_metric_that_was_logged_once_is_read_beside_one_with_steps(tmp_path: Path) -> None:
    found = read_files([Source(store(tmp_path / "mlruns"))], Columns(metric="AP50"))
    assert found.table()["baseline"] == {0: 0.7, 1: 0.7, 2: 0.7}


def test_one_experiment_and_one_value_at_a_step_twice(tmp_path: Path) -> None:
    """As MLflow does: the later of two values at one step counts."""
    folder = store(tmp_path / "mlruns") / "350567"
    path = folder / "baseline0" / "metrics" / "val" / "AP"
    path.write_text("5 0.9 2\n9 0.6 2\n1 0.1 0\n")
    assert read_files([Source(folder)], Columns(metric="val/AP")).table()["baseline"][0] == 0.6


def test_a_damaged_or_empty_store_is_said(tmp_path: Path) -> None:
    folder = store(tmp_path / "mlruns")
    (folder / "350567" / "frelu0" / "metrics" / "AP50").write_text("soon 0.7 0\n")
    with pytest.raises(DataError, match=r"AP50, line 1: expected 'timestamp value step', got 'soon 0.7 0'"):
        read_store(folder)
    (tmp_path / "empty" / "0").mkdir(parents=True)
    (tmp_path / "empty" / "0" / "meta.yaml").write_text("name: Default\n")
    with pytest.raises(DataError, match="holds no run of MLflow"):
        read_store(tmp_path / "empty")
