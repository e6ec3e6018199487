"""A small study of each design, from its file to its verdicts: which arms, compared with what, and what is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_study import TINY, tiny

from ablab import records, reports
from ablab.engine.events import Silent
from ablab.stats import Verdict
from ablab.study import run as running

CBAM = {"name": "cbam", "edits": [{"op": "insert", "after": "backbone.out", "part": "cbam"}]}
FOCAL = {"name": "focal", "set": {"loss.classification": "focal"}}

BASELINE = TINY["baseline"] | {  # it finds something, so that arms differ
    "model": {"head": "anchor-free"},
    "augment": {"mosaic": 0.0},
    "optimizer": {"lr": 5e-3},
    "train": TINY["baseline"]["train"] | {"epochs": 5},
}
SEEDS = [3]  # one is enough here: what several say together, test_factorial.py tells

ARMS = {
    "leave-one-out": {"full": "baseline", "without/cbam": "full", "without/focal": "full"},
    "stack": {"+cbam": "baseline", "+focal": "+cbam"},
    "factorial": {"cbam": "baseline", "focal": "baseline", "cbam+focal": "baseline"},
}


@pytest.fixture(scope="module", params=ARMS)
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, dict[str, Any]]:
    """A design's name, the folder of its study, and what running it returned."""
    folder = tmp_path_factory.mktemp("designs") / request.param
    study = tiny(baseline=BASELINE, changes=[CBAM, FOCAL], controls=[], design=request.param, seeds=SEEDS)
    return request.param, folder, running.run(study, folder, jobs=2, display=Silent())


def scores(folder: Path) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for record in records.read_records(folder):
        found.setdefault(record.key.arm, {})[record.key.seed] = record.scores["validation"]["AP50"]
    return found


def test_every_arm_is_compared_with_its_own_reference(done: tuple[str, Path, dict[str, Any]]) -> None:
    design, folder, outcome = done
    assert {row["arm"]: row["against"] for row in outcome["arms"]} == ARMS[design]
    assert outcome["runs"] == 1 + len(ARMS[design])
    found = scores(folder)
    assert len({found[arm][seed] for arm in found for seed in SEEDS}) > 2
    for row in outcome["arms"]:
        by_hand = {str(seed): found[row["arm"]][seed] - found[row["against"]][seed] for seed in SEEDS}
        assert row["differences"] == pytest.approx(by_hand)
        assert ("descriptive: the main effects decide" in row["qualifiers"]) == (design == "factorial")


def test_the_record_says_what_the_design_tells(done: tuple[str, Path, dict[str, Any]]) -> None:
    design, folder, _ = done
    record = records.read_json(folder / "verdicts.json")["factorial"]
    assert record["answers"]
    assert record["cannot"]
    found = scores(folder)
    base = found["baseline"]
    (together,) = record["additivity"] or [None]
    if design == "stack":
        assert (together, record["main"], record["interactions"]) == (None, [], [])
        return
    whole = "full" if design == "leave-one-out" else "cbam+focal"
    measured = sum(found[whole][seed] - base[seed] for seed in SEEDS)
    assert (together["arm"], together["measured"]["effect"]) == (whole, pytest.approx(measured))
    if design == "leave-one-out":
        parts = [{s: found["full"][s] - found[f"without/{name}"][s] for s in SEEDS} for name in ("cbam", "focal")]
    else:
        parts = [{s: found[name][s] - base[s] for s in SEEDS} for name in ("cbam", "focal")]
    predicted = sum(part[seed] for part in parts for seed in SEEDS)
    assert together["predicted"]["effect"] == pytest.approx(predicted)
    assert together["departure"]["effect"] == pytest.approx(measured - predicted)


def test_a_factorials_effects_are_contrasts_of_its_cells(done: tuple[str, Path, dict[str, Any]]) -> None:
    design, folder, _ = done
    record = records.read_json(folder / "verdicts.json")["factorial"]
    if design != "factorial":
        assert record["main"] == []
        return
    found = scores(folder)
    base, cbam, focal, both = (found[name] for name in ("baseline", "cbam", "focal", "cbam+focal"))
    by_hand = [(cbam[s] - base[s] + both[s] - focal[s]) / 2 for s in SEEDS]
    names = set(Verdict.__dataclass_fields__)
    main = [Verdict.from_dict({key: row[key] for key in row if key in names}) for row in record["main"]]
    assert [(each.arm, each.against) for each in main] == [
        ("cbam", "arms without cbam"),
        ("focal", "arms without focal"),
    ]
    assert list(main[0].differences.values()) == pytest.approx(by_hand)
    (interaction,) = record["interactions"]
    assert interaction["changes"] == ["cbam", "focal"]
    assert interaction["effect"] == pytest.approx(sum(both[s] - cbam[s] - focal[s] + base[s] for s in SEEDS) / 2)


def test_a_report_is_drawn_from_it(done: tuple[str, Path, dict[str, Any]]) -> None:
    design, folder, _ = done
    view = reports.read(folder)
    assert view.design == design
    text = reports.as_markdown(view)
    assert all(arm in text for arm in ARMS[design])
    assert {row["against"] for row in records.read_json(folder / "study.json")["arms"]} == {"", *ARMS[design].values()}


def test_test_is_described_by_the_design_too(done: tuple[str, Path, dict[str, Any]]) -> None:
    design, folder, _ = done
    final = records.read_json(folder / "final.json")
    assert {row["arm"]: row["against"] for row in final["verdicts"]} == ARMS[design]
    assert len(final["factorial"]["main"]) == (2 if design == "factorial" else 0)
