"""The record of a design that combines changes, from scores: effects, aliases, additivity, and words."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import numpy as np
import pytest
from tiny_study import tiny

from ablab.records import RunKey, RunRecord
from ablab.study.design import arms
from ablab.study.factorial import factorial
from ablab.study.judge import judge

GAINS = {"a": 0.05, "b": -0.03, "c": 0.02, "d": 0.0, "e": 0.01, "f": -0.01}
TOGETHER = 0.04  # what a and b give beyond their sum
FIELDS = ("train.batch", "train.epochs", "optimizer.lr", "augment.mosaic", "optimizer.weight_decay", "schedule.final")


def study(design: str, count: int, **others: Any) -> Any:
    values = (2, 2, 0.1, 0.5, 0.1, 0.5)
    changes = [
        {"name": name, "set": {field: value}}
        for name, field, value in zip(list(GAINS)[:count], FIELDS, values, strict=False)
    ]
    return tiny(changes=changes, controls=[], design=design, seeds=5, **others)


def table(asked: Any, noise: float = 0.002) -> dict[str, dict[int, float]]:
    """Seeds shift all arms; a and b together give more than their sum."""
    rng = np.random.default_rng(3)
    shifts = rng.normal(0.6, 0.05, 5)
    return {
        arm.name: {
            seed: float(
                shifts[seed]
                + sum(GAINS[name] for name in arm.changes)
                + TOGETHER * ({"a", "b"} <= set(arm.changes))
                + noise * rng.normal()
            )
            for seed in range(5)
        }
        for arm in arms(asked)
    }


def by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["arm"]: row for row in rows}


def test_main_effects_average_over_the_other_changes() -> None:
    """a's is its gain alone and half of what it gives with b; c's is its gain."""
    asked = study("factorial", 3)
    record = factorial(asked, arms(asked), table(asked))
    main, interactions = by_name(record["main"]), by_name(record["interactions"])
    assert record["title"] == "full factorial, 2^3 = 8 arms"
    assert {name: row["effect"] for name, row in main.items()} == pytest.approx(
        {"a": 0.05 + TOGETHER / 2, "b": -0.03 + TOGETHER / 2, "c": 0.02}, abs=0.003
    )
    assert {name: row["verdict"] for name, row in main.items()} == {"a": "helps", "b": "hurts", "c": "helps"}
    assert {name: row["effect"] for name, row in interactions.items()} == pytest.approx(
        {"a * b": TOGETHER / 2, "a * c": 0, "b * c": 0}, abs=0.003
    )
    assert interactions["a * b"]["p_holm"] < 0.01 < 0.05 < interactions["a * c"]["p_holm"]
    assert interactions["a * b"]["against"] == "arms with one of a and b"


def test_cells_are_held_against_the_sum_of_single_changes() -> None:
    asked = study("factorial", 3)
    rows = by_name(factorial(asked, arms(asked), table(asked))["additivity"])
    assert list(rows) == ["a+b", "a+c", "b+c", "a+b+c"]
    assert {row["basis"] for row in rows.values()} == {"each change alone"}
    assert rows["a+b"]["predicted"]["effect"] == pytest.approx(0.02, abs=0.006)
    assert rows["a+b"]["departure"]["effect"] == pytest.approx(TOGETHER, abs=0.006)
    assert rows["a+b"]["departure"]["interval"][0] > 0
    low, high = rows["a+c"]["departure"]["interval"]
    assert low < 0 < high


def test_a_fraction_predicts_by_main_effects_and_says_what_is_aliased() -> None:
    asked = study("factorial", 6)
    record = factorial(asked, arms(asked), table(asked))
    assert record["title"] == "fractional factorial, 2^(6-2) = 16 arms, resolution IV"
    assert record["interactions"] == []
    says = [each["says"] for each in record["aliases"]]
    assert says[0] == "a * b is aliased with c * e: their sum is all that these arms could tell"
    assert len(says) == 7
    assert {row["basis"] for row in record["additivity"]} == {"each change's main effect"}
    assert by_name(record["main"])["a"]["effect"] == pytest.approx(0.05 + TOGETHER / 2, abs=0.003)


def test_resolution_five_estimates_every_interaction() -> None:
    asked = study("factorial", 5)
    record = factorial(asked, arms(asked), table(asked))
    assert record["title"] == "fractional factorial, 2^(5-1) = 16 arms, resolution V"
    assert (len(record["interactions"]), record["aliases"]) == (10, [])
    assert by_name(record["interactions"])["a * b"]["effect"] == pytest.approx(TOGETHER / 2, abs=0.003)


def test_the_full_model_against_the_sum_of_what_its_parts_give_it() -> None:
    """Left out of the full model, a and b each lose TOGETHER, too: the sum counts it twice."""
    asked = study("leave-one-out", 3)
    (row,) = factorial(asked, arms(asked), table(asked))["additivity"]
    assert (row["arm"], row["changes"]) == ("full", ["a", "b", "c"])
    assert row["measured"]["effect"] == pytest.approx(0.04 + TOGETHER, abs=0.006)
    assert row["departure"]["effect"] == pytest.approx(-TOGETHER, abs=0.008)


def test_a_ladder_says_that_it_cannot_tell() -> None:
    asked = study("stack", 3)
    record = factorial(asked, arms(asked), table(asked))
    assert record["additivity"] == []
    assert any("by construction" in said for said in record["cannot"])


def test_one_at_a_time_has_no_such_record() -> None:
    asked = study("one-at-a-time", 3)
    assert factorial(asked, arms(asked), table(asked)) == {}


@pytest.mark.parametrize("design", ["leave-one-out", "stack", "factorial"])
def test_a_study_without_runs_has_a_record_that_json_takes(design: str) -> None:
    asked = study(design, 3)
    document = judge(asked, arms(asked), [])
    rows = document["factorial"]["main"]
    assert {(row["verdict"], row["n"]) for row in rows} <= {("undecided", 0)}
    json.dumps({key: document["factorial"][key] for key in ("main", "interactions", "aliases")}, allow_nan=False)


def test_one_family_of_holms_over_a_ladders_rungs() -> None:
    asked = study("stack", 3)
    scores = table(asked)
    records = [
        RunRecord(RunKey("tiny", arm, seed, "f"), "done", scores={"validation": {"AP50": scores[arm][seed]}})
        for arm, seed in product(scores, range(5))
    ]
    rows = by_name(judge(asked, arms(asked), records)["arms"])
    assert {name: row["against"] for name, row in rows.items()} == {"+a": "baseline", "+b": "+a", "+c": "+b"}
    assert rows["+b"]["effect"] == pytest.approx(-0.03 + TOGETHER, abs=0.004)
    smallest = min(rows.values(), key=lambda row: row["p"])
    assert smallest["p_holm"] == pytest.approx(3 * smallest["p"])
