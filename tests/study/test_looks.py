"""From look to look: who stops, who goes on, what is logged, and what a kill at any moment leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feigned import Killed, feign, seeds_of
from tiny_study import tiny

from ablab import records
from ablab.engine.events import Silent
from ablab.errors import ConfigError
from ablab.records import RunKey, RunRecord, write_record
from ablab.reports import listings
from ablab.stats.sequential import boundaries, levels
from ablab.study import looks, store
from ablab.study import run as running
from ablab.study.design import arms
from ablab.study.spec import Study

EFFECTS = {"baseline": 0.0, "good": 0.2, "slow": 0.03, "none": 0.0, "bad": -0.2}
LUCK = 0.02 * np.random.default_rng(2).standard_normal((6, 40))


def score(arm: str, seed: int) -> float | None:
    return 0.5 + EFFECTS[arm] + float(LUCK[[*EFFECTS].index(arm), seed])


def change(name: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "set": settings or {"train.epochs": 2}}


def sequential(**changes: Any) -> Study:
    asked: dict[str, Any] = {
        "changes": [change("good"), change("slow"), change("bad")],
        "controls": [],
        "seeds": {"max": 12, "looks": [5, 8, 12]},
        "judge": {"metric": "AP50", "smallest_interesting": 0.004},
    }
    return tiny(**asked | changes)


def run(study: Study, folder: Path) -> dict[str, Any]:
    return running.run(study, folder, jobs=1, display=Silent())


def outcomes(folder: Path) -> list[tuple[int, str, str]]:
    return [(row["look"], row["arm"], row["outcome"]) for row in looks.read_log(folder)]


def test_decided_arms_stop_and_the_others_go_on_with_the_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feigned = feign(monkeypatch, score)
    outcome = run(sequential(), tmp_path)
    assert outcomes(tmp_path) == [
        (1, "good", "helps"),
        (1, "slow", "goes on"),
        (1, "bad", "hurts"),
        (2, "slow", "goes on"),
        (3, "slow", "helps"),
    ]
    assert {arm: len(seeds_of(tmp_path, arm)) for arm in ("baseline", "good", "slow", "bad")} == {
        "baseline": 12,
        "good": 5,
        "slow": 12,
        "bad": 5,
    }
    assert feigned.trained[:4] == [("baseline", 0), ("good", 0), ("slow", 0), ("bad", 0)]  # a block is a seed
    assert (outcome["runs"], outcome["missing"], outcome["closed"]) == (34, 0, True)
    rows = {row["arm"]: row for row in outcome["arms"]}
    assert [(rows[arm]["look"], rows[arm]["n"]) for arm in ("good", "slow", "bad")] == [(1, 5), (3, 12), (1, 5)]
    assert "stopped at look 1 of 3" in rows["good"]["qualifiers"]
    assert outcome["looks"]["at"] == [5, 8, 12]
    assert outcome["looks"]["judged"] == 3
    assert outcome["looks"]["boundaries"] == list(boundaries((5, 8, 12), 0.05 / 3))


def test_the_interval_of_an_arm_that_stopped_is_the_boundarys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feign(monkeypatch, score)
    rows = {row["arm"]: row for row in run(sequential(), tmp_path)["arms"]}
    d = np.array([score("good", s) - score("baseline", s) for s in range(5)])  # type: ignore[operator]
    half = boundaries((5, 8, 12), 0.05 / 3)[0] * d.std(ddof=1) / 5**0.5
    assert rows["good"]["simultaneous"] == pytest.approx([d.mean() - half, d.mean() + half])
    logged = looks.read_log(tmp_path)[0]
    assert [logged["low"], logged["high"]] == pytest.approx(rows["good"]["simultaneous"])
    assert logged["t"] == pytest.approx(d.mean() / (d.std(ddof=1) / 5**0.5))
    assert rows["good"]["level"] == levels((5, 8, 12), 0.05)[0]
    assert rows["good"]["p"] is None


def said(outcome: dict[str, Any]) -> list[dict[str, Any]]:
    """The verdicts, without the intervals over images, which feigned runs have not: the reason names a folder."""
    return [{key: value for key, value in row.items() if key != "population"} for row in outcome["arms"]]


@pytest.mark.parametrize("dies", [0, 3, 19, 20, 21, 27, 33])
def test_a_kill_at_any_run_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: int) -> None:
    whole = feign(monkeypatch, score)
    uncut = run(sequential(), tmp_path / "whole")
    feigned = feign(monkeypatch, score)
    feigned.dies = dies
    with pytest.raises(Killed):
        run(sequential(), tmp_path / "cut")
    before = looks.read_log(tmp_path / "cut")
    feigned.dies = -1
    again = run(sequential(), tmp_path / "cut")
    assert looks.read_log(tmp_path / "cut")[: len(before)] == before
    assert outcomes(tmp_path / "cut") == outcomes(tmp_path / "whole")
    assert said(again) == said(uncut)
    assert sorted(feigned.trained) == sorted(whole.trained)


def test_a_kill_before_a_look_is_written_judges_it_again_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feign(monkeypatch, score)
    wrote = looks.write_json

    def dying(path: Path, value: Any) -> None:
        raise Killed

    monkeypatch.setattr(looks, "write_json", dying)
    with pytest.raises(Killed):
        run(sequential(), tmp_path)
    assert not (tmp_path / "looks.json").exists()
    monkeypatch.setattr(looks, "write_json", wrote)
    run(sequential(), tmp_path)
    assert outcomes(tmp_path)[0] == (1, "good", "helps")


def test_a_finished_study_is_not_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feigned = feign(monkeypatch, score)
    first = run(sequential(), tmp_path)
    log = (tmp_path / "looks.json").read_bytes()
    feigned.trained.clear()
    assert run(sequential(), tmp_path)["arms"] == first["arms"]
    assert (tmp_path / "looks.json").read_bytes() == log
    assert feigned.trained == []


def test_what_a_look_decided_stands_on_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feign(monkeypatch, score)
    run(sequential(), tmp_path)
    for record in records.read_records(tmp_path):
        if record.key.arm == "good":
            write_record(tmp_path, RunRecord(record.key, "done", scores={"validation": {"AP50": 0.5}}))
    again = run(sequential(), tmp_path)
    row = next(row for row in again["arms"] if row["arm"] == "good")
    assert (row["verdict"], row["qualifiers"][-1]) == ("helps", "as decided at its look")
    assert any("good: look 1 was judged on 5 pairs" in warning for warning in again["warnings"])
    assert not any("slow: look" in warning for warning in again["warnings"])


def test_an_arm_that_others_stand_on_goes_on_after_it_is_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ladder: the first rung helps at once, the second is judged against it."""
    effects = {"baseline": 0, "+good": 1, "+slow": 2}

    def ladder(arm: str, seed: int) -> float:
        height = effects[arm]
        return 0.5 + 0.2 * min(height, 1) + float(LUCK[height, seed])

    feign(monkeypatch, ladder)
    study = sequential(changes=[change("good"), change("slow", **{"train.batch": 2})], design="stack")
    rows = {row["arm"]: row for row in run(study, tmp_path)["arms"]}
    assert outcomes(tmp_path)[:2] == [(1, "+good", "helps"), (1, "+slow", "goes on")]
    assert len(seeds_of(tmp_path, "+good")) == len(seeds_of(tmp_path, "+slow")) == 12
    assert (rows["+good"]["n"], rows["+slow"]["n"], rows["+slow"]["against"]) == (5, 12, "+good")


def test_futility_stops_an_arm_only_where_it_was_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feign(monkeypatch, score)
    study = sequential(changes=[change("good"), change("none")])
    run(study, tmp_path / "open")
    hopeless = looks.read_log(tmp_path / "open")[1]
    assert (hopeless["arm"], hopeless["outcome"]) == ("none", "goes on")
    assert hopeless["conditional_power"] < 0.2
    declared = {"max": 12, "looks": [5, 8, 12], "futility": 0.2}
    row = run(study.model_copy(update={"seeds": tiny(controls=[], seeds=declared).seeds}), tmp_path / "told")["arms"][1]
    assert looks.read_log(tmp_path / "told")[1]["outcome"] == "futile"
    assert (row["verdict"], row["n"]) == ("undecided", 5)
    assert row["qualifiers"][:2] == ["stopped at look 1 of 3", "futile"]
    assert len(seeds_of(tmp_path / "told", "baseline")) == 5


def test_a_failed_run_of_an_arm_is_a_missing_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feign(monkeypatch, lambda arm, seed: None if (arm, seed) == ("good", 2) else score(arm, seed))
    outcome = run(sequential(), tmp_path)
    first = looks.read_log(tmp_path)[0]
    assert (first["arm"], first["n"], first["seeds"]) == ("good", 4, 5)
    assert (outcome["failed"], outcome["closed"]) == (1, False)


def test_a_look_waits_for_the_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feign(monkeypatch, lambda arm, seed: None if (arm, seed) == ("baseline", 2) else score(arm, seed))
    outcome = run(sequential(), tmp_path)
    assert looks.read_log(tmp_path) == []
    assert (outcome["failed"], outcome["closed"]) == (1, False)
    assert {(row["look"], row["n"], row["verdict"]) for row in outcome["arms"]} == {(0, 0, "undecided")}
    assert outcome["arms"][0]["qualifiers"] == ["no look yet"]


def test_a_look_waits_for_every_run(tmp_path: Path) -> None:
    study = sequential()
    made = arms(study)
    wanted = [(arm, RunKey("tiny", arm.name, seed, "f")) for seed in range(5) for arm in made]
    done = {key: RunRecord(key, "done") for _, key in wanted[:-1]}
    assert looks.advance(tmp_path, study, made, wanted, done, {}) == []
    assert not (tmp_path / "looks.json").exists()


def test_looks_are_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feign(monkeypatch, score)
    run(sequential(), tmp_path)
    with pytest.raises(ConfigError, match=r"looks: .*5, 8, 12.* -> .*5, 10, 12"):
        store.freeze(tmp_path, sequential(seeds={"max": 12, "looks": [5, 10, 12]}))
    with pytest.raises(ConfigError, match="frozen with its first run"):
        store.freeze(tmp_path, sequential(seeds=12))


def test_a_look_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feign(monkeypatch, score)
    run(sequential(), tmp_path)
    text = looks.lines(looks.read_log(tmp_path)[:3]).splitlines()
    assert text[0] == "look 1 of 3: 5 seeds"
    assert text[1].split() == ["arm", "effect", "interval", "|t|", "decides"]
    assert text[2].split()[0] == "good"
    assert text[2].endswith("helps")
    assert text[3].endswith("goes on")
    assert max(map(len, text)) < 90


def test_the_log_is_plain_numbers_and_one_row_an_arm_and_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feign(monkeypatch, score)
    run(sequential(), tmp_path)
    rows = json.loads((tmp_path / "looks.json").read_text())
    assert len(rows) == 5
    for row in rows:
        assert all(isinstance(value, int | float | str | None) for value in row.values())
    assert {"look", "of", "seeds", "arm", "against", "n", "effect", "t", "boundary"} <= set(rows[0])


def test_the_plan_gives_every_looks_cost() -> None:
    study = sequential()
    rows = looks.prospects(study, arms(study), hours=6.0)
    assert [(row["seeds"], row["runs"], row["hours"]) for row in rows] == [(5, 20, 2.5), (8, 32, 4.0), (12, 48, 6.0)]
    assert [row["boundary"] for row in rows] == list(boundaries((5, 8, 12), 0.05 / 3))
    assert looks.prospects(tiny(), arms(tiny()), 6.0) == []


def test_the_plan_is_printed_as_a_range() -> None:
    study = sequential()
    plan = {
        "arms": [{"arm": arm.name} for arm in arms(study)],
        "seeds": list(study.seeds),
        "jobs": 2,
        "hours": 6.0,
        "max_hours": None,
        "looks": looks.prospects(study, arms(study), 6.0),
        "detectable": {"one": 1.0, "seeds": 12, "comparisons": 1},
        "design": {"name": "one-at-a-time"},
    }
    first, second = listings._prospects(plan)
    assert first == "20 to 48 runs, 2 at a time: about 150 to 360 minutes"
    assert "5 seeds (|t| > 4.75), 8 seeds" in second
    assert listings._prospects(plan | {"looks": []})[0] == "48 runs, 2 at a time: about 360 minutes"
    short = listings._prospects(plan | {"looks": [], "hours": 0.0125})[0]
    assert short == "48 runs, 2 at a time: about 45 seconds"


def test_looks_cost_some_of_what_the_seeds_could_detect() -> None:
    fixed, looked = looks.detectable(sequential(seeds=12), 3), looks.detectable(sequential(), 3)
    assert fixed < looked < 1.25 * fixed
