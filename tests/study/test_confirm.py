"""A finished study's winner on fresh seeds: what is trained again, how it is judged, and when it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feigned import Feigned, Killed, feign
from scipy import stats as scipy_stats
from tiny_study import tiny

from ablab import records
from ablab.engine.events import Silent
from ablab.errors import ConfigError
from ablab.stats import expected_bias
from ablab.study import confirm as confirming
from ablab.study import run as running
from ablab.study import winners
from ablab.study.design import arms
from ablab.study.spec import Study

EFFECTS = {"baseline": 0.0, "one": 0.2, "two": 0.3, "none": 0.0, "a/a": 0.0, "one+two": 0.5}
LUCK = 0.01 * np.random.default_rng(4).standard_normal((6, 40))


def score(arm: str, seed: int) -> float:
    fresh = 0.05 if seed >= 5 and arm == "two" else 0.0  # the study's luck
    return 0.3 + EFFECTS[arm] - fresh + float(LUCK[[*EFFECTS].index(arm), seed])


def change(name: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "set": settings}


ONE, TWO = change("one", **{"train.epochs": 2}), change("two", **{"train.batch": 2})
NONE = change("none", **{"optimizer.lr": 0.02})


def asked(**changes: Any) -> Study:
    judge = {"metric": "AP50", "smallest_interesting": 0.01}
    return tiny(**{"changes": [ONE, TWO, NONE], "seeds": 5, "judge": judge} | changes)


def confirm(study: Study, folder: Path, seeds: int | None = None) -> dict[str, Any]:
    return confirming.confirm(study, folder, seeds=seeds, jobs=1, display=Silent())


def finish(study: Study, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Feigned:
    """Run a study to its end; returns what trains, with nothing trained yet."""
    feigned = feign(monkeypatch, score)
    running.run(study, folder, jobs=1, display=Silent())
    feigned.trained.clear()
    return feigned


def test_winner_stack_and_baseline_are_trained_under_seeds_that_chose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feigned = finish(asked(), tmp_path, monkeypatch)
    document = confirm(asked(), tmp_path)
    assert document["seeds"] == [5, 6, 7, 8, 9]
    assert set(feigned.trained) == {(arm, seed) for arm in ("baseline", "two", "one+two") for seed in range(5, 10)}
    assert [(row["arm"], row["role"], row["verdict"]) for row in document["arms"]] == [
        ("two", "winner", "helps"),
        ("one+two", "stack", "helps"),
    ]
    assert (document["finished"], document["runs"], document["missing"]) == (True, 15, 0)
    assert document == records.read_json(tmp_path / "confirm.json") | {"bias": document["bias"]}
    assert {record.key.seed for record in records.read_records(tmp_path)} == set(range(5))  # the study is as it was


def test_the_winner_is_judged_among_the_confirmed_and_its_shrinkage_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish(asked(), tmp_path, monkeypatch)
    winner, stack = confirm(asked(), tmp_path)["arms"]
    seen, fresh = (
        np.array([score("two", s) - score("baseline", s) for s in seeds]) for seeds in (range(5), range(5, 10))
    )
    assert winner["study_effect"] == pytest.approx(seen.mean())
    assert winner["effect"] == pytest.approx(fresh.mean())
    assert winner["shrinkage"] == pytest.approx(seen.mean() - fresh.mean())
    assert winner["kept"] == pytest.approx(fresh.mean() / seen.mean())
    half = scipy_stats.t.ppf(1 - 0.05 / 2 / 2, 4) * fresh.std(ddof=1) / 5**0.5  # K = 2
    assert winner["simultaneous"] == pytest.approx([fresh.mean() - half, fresh.mean() + half])
    assert (stack["study_effect"], stack["shrinkage"], stack["kept"]) == (None, None, None)


def test_the_bias_of_the_best_of_many_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(asked(), tmp_path, monkeypatch)
    document = confirm(asked(), tmp_path)
    sd = np.std([score("baseline", seed) for seed in range(5)], ddof=1)
    assert document["bias"] == {
        "arms": 4,
        "seeds": 5,
        "in_sd": expected_bias(4, 5),
        "points": pytest.approx(expected_bias(4, 5) * sd),
    }
    text = confirming.lines(document)
    assert text.splitlines()[0] == "confirmed on 5 fresh seeds (5 to 9)"
    assert "the best of 4 useless changes over 5 seeds" in text
    assert "two (winner)" in text


def test_a_kill_loses_nothing_and_nobody_sees_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feigned = finish(asked(), tmp_path, monkeypatch)
    feigned.dies = 7
    with pytest.raises(Killed):
        confirm(asked(), tmp_path, seeds=4)
    begun = json.loads((tmp_path / "confirm.json").read_text())
    assert (begun["seeds"], begun["finished"], begun["arms"]) == ([5, 6, 7, 8], False, [])
    with pytest.raises(ConfigError, match=r"begun with 4 fresh seeds, and 6 are asked for.*voids alpha"):
        confirm(asked(), tmp_path, seeds=6)
    feigned.dies = -1
    document = confirm(asked(), tmp_path)  # as many as it was begun with
    assert document["finished"]
    assert len(feigned.trained) == len({*feigned.trained}) == 12
    feigned.trained.clear()
    assert confirm(asked(), tmp_path)["arms"] == document["arms"]
    assert feigned.trained == []


def test_runs_that_are_missing_leave_the_confirmation_unjudged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(asked(), tmp_path, monkeypatch)
    monkeypatch.setattr(confirming, "train_missing", lambda *_: None)  # no hours are left
    document = confirm(asked(), tmp_path)
    assert (document["finished"], document["missing"], document["arms"]) == (False, 15, [])
    assert "not all runs have ended" in confirming.lines(document)


def test_one_helping_change_has_no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = asked(changes=[ONE, NONE])
    finish(study, tmp_path, monkeypatch)
    assert [row["role"] for row in confirm(study, tmp_path)["arms"]] == ["winner"]


def test_helping_changes_that_do_not_combine_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = asked(changes=[ONE, change("two", **{"train.epochs": 3})])
    finish(study, tmp_path, monkeypatch)
    document = confirm(study, tmp_path)
    assert [row["arm"] for row in document["arms"]] == ["two"]
    assert "no stack: changes 'one' and 'two' collide" in document["notes"][0]
    assert document["notes"][0] in confirming.lines(document)


def test_where_nothing_helped_there_is_no_winner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = asked(changes=[NONE])
    finish(study, tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="no change helped"):
        confirm(study, tmp_path)
    assert not (tmp_path / "confirm.json").exists()


def test_a_study_that_is_not_finished_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feigned = feign(monkeypatch, score)
    with pytest.raises(ConfigError, match="there is no study in"):
        confirm(asked(), tmp_path)
    feigned.dies = 9
    with pytest.raises(Killed):
        running.run(asked(), tmp_path, jobs=1, display=Silent())
    with pytest.raises(ConfigError, match=r"not finished \(16 of 25 runs are still to do\)"):
        confirm(asked(), tmp_path)


def test_a_sequential_study_is_confirmed_when_every_arm_is_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = {"max": 12, "looks": [5, 8, 12]}
    study = asked(changes=[ONE, NONE], controls=[], seeds=looks)
    feigned = feign(monkeypatch, score)
    feigned.dies = 16
    with pytest.raises(Killed):
        running.run(study, tmp_path, jobs=1, display=Silent())
    with pytest.raises(ConfigError, match="not finished"):
        confirm(study, tmp_path)
    finish(study, tmp_path, monkeypatch)
    document = confirm(study, tmp_path)
    assert document["seeds"] == [12, 13, 14, 15, 16]  # as many as decided it, and none that the study might have used
    assert document["bias"]["seeds"] == 5


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"judge": {"metric": "AP50", "split": "test"}}, "judged on test chooses no winner"),
        ({"seeds": 6}, "was frozen with other arms, seeds or judge"),
    ],
)
def test_another_study_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any], said: str
) -> None:
    finish(asked(), tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match=said):
        confirm(asked(**other), tmp_path)


def test_one_fresh_seed_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finish(asked(), tmp_path, monkeypatch)
    with pytest.raises(ConfigError, match="2 fresh seeds or more, got 1"):
        confirm(asked(), tmp_path, seeds=1)


def row(arm: str, effect: float, verdict: str = "helps") -> dict[str, Any]:
    from ablab.stats import judge

    values = {"baseline": dict.fromkeys(range(3), 0.5), arm: dict.fromkeys(range(3), 0.5 + effect)}
    return judge(values, "baseline", smallest_interesting=0.01)[0].as_dict() | {"verdict": verdict}


def chosen(study: Study, rows: list[dict[str, Any]], main: list[dict[str, Any]] | None = None) -> list[tuple[str, ...]]:
    found, _ = winners.candidates(study, arms(study), rows, main or [])
    return [(each.arm.name, each.role, each.arm.against) for each in found]


def test_a_control_is_never_a_winner() -> None:
    study = asked(changes=[NONE])
    with pytest.raises(ConfigError, match="no change helped"):
        chosen(study, [row("none", 0.0, "undecided"), row("a/a", 0.2)])


def test_the_smaller_is_the_winner_where_less_is_better() -> None:
    study = asked(judge={"metric": "AP50", "direction": "min"}, controls=[])
    assert chosen(study, [row("one", -0.1), row("two", -0.3), row("none", -0.0, "undecided")])[0][0] == "two"


def test_a_ladders_winner_stands_against_the_rung_below() -> None:
    study = asked(design="stack", controls=[])
    rows = [row("+one", 0.1), row("+two", 0.2), row("+none", 0.0, "undecided")]
    assert chosen(study, rows) == [("+two", "winner", "+one"), ("one+two", "stack", "baseline")]


def test_a_factorials_winner_is_the_best_main_effect_and_its_stack_a_cell() -> None:
    study = asked(design="factorial", controls=[], changes=[ONE, TWO])
    cells = [row("one", 0.1, "undecided"), row("two", 0.2, "undecided"), row("one+two", 0.3, "undecided")]
    found, _ = winners.candidates(study, arms(study), cells, [row("one", 0.1), row("two", 0.2)])
    assert [(each.arm.name, each.role, each.arm.kind) for each in found] == [
        ("two", "winner", "change"),
        ("one+two", "stack", "change"),
    ]
    assert [each.study.effect for each in found if each.study] == pytest.approx([0.2, 0.3])


def test_the_full_model_is_a_leave_one_out_studys_winner() -> None:
    study = asked(design="leave-one-out", controls=[], changes=[ONE, TWO])
    rows = [row("full", 0.4), row("without/one", -0.1, "hurts"), row("without/two", -0.2, "hurts")]
    assert chosen(study, rows) == [("full", "winner", "baseline")]
