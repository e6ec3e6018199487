"""`ablab compare` on good and on broken input: one document or one table, one clear line, the right exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ablab.cli import app

SCORES = {
    "baseline": [0.500, 0.521, 0.507, 0.512, 0.498],
    "frelu": [0.531, 0.545, 0.528, 0.540, 0.533],
    "a/a": [0.502, 0.517, 0.509, 0.514, 0.496],
}


def compare(*arguments: Any) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, arguments), "--smallest-interesting", "0.01"])


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    rows = [f"{arm},{seed},{value}" for arm, own in SCORES.items() for seed, value in enumerate(own)]
    (tmp_path / "scores.csv").write_text("arm,seed,AP\n" + "\n".join(rows) + "\n")
    return tmp_path / "scores.csv"


def test_a_sheet_becomes_a_table_and_a_report(sheet: Path, tmp_path: Path) -> None:
    done = compare(sheet, "--control", "a/a", "--report", tmp_path / "r.html")
    assert done.exit_code == 0, done.stderr
    assert "helps" in done.stdout
    page = (tmp_path / "r.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "frelu" in page
    assert "Every arm was trained once" not in page  # ablab did not train: it knows nothing of that


def test_json_is_one_document_equal_to_the_door(sheet: Path) -> None:
    import ablab

    done = compare(sheet, "--json", "--control", "a/a")
    document = json.loads(done.stdout)
    found = ablab.compare(SCORES, smallest_interesting=0.01, metric="AP", controls=["a/a"])
    by_arm = {row["name"]: row["verdict"] for row in document["arms"]}
    for verdict in found:
        assert by_arm[verdict.arm] == verdict.as_dict()


def test_options_reach_the_judge(sheet: Path) -> None:
    done = compare(sheet, "--json", "--direction", "min", "--alpha", "0.1", "--baseline", "frelu", "--unpaired")
    document = json.loads(done.stdout)
    assert document["judge"]["alpha"] == 0.1
    verdicts = [row["verdict"] for row in document["arms"] if row["verdict"]]
    assert {row["arm"]: row["verdict"] for row in verdicts} == {"baseline": "helps", "a/a": "helps"}
    assert not any(row["paired"] for row in verdicts)


def test_the_report_of_unpaired_scores_does_not_speak_of_pairs(sheet: Path, tmp_path: Path) -> None:
    compare(sheet, "--unpaired", "--report", tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "paired t-test" not in page
    assert "Welch" in page


def broken(text: str, *arguments: str) -> Any:
    return pytest.param(text, arguments, id=text[:30] + " ".join(arguments))


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        broken(""),
        broken("arm,seed,AP\n"),
        broken("arm,seed,AP\nbaseline,0,0.5\nbaseline,1,0.6\n"),  # one arm
        broken("arm,seed,AP\nbaseline,0,0.5\nfrelu,0,0.6\n"),  # one seed
        broken("arm,seed,AP\nbaseline,0,0.5\nfrelu,1,0.6\n"),  # no common seed
        broken("arm,seed,AP\nbaseline,0,nan\nbaseline,1,nan\nfrelu,0,0.6\nfrelu,1,0.6\n"),  # no score
        broken("arm,seed,AP\nbaseline,0,0.5\nbaseline,0,0.5\nfrelu,0,0.6\n"),  # twice
        broken("arm,seed,AP\na,0,0.5\nb,0,0.6\na,1,0.5\nb,1,0.6\n"),  # no baseline
        broken("arm,seed,AP\nbaseline,0,0.5\nfrelu,0,0.6\n", "--metric", "AP50"),
        broken("arm,seed,AP\nbaseline,0,0.5\nfrelu,0,0.6\n", "--baseline", "x"),
        broken("arm,seed,AP\nbaseline,0,0.5\nfrelu,0,0.6\n", "--take", "best"),
        broken("arm,seed,AP\nbaseline,0,0.5\nfrelu,0,0.6\nbaseline,1,1\nfrelu,1,2", "--direction", "up"),
        broken("arm,seed,AP\nbaseline,0,0.5\nfrelu,0,0.6\nbaseline,1,1\nfrelu,1,2", "--alpha", "0.7"),
        broken("arm,seed,AP\nbaseline,0,0.5\nfrelu,0,0.6\nbaseline,1,1\nfrelu,1,2", "--control", "placebo"),
        broken("arm,seed,AP\nbaseline,0,0.5\nfrelu,0,0.6\nbaseline,1,1\nfrelu,1,2", "--report", "r.docx"),
        broken("arm,seed,AP\nbaseline,0,0.5\nfrelu,0,0.6\n", "--group", "^(.)"),
        broken("arm,seed,AP\nbaseline,0,0.5\nfrelu,0,0.6\n", "--truth", "nowhere.json"),
    ],
)
def test_broken_input_is_one_line_and_exit_code_2(tmp_path: Path, text: str, arguments: tuple[str, ...]) -> None:
    (tmp_path / "s.csv").write_text(text)
    done = compare(tmp_path / "s.csv", *arguments)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("error: ")
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "Traceback" not in done.output
    as_json = compare(tmp_path / "s.csv", "--json", *arguments)
    assert json.loads(as_json.stdout)["exit_code"] == 2


def test_a_bad_smallest_interesting_is_exit_code_2(sheet: Path) -> None:
    done = CliRunner().invoke(app, ["compare", str(sheet), "--smallest-interesting", "-1"])
    assert done.exit_code == 2
    assert "smallest_interesting must be a positive number" in done.stderr


TRUTH = {
    "images": [{"id": i} for i in range(1, 13)],
    "categories": [{"id": 7, "name": "cell"}],
    "annotations": [{"id": i, "image_id": i, "category_id": 7, "bbox": [10, 10, 40, 40]} for i in range(1, 13)],
}


def found(off: float, image: int = 1, category: int = 7) -> str:
    boxes = [
        {"image_id": i, "category_id": category, "bbox": [10 + off, 10, 40, 40], "score": 0.9} for i in range(2, 13)
    ]
    return json.dumps([*boxes, boxes[0] | {"image_id": image}])


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    (tmp_path / "truth.json").write_text(json.dumps(TRUTH))
    for arm, off in (("baseline", 8.0), ("frelu", 5.0)):
        for seed in (0, 1, 2):
            (tmp_path / f"{arm}-seed{seed}.json").write_text(found(off + seed / 2))
    return tmp_path


def test_detections_by_the_names_of_their_files(coco: Path) -> None:
    done = compare(*sorted(coco.glob("*-seed*.json")), "--truth", coco / "truth.json", "--replicates", 50, "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["arms"][1]["verdict"]["verdict"] == "helps"
    assert document["judge"]["metric"] == "AP"
    assert "frelu, seed 2: " in done.stderr  # progress


def test_one_seed_says_what_it_does_not_cover(coco: Path) -> None:
    files = [f"baseline={coco}/baseline-seed0.json", f"frelu={coco}/frelu-seed0.json"]
    options = ("--truth", coco / "truth.json", "--replicates", 50)
    done = compare(*files, *options)
    assert done.exit_code == 0, done.stderr
    assert "interval over images [" in done.stdout
    assert "no verdict" in done.stdout
    assert json.loads(compare(*files, *options, "--json").stdout)["arms"][0]["arm"] == "frelu"
    refused = compare(*files, *options, "--report", coco / "r.html")
    assert refused.exit_code == 2
    assert not (coco / "r.html").exists()


@pytest.mark.parametrize("arguments", [("--baseline", "x"), ("--report", "r.docx")])
def test_what_can_be_told_before_the_work_is_told_before_it(coco: Path, arguments: tuple[str, str]) -> None:
    done = compare(*sorted(coco.glob("*-seed*.json")), "--truth", coco / "truth.json", *arguments)
    assert done.exit_code == 2
    assert "seed 0: " not in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("truth.json", "[]", "is it the file of detections"),
        ("truth.json", "{", "is not JSON"),
        ("frelu-seed1.json", found(5, image=99), "unknown image_id 99"),
        ("frelu-seed1.json", found(5, category=1), "unknown category_id 1"),
        ("frelu-seed1.json", json.dumps(TRUTH), "is it the truth"),
        ("frelu-seed1.json", "arm,seed,score\n", "is not JSON"),
        ("frelu-seed1.json", "", "is not JSON"),
    ],
)
def test_broken_detections_are_said(coco: Path, name: str, text: str, words: str) -> None:
    (coco / name).write_text(text)
    done = compare(*sorted(coco.glob("*-seed*.json")), "--truth", coco / "truth.json", "--replicates", 10)
    assert done.exit_code == 2
    assert words in done.stderr
    assert name in done.stderr


def test_a_hundred_thousand_rows(tmp_path: Path) -> None:
    """Four arms and five seeds, each with a history."""
    rows = [f"{arm},{seed},{step},0.{step % 90 + seed}" for arm in "abcd" for seed in range(5) for step in range(5000)]
    (tmp_path / "s.csv").write_text("arm,seed,step,AP\n" + "\n".join(rows) + "\n")
    done = compare(tmp_path / "s.csv", "--baseline", "a", "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert [row["verdict"] and row["verdict"]["n"] for row in document["arms"]] == [None, 5, 5, 5]


def test_more_seeds_than_a_page_can_hold(tmp_path: Path) -> None:
    rows = [f"{arm},{seed},0.{seed % 7}" for arm in ("baseline", "b") for seed in range(1001)]
    (tmp_path / "s.csv").write_text("arm,seed,AP\n" + "\n".join(rows) + "\n")
    done = compare(tmp_path / "s.csv", "--report", tmp_path / "r.html")
    assert done.exit_code == 2
    assert "1000 at most; these are 1,001" in done.stderr


def test_a_pipe_is_refused_by_name(tmp_path: Path) -> None:
    done = compare("/dev/null")
    assert done.exit_code == 2
    assert "/dev/null is no regular file" in done.stderr


def test_compare_needs_no_torch(coco: Path) -> None:
    code = (
        "import sys; from ablab.cli import main\n"
        f"sys.argv = ['ablab', 'compare', r'{coco}/baseline-seed0.json', r'{coco}/baseline-seed1.json',"
        f" r'{coco}/frelu-seed0.json', r'{coco}/frelu-seed1.json', '--truth', r'{coco}/truth.json',"
        f" '--replicates', '20', '--smallest-interesting', '0.01', '--report', r'{coco}/r.html']\n"
        "try:\n    main()\nexcept SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'pandas', 'cv2'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
