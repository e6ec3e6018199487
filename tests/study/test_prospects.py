"""What a plan says of a design: smallest effects by hand, seeds, equal cost, and the noise that is known."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tiny_study import TINY, tiny

from ablab.records import RunKey, RunRecord, write_json, write_record
from ablab.reports.prospects import design_lines
from ablab.stats import seeds_needed, smallest_detectable
from ablab.study.design import arms
from ablab.study.known import Noise, known_noise
from ablab.study.prospects import prospects
from ablab.study.store import describe

CHANGES = [
    {"name": name, "set": {field: value}}
    for name, field, value in (
        ("a", "train.batch", 2), ("b", "train.epochs", 2), ("c", "optimizer.lr", 0.1), ("d", "augment.mosaic", 0.5),
        ("e", "optimizer.weight_decay", 0.1), ("f", "schedule.final", 0.5),
    )
]  # fmt: skip


def said(design: str, count: int, noise: Noise | None = None, **others: Any) -> dict[str, Any]:
    study = tiny(**{"changes": CHANGES[:count], "controls": [], "design": design, "seeds": 5} | others)
    return prospects(study, arms(study), noise)


def test_a_main_effect_is_finer_than_a_difference_of_two_arms() -> None:
    found = said("factorial", 4)
    main, interaction, cells = found["questions"]
    assert main["scale"] == interaction["scale"] == pytest.approx(math.sqrt(2 / 16))
    assert (main["comparisons"], interaction["comparisons"], cells["comparisons"]) == (4, 6, 15)
    assert main["one"] == pytest.approx(smallest_detectable(5) * math.sqrt(1 / 8))
    assert main["all"] == pytest.approx(smallest_detectable(5, arms=4) * math.sqrt(1 / 8))
    assert cells["all"] == pytest.approx(smallest_detectable(5, arms=15))
    assert found["runs"] == 80


def test_seeds_that_the_smallest_interesting_effect_needs() -> None:
    """0.05 at a noise of 0.04 is 1.25 sd(d), and 1.25 sqrt(8) of a main effect's own."""
    main, *_ = said("factorial", 4, Noise(0.04, "here"))["questions"]
    assert main["seeds"] == [{"ratio": pytest.approx(1.25), "seeds": seeds_needed(1.25 * math.sqrt(8), arms=4)}]
    (rungs,) = said("stack", 3)["questions"]
    assert [row["seeds"] for row in rungs["seeds"]] == [seeds_needed(ratio, arms=3) for ratio in (2, 1, 0.5)]


def test_designs_at_equal_cost() -> None:
    """80 runs: 16 seeds of 5 arms or 5 of 16; the variances differ by (4 + 1) / 2, but for seeds that do not divide."""
    alone, cells = said("factorial", 4)["equal_cost"]
    assert [(row["arms"], row["seeds"]) for row in (alone, cells)] == [(5, 16), (16, 5)]
    assert (alone["error"] / cells["error"]) ** 2 == pytest.approx(2.5)
    alone, cells = said("one-at-a-time", 4)["equal_cost"]  # 25 runs are too few for two seeds of sixteen
    assert (alone["seeds"], cells["seeds"], cells["all"]) == (5, 1, None)
    assert said("one-at-a-time", 1)["equal_cost"] == []


@pytest.mark.parametrize("design", ["one-at-a-time", "leave-one-out", "stack", "factorial"])
@pytest.mark.parametrize("noise", [None, Noise(0.04, "judge.noise")])
@pytest.mark.parametrize("seeds", [1, 5])
def test_it_is_printed_within_eighty_columns(design: str, noise: Noise | None, seeds: int) -> None:
    found = said(design, 6, noise, seeds=seeds)
    console = Console(width=80, record=True, file=io.StringIO())
    for line in design_lines({"design": found, "seeds": list(range(seeds)), "metric": "AP50"}):
        console.print(line)
    text = console.export_text()
    assert found["title"].split(",")[0] in text
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert ("a * b is aliased with c * e" in text) == (design == "factorial")


def stored(shelf: Path, name: str, rows: list[tuple[int, float]], scores: list[float], **others: Any) -> None:
    study = tiny(**{"name": name} | others)
    write_json(shelf / name / "study.json", describe(study))
    write_json(shelf / name / "plan.json", {"asked": {"data": {"baseline": "m"}}})
    write_json(shelf / name / "verdicts.json", {"arms": [{"n": n, "sd": sd} for n, sd in rows]})
    for seed, score in enumerate(scores):
        key = RunKey(name, "baseline", seed, "f" * 16)
        write_record(shelf / name, RunRecord(key, "done", scores={"validation": {"AP50": score}}))


def test_noise_of_stored_studies_is_pooled(tmp_path: Path) -> None:
    stored(tmp_path, "one", [(5, 0.02), (3, 0.05), (1, 9.0)], [0.5, 0.6])
    stored(tmp_path, "two", [(2, 0.01)], [])
    found = known_noise(tiny(), tmp_path, "m")
    assert found is not None
    assert found.sd == pytest.approx(math.sqrt((4 * 0.02**2 + 2 * 0.05**2 + 0.01**2) / 7))
    assert found.source.startswith("3 comparisons in one, two")


def test_runs_of_the_baseline_alone_count_as_unpaired(tmp_path: Path) -> None:
    stored(tmp_path, "one", [], [0.50, 0.54, 0.52])
    found = known_noise(tiny(), tmp_path, "m")
    assert found is not None
    assert found.sd == pytest.approx(math.sqrt(2) * np.std([0.50, 0.54, 0.52], ddof=1))
    assert "as if unpaired" in found.source


def test_what_another_baseline_or_data_or_metric_scored_says_nothing(tmp_path: Path) -> None:
    train = TINY["baseline"]["train"]
    stored(tmp_path, "longer", [(5, 0.02)], [], baseline=TINY["baseline"] | {"train": train | {"epochs": 2}})
    stored(tmp_path, "metric", [(5, 0.02)], [], judge={"metric": "AP"})
    stored(tmp_path, "broken", [(5, 0.02)], [])
    (tmp_path / "broken" / "verdicts.json").write_text("{")
    assert known_noise(tiny(), tmp_path, "m") is None
    stored(tmp_path, "same", [(5, 0.02)], [])
    assert known_noise(tiny(), tmp_path, "other data") is None
    assert known_noise(tiny(), tmp_path, "m") is not None
    stated = tiny(judge={"metric": "AP50", "noise": 0.3})
    assert known_noise(stated, tmp_path, "m") == Noise(0.3, "judge.noise")
