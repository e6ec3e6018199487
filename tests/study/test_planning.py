"""What a plan measures and how often: a few images an arm, a full batch of the baseline, each part's contract once."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from tiny_study import TINY, tiny

from ablab.engine.events import Silent
from ablab.study import plan
from ablab.surgery import contract

TRAIN: dict[str, Any] = TINY["baseline"]["train"]
TINY_BASELINE: dict[str, Any] = TINY["baseline"]
CBAM = {"op": "insert", "after": "backbone.out", "part": "cbam"}


def test_a_full_batch_is_reckoned_from_a_few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a step takes 1 s and 0.1 s an image, a batch of 12 takes 2.2 s; a change may ask for another batch."""
    timed: list[tuple[str, int]] = []

    def step(built: plan.Built, images: int) -> float:
        timed.append((built.arm.name, images))
        return 1 + 0.1 * images

    monkeypatch.setattr(plan, "_step_seconds", step)
    changes = [{"name": "cbam", "edits": [CBAM]}, {"name": "half", "set": {"train.batch": 6}}]
    study = tiny(changes=changes, controls=[], baseline=TINY_BASELINE | {"train": TRAIN | {"batch": 12}})
    rows = {row["arm"]: row for row in plan.plan(study, (), Silent(), jobs=1)["arms"]}
    assert timed == [("baseline", 12), ("baseline", 4), ("baseline", 4), ("cbam", 4), ("half", 4)]
    assert {name: row["step_ms"] for name, row in rows.items()} == pytest.approx(
        {"baseline": 2200, "cbam": 2200, "half": 1100}
    )


def test_a_small_batch_is_timed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[int] = []
    monkeypatch.setattr(plan, "_step_seconds", lambda built, images: timed.append(images) or 0.5)
    study = tiny(baseline=TINY_BASELINE | {"train": TRAIN | {"batch": 3}}, controls=[])
    assert {row["step_ms"] for row in plan.plan(study, (), Silent(), jobs=1)["arms"]} == {500.0}
    assert timed == [3, 3]


def test_a_part_is_held_to_its_contract_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: Counter[str] = Counter()
    check = contract.check
    monkeypatch.setattr(contract, "check", lambda entry: checked.update([entry.name]) or check(entry))
    eca = {"op": "insert", "after": "neck.out", "part": "eca"}
    changes: list[dict[str, Any]] = [
        {"name": "cbam", "edits": [CBAM]},
        {"name": "both", "edits": [CBAM, eca]},
        {"name": "cbam-later", "edits": [CBAM | {"after": "neck.out"}]},
    ]
    plan.plan(tiny(changes=changes, controls=[]), (), Silent(), jobs=1)
    assert {"cbam", "eca", "ciou", "adamw"} <= set(checked)
    assert set(checked.values()) == {1}


def test_runs_beside_each_other_are_slower_as_a_step_among_company_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where company makes a step 1.5 times as long, the whole run but its start takes 1.5 times as long."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(plan, "_evaluation", lambda *_: 0.25)
    monkeypatch.setattr(plan, "_step_seconds", lambda *_: 1.5 if threading.active_count() > before else 1.0)
    before = threading.active_count()
    alone, beside = (plan.plan(tiny(controls=[]), (), Silent(), jobs=jobs)["arms"] for jobs in (1, 2))
    assert threading.active_count() == before
    for one, two in zip(alone, beside, strict=True):
        start = plan.STARTUP_SECONDS
        assert two["run_seconds"] - start == pytest.approx(1.5 * (one["run_seconds"] - start))
        assert two["step_ms"] == one["step_ms"]
