import json
import os
import shutil

import pytest

from ablab import reports
from ablab.errors import ConfigError, StoreError
from ablab.records import RunKey, RunRecord, read_history, write_record
from ablab.reports.view import day


def arm(view, name):
    return next(arm for arm in view.arms if arm.name == name)


def test_a_finished_study_is_read_whole(golden):
    assert [a.name for a in golden.compared] == ["frelu", "no-mosaic", "eca", "cbam", "lr-times-10", "a/a"]
    assert golden.scores(golden.baseline, "AP") == {0: 0.512, 1: 0.507, 2: 0.519, 3: 0.510, 4: 0.515}
    frelu = arm(golden, "frelu")
    assert frelu.verdict.verdict == "helps"
    assert frelu.cost("parameters") == 1_802_113  # from the plan
    assert frelu.cost("train_seconds") == pytest.approx(88 + 0.5 * 2)  # the mean over runs
    assert frelu.runs[0].history["epoch"] == list(range(1, 21))
    assert [picture.kind for picture in frelu.pictures] == ["fixed", "fixed", "broke", "broke"]
    assert golden.scores(frelu, "AP", "test")[0] == pytest.approx(0.533)


def test_the_effect_that_was_judged_follows_from_the_scores_that_are_shown(golden):
    base = golden.judged_scores(golden.baseline)
    for compared in golden.compared:
        own = golden.judged_scores(compared)
        differences = {seed: own[seed] - base[seed] for seed in own}
        assert compared.verdict.differences == pytest.approx(differences)
        assert compared.verdict.effect == pytest.approx(sum(differences.values()) / len(differences), abs=1e-6)


def test_a_run_that_diverged_has_the_declared_score_and_one_that_failed_has_none(golden):
    assert golden.judged_scores(arm(golden, "lr-times-10"))[2] == 0.0
    assert golden.scores(arm(golden, "lr-times-10"), "AP").keys() == {0, 1, 3, 4}
    assert golden.judged_scores(arm(golden, "cbam")).keys() == {0, 1, 2, 4}
    assert [(a.name, seed, r.status) for a, seed, r in golden.troubled()] == [
        ("lr-times-10", 2, "diverged"),
        ("cbam", 3, "failed"),
    ]


def test_a_warning_about_a_run_that_is_listed_anyway_is_not_said_twice(golden):
    assert golden.warnings == ("2 boxes without area were left out of train: BloodImage_00337.xml",)


def test_a_study_under_way_gives_a_view_with_gaps(study):
    for name in ("plan.json", "verdicts.json", "final.json"):
        (study / name).unlink()
    shutil.rmtree(study / "panels")
    shutil.rmtree(study / "runs" / "eca")
    for file in study.glob("runs/*/*/curves.*"):
        file.unlink()
    view = reports.read(study)
    assert not view.judged
    assert {(a.name, seed) for a, seed in view.waiting()} == {("eca", seed) for seed in range(5)}
    assert arm(view, "frelu").cost("parameters") == 1_802_113  # from the records
    assert arm(view, "frelu").runs[0].history == {}


def test_a_folder_that_is_no_study_is_the_users_mistake(tmp_path):
    with pytest.raises(ConfigError, match=r"no study\.json; give the folder"):
        reports.read(tmp_path)


@pytest.mark.parametrize("name", ["study.json", "verdicts.json", "plan.json"])
def test_a_damaged_file_is_named(study, name):
    (study / name).write_text("{")
    with pytest.raises(StoreError, match=name):
        reports.read(study)


def test_a_study_file_of_another_version_is_said_to_be_one(study):
    document = json.loads((study / "study.json").read_text())
    del document["alpha"]
    (study / "study.json").write_text(json.dumps(document))
    with pytest.raises(StoreError, match="alpha"):
        reports.read(study)


def test_of_two_runs_of_one_arm_and_seed_the_newer_counts(study):
    key = RunKey("bccd-golden", "eca", 0, "0000000000000000")  # sorts before the other fingerprint
    write_record(study, RunRecord(key, "done", scores={"validation": {"AP": 0.9}}))
    path = study / key.folder / "record.json"
    later = path.stat().st_mtime + 60
    os.utime(path, (later, later))
    assert reports.read(study).scores(arm(reports.read(study), "eca"), "AP")[0] == 0.9
    os.utime(path, (1, 1))
    assert reports.read(study).scores(arm(reports.read(study), "eca"), "AP")[0] == 0.513


def test_runs_of_an_arm_that_left_the_study_are_named_not_counted(study):
    write_record(study, RunRecord(RunKey("bccd-golden", "gone", 0, "ab"), "done"))
    view = reports.read(study)
    assert view.strangers == ("gone",)
    assert "gone" not in [a.name for a in view.arms]


def test_a_picture_is_never_read_from_outside_its_folder(study):
    (study / "secret.png").write_bytes(b"secret")
    rows = [{"arm": "frelu", "kind": "fixed", "title": "t", "caption": "c", "file": "../secret.png"}]
    (study / "panels" / "panels.json").write_text(json.dumps(rows))
    assert arm(reports.read(study), "frelu").pictures[0].png is None


def test_a_judge_on_test_is_read_from_the_one_reading(study):
    document = json.loads((study / "study.json").read_text())
    (study / "study.json").write_text(json.dumps(document | {"split": "test"}))
    view = reports.read(study)
    assert view.scores(view.baseline, "AP")[0] == pytest.approx(0.5)


def test_history(tmp_path):
    file = tmp_path / "curves.csv"
    assert read_history(file) == {}
    file.write_text("epoch,loss,AP\n1,0.5,\n2,0.25,0.1\n")
    history = read_history(file)
    assert history["loss"] == [0.5, 0.25]
    assert history["AP"][0] != history["AP"][0]  # NaN: not validated
    file.write_text("epoch,loss\n1,what\n")
    with pytest.raises(StoreError, match=r"curves\.csv is damaged"):
        read_history(file)


def test_day():
    assert day("2025-11-22T08:30:00+00:00") == "2025-11-22"
    assert day("some day") == "some day"
