"""`ablab diagnose`: a page, its numbers and the next study, from a run on disk."""

import json
from pathlib import Path

import pytest
from test_cli import TINY, ablab


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    done = ablab("train", *TINY, "--folder", tmp_path_factory.mktemp("diagnosed") / "out", "--json")
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["folder"])


@pytest.fixture(scope="module")
def document(run, tmp_path_factory) -> dict:
    study = tmp_path_factory.mktemp("next") / "next.yaml"
    wanted = ["--recall-at-precision", 0.5, "--max-false-positives-per-image", 2]
    done = ablab("diagnose", run, "--study", study, *wanted, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"study file": str(study)}


def test_all_four_sides_are_read_and_written_down(run, document):
    assert list(document["chapters"]) == ["errors", "data", "network", "training"]
    written = json.loads((run / "diagnosis" / "diagnosis.json").read_text())
    assert written["findings"] == document["findings"]
    assert Path(document["page"]).read_text().startswith("<!doctype html>")
    for picture in document["pictures"]:
        assert (run / "diagnosis" / picture["file"]).read_bytes().startswith(b"\x89PNG")


def test_findings_are_ranked_and_proposals_rest_on_them(document):
    severities = [each["severity"] for each in document["findings"]]
    assert severities == sorted(severities, reverse=True)
    faults = {each["fault"] for each in document["findings"]}
    assert all(set(each["faults"]) & faults for each in document["proposals"])
    assert all(each["cost"]["flops"] > 0 for each in document["proposals"] if each["set"] or each["edits"])


def test_the_next_study_plans_cleanly(document):
    done = ablab("plan", document["study file"], "--json")
    assert done.returncode == 0, done.stderr
    ready = [each["name"] for each in document["proposals"] if each["set"] or each["edits"]]
    assert [row["arm"] for row in json.loads(done.stdout)["arms"]] == ["baseline", *ready]


def test_quick_leaves_out_what_takes_long(run, tmp_path):
    done = ablab("diagnose", run, "--quick", "--folder", tmp_path / "d", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["chapters"]["training"]["numbers"]["range"] is None
    assert all(each["cost"] is None for each in document["proposals"])
    assert (tmp_path / "d" / "diagnosis.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no_such_run"], "no folder no_such_run"),
        (["{run}", "--split", "tset"], "unknown split 'tset'"),
        (["{run}", "--data", "no/such/folder"], "no/such/folder"),
        (["{run}", "--against", "no_such_run"], "no folder no_such_run"),
        (["{run}", "--recall-at-precision", "1.5"], "recall-at-precision"),
    ],
)
def test_a_users_mistake_is_a_line(run, arguments, said, tmp_path):
    asked = [str(run) if each == "{run}" else each for each in arguments]
    done = ablab("diagnose", *asked, "--folder", tmp_path / "d", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
