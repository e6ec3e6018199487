"""`ablab data check` and `ablab data show` as scripts and people see them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from ablab.cli import app


def ablab(*arguments: object, cwd: Path | None = None) -> Result:
    """The command in this process: most of what it takes alone is to import."""
    with contextlib.chdir(cwd or Path.cwd()):
        return CliRunner().invoke(app, ["data", *map(str, arguments)])


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """YOLO layout, 12 images a split, one class; train0 has a box twice."""
    root = tmp_path_factory.mktemp("data") / "pets [1]"  # rich's markup must not eat the name
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"images/{split}/{split}{number}.png")
            (root / f"labels/{split}/{split}{number}.txt").write_text(
                "0 0.5 0.5 0.4 0.4\n" * (1 + (split + str(number) == "train0"))
            )
    (root / "data.yaml").write_text("path: .\ntrain: images/train\nval: images/val\nnames: [dog]\n")
    return root


def test_check_answers_with_a_document(pets: Path) -> None:
    done = ablab("check", pets, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {
        "path": str(pets),
        "layout": "yolo",
        "defects": [
            {
                "kind": "duplicate box",
                "severity": "warning",
                "where": "train0",
                "detail": "dog at 12, 9, 28, 21 stands 2 times",
            },
            {
                "kind": "no test split",
                "severity": "note",
                "where": "test",
                "detail": "the test split has no image that can be used",
            },
        ],
        "counts": {"duplicate box": 1, "no test split": 1},
    }


def test_check_answers_people_and_notes_alone_are_no_failure(pets: Path) -> None:
    done = ablab("check", pets)
    assert "stands 2 times" in done.stdout
    said = " ".join(done.stdout.split())
    assert "pets [1] (yolo): 24 images that can be used, 1 class; 1 warning, 1 note" in said
    label = pets / "labels/train/train0.txt"
    before = label.read_text()
    label.write_text("0 0.5 0.5 0.4 0.4\n")
    try:
        assert ablab("check", pets).exit_code == 0
    finally:
        label.write_text(before)


def test_a_long_list_is_cut_and_all_shows_it(tmp_path: Path, pets: Path) -> None:
    root = tmp_path / "many"
    shutil.copytree(pets, root)
    for number in range(9):
        (root / f"labels/train/train{number}.txt").write_text("0 0.5 0.5 0.4 0.4\n" * 2)
    cut, full = ablab("check", root), ablab("check", root, "--all")
    assert cut.stdout.count("stands 2 times") == 5
    assert "4 more of these kinds" in cut.stdout
    assert full.stdout.count("stands 2 times") == 9
    assert "more of these" not in full.stdout


@pytest.mark.parametrize("verb", ["check", "show"])
def test_what_is_no_data_set_is_one_line_and_exit_code_2(verb: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("nothing")
    for path in ("empty", "notes.txt", "nowhere"):
        done = ablab(verb, path, cwd=tmp_path)
        assert (done.exit_code, done.stdout) == (2, ""), done.stderr
        lines = [line for line in done.stderr.splitlines() if not line.startswith("read ")]
        assert len(lines) == 1
        assert lines[0].startswith("error: ")
        assert path in lines[0]


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal to a group of processes")
def test_ctrl_c_ends_a_check_and_its_processes(tmp_path: Path, pets: Path) -> None:
    """Many links to a slow image; interrupted when the first process that decodes has just begun to start."""
    root = tmp_path / "many"
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    slow = tmp_path / "slow.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)).save(slow)
    for number in range(800):
        os.link(slow, root / f"images/{number}.png")
    command = [sys.executable, "-m", "ablab", "data", "check", str(root)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored in what a shell runs in the background
    )
    parent = psutil.Process(process.pid)
    deadline = time.monotonic() + 60
    workers: list[psutil.Process] = []
    while len([w for w in workers if "spawn_main" in " ".join(w.cmdline())]) < 1 and time.monotonic() < deadline:
        time.sleep(0.05)
        workers = [w for w in parent.children(recursive=True) if w.is_running()]
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert (out, "Traceback" in err) == ("", False), err
    assert "error: interrupted" in err
    assert psutil.wait_procs(workers, timeout=20)[1] == []


def test_show_writes_a_sheet_and_counts_classes(pets: Path, tmp_path: Path) -> None:
    done = ablab("show", pets, "--count", 5, "--out", "a.png", "--json", cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    assert {key: document[key] for key in ("path", "layout", "split", "out")} == {
        "path": str(pets),
        "layout": "yolo",
        "split": "train",
        "out": "a.png",
    }
    assert len({*document["images"]}) == 5
    train = {"images": 12, "boxes": 13, "size": [16.0, 12.0]}
    none = {"images": 0, "boxes": 0, "size": None}
    val = {"images": 12, "boxes": 12, "size": [16.0, 12.0]}
    assert document["classes"] == [{"class": "dog", "train": train, "validation": val, "test": none}]
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.format == "PNG"
        first = sheet.tobytes()
    ablab("show", pets, "--count", 5, "--out", "b.png", cwd=tmp_path)
    again = ablab("show", pets, "--count", 5, "--out", "c.png", "--seed", 1, cwd=tmp_path)
    assert "13 in 12, 16 x 12" in again.stdout
    assert "5 of 12 images: c.png" in again.stdout
    with Image.open(tmp_path / "b.png") as same, Image.open(tmp_path / "c.png") as other:
        assert same.tobytes() == first
        assert other.tobytes() != first


def test_show_what_training_sees(pets: Path, tmp_path: Path) -> None:
    sets = ["--set", "train.image_size=64", "--set", "augment.mosaic=1.0"]
    done = ablab("show", pets, "--augmented", *sets, "--count", 2, "--json", cwd=tmp_path)
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "sheet.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--split", "trian"], "did you mean 'train'"),
        (["--class", "dgo"], "did you mean 'dog'"),
        (["--split", "test"], "no image"),
        (["--split", "validation", "--augmented"], "nothing of validation"),
        (["--set", "augment.mosaic=1"], "would do nothing"),
        (["--set", "data.clases=1"], "did you mean 'classes'"),
    ],
)
def test_mistakes_in_show(arguments: list[str], said: str, pets: Path, tmp_path: Path) -> None:
    done = ablab("show", pets, *arguments, cwd=tmp_path)
    assert done.exit_code == 2, done.stderr
    assert said in done.stderr
    assert not (tmp_path / "sheet.png").exists()
