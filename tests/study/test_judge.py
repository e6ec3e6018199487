"""From records to verdicts: which scores count, and what the reader is warned of."""

from __future__ import annotations

import pytest
from tiny_study import tiny

from ablab import stats
from ablab.errors import ConfigError
from ablab.records import RunKey, RunRecord, Status
from ablab.study.design import arms
from ablab.study.judge import judge, score_table, warnings


def record(arm: str, seed: int, score: float = 0.0, status: Status = "done", batches: str = "b") -> RunRecord:
    scores = {"validation": {"AP50": score, "AP": score / 2}} if status == "done" else {}
    error = "" if status == "done" else "loss is nan at step 3"
    return RunRecord(RunKey("tiny", arm, seed, "f" * 16), status, scores=scores, batch_hash=batches, error=error)


def test_a_diverged_run_has_the_declared_score_and_a_failed_one_none() -> None:
    study = tiny(judge={"metric": "AP50", "on_divergence": 0.1})
    table = score_table(study, [record("baseline", 0, 0.5), record("cbam", 0, status="diverged")])
    assert table == {"baseline": {0: 0.5}, "cbam": {0: 0.1}}
    assert score_table(study, [record("cbam", 1, status="failed")]) == {}


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no metric 'AP5'; did you mean 'AP50'"):
        score_table(tiny(judge={"metric": "AP5"}), [record("baseline", 0, 0.5)])


def test_a_clear_loss_hurts_and_the_control_is_not_called_anything() -> None:
    study = tiny(seeds=5)
    noise = [0.010, -0.006, 0.003, -0.009, 0.002]
    records = [record("baseline", seed, 0.7) for seed in range(5)]
    records += [record("cbam", seed, 0.4 + noise[seed]) for seed in range(5)]
    records += [record("a/a", seed, 0.7 + 3 * noise[seed], batches="own") for seed in range(5)]
    document = judge(study, arms(study), records)
    rows = {row["arm"]: row for row in document["arms"]}
    assert rows["cbam"]["verdict"] == "hurts"
    assert rows["cbam"]["effect"] == pytest.approx(-0.3)
    assert rows["a/a"]["verdict"] in {"undecided", "equivalent"}
    assert document["label"] == ""
    assert document["warnings"] == []


def test_the_declared_method_judges() -> None:
    study = tiny(seeds=3, judge={"metric": "AP50", "smallest_interesting": 0.05, "method": "dunnett"})
    scores = {"baseline": (0.50, 0.52, 0.49), "cbam": (0.60, 0.66, 0.61), "a/a": (0.51, 0.53, 0.49)}
    records = [record(arm, seed, value) for arm, own in scores.items() for seed, value in enumerate(own)]
    row = judge(study, arms(study), records)["arms"][0]
    theirs = stats.dunnett_p(stats.blocked(list(zip(*scores.values(), strict=True))).t, 2, 4)
    assert row["p_dunnett"] == pytest.approx(float(theirs[0]))
    assert (row["verdict"], row["qualifiers"][1]) == ("helps", "assumes equal seed noise in every arm")


def test_a_study_judged_on_test_has_no_verdict_before_it_is_closed() -> None:
    study = tiny(judge={"metric": "AP50", "split": "test"})
    records = [record(arm, seed, 0.5) for arm in ("baseline", "cbam", "a/a") for seed in (0, 1)]
    before = judge(study, arms(study), records)
    assert {(row["verdict"], row["n"]) for row in before["arms"]} == {("undecided", 0)}
    test = {"baseline": {0: 0.5, 1: 0.6}, "cbam": {0: 0.7, 1: 0.9}, "a/a": {0: 0.5, 1: 0.6}}
    after = judge(study, arms(study), records, test)
    assert after["arms"][0]["effect"] == pytest.approx(0.25)


def test_other_batches_than_the_baselines_are_a_warning() -> None:
    records = [record("baseline", 0, 0.5), record("cbam", 0, 0.5, batches="c"), record("a/a", 0, 0.5, batches="own")]
    said = warnings(arms(tiny()), records)
    assert len(said) == 1
    assert said[0].startswith("cbam saw other batches than the baseline")


def test_runs_that_did_not_end_well_are_named() -> None:
    assert warnings(arms(tiny()), [record("cbam", 3, status="diverged")]) == [
        "cbam, seed 3: diverged: loss is nan at step 3"
    ]


def test_a_baseline_that_learnt_nothing_is_a_warning() -> None:
    records = [record(arm, seed, 0.01) for arm in ("baseline", "cbam", "a/a") for seed in (0, 1)]
    assert any("hardly learnt anything" in said for said in judge(tiny(), arms(tiny()), records)["warnings"])
