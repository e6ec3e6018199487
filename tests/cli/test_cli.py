"""The command line as scripts see it: exit codes, one JSON document, nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TINY = ["--set", "data.classes=3", "--set", "data.size=64", "--set", "data.scenes=[12,6,6]", "--set", "train.epochs=1"]
TINY += ["--set", "train.image_size=64", "--set", "train.batch=4", "--set", "train.threads=1"]


def ablab(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ablab", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300, check=False)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from ablab.cli import main; sys.argv = ['ablab', '--help']\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print({'torch', 'numpy', 'pydantic', 'scipy', 'cv2', 'matplotlib'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "set()"
    assert "demo" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "no_such.yaml"], "no file no_such.yaml"),
        (["report", "."], "study.json"),
        (["eval", "no_such_run"], "no folder no_such_run"),
        (["eval"], "expected either"),
        (["train", "--set", "train.epoch=3"], "did you mean 'epochs'"),
        (["train", "--set", "train.epochs"], "KEY=VALUE"),
        (["train", "--data", "no/such/folder"], "no/such/folder"),
        (["train", *TINY, "--set", "train.image_size=100"], "multiple"),
        (["train", *TINY, "--set", "model.size=z"], "unknown size 'z'"),
        (["parts", "activatoin"], "did you mean 'activation'"),
    ],
)
def test_a_users_mistake_is_a_line_and_exit_code_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = ablab(*arguments, "--json", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["exit_code"] == 2
    assert said in json.loads(done.stdout)["error"]


def test_without_json_a_mistake_leaves_standard_output_empty(tmp_path: Path) -> None:
    done = ablab("plan", "no_such.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no file no_such.yaml")


def test_an_unknown_verb_or_option_is_exit_code_2() -> None:
    assert ablab("rnu").returncode == 2
    assert ablab("parts", "--jsn").returncode == 2


def test_a_folder_that_cannot_be_written_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = ablab("train", *TINY, "--folder", tmp_path / "file" / "out")
    assert done.returncode == 1
    assert "cannot write into" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_in_the_place_of_a_folder_is_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = ablab("train", *TINY, "--folder", tmp_path / "file")
    assert done.returncode == 2
    assert "is a file" in " ".join(done.stderr.replace("│", "").split())


def test_eval_of_coco_files_needs_no_torch(tmp_path: Path) -> None:
    truth = {
        "images": [{"id": 1, "width": 100, "height": 100}],
        "categories": [{"id": 7, "name": "cell"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0}
        ],
    }
    found = [{"image_id": 1, "category_id": 7, "bbox": [10, 10, 40, 40], "score": 0.9}]
    (tmp_path / "t.json").write_text(json.dumps(truth))
    (tmp_path / "d.json").write_text(json.dumps(found))
    code = (
        "import sys; from ablab.cli import main\n"
        f"sys.argv = ['ablab', 'eval', '--truth', r'{tmp_path}/t.json',"
        f" '--detections', r'{tmp_path}/d.json', '--json']\n"
        "try:\n    main()\nexcept SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    names = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
    assert list(figures)[:12] == names
    assert [figures[name] for name in ("AP", "APm", "APs")] == pytest.approx([1, 1, -1])


def test_eval_of_broken_coco_files_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("{")
    (tmp_path / "d.json").write_text("[]")
    done = ablab("eval", "--truth", tmp_path / "t.json", "--detections", tmp_path / "d.json")
    assert done.returncode == 2
    assert "t.json" in done.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("train")
    done = ablab("train", *TINY, "--folder", folder / "out", "--json")
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_train_leaves_a_run(trained: dict[str, Any]) -> None:
    assert trained["status"] == "done"
    assert 0 <= trained["scores"]["validation"]["AP50"] <= 1
    names = {path.name for path in Path(trained["folder"]).iterdir()}
    assert {"record.json", "curves.csv", "weights.safetensors", "items-validation.npz", "run.json"} <= names


def test_eval_of_a_run_repeats_what_training_measured(trained: dict[str, Any]) -> None:
    done = ablab("eval", trained["folder"], "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scores"] == trained["scores"]["validation"]
    for split in ("train", "test"):
        assert ablab("eval", trained["folder"], "--split", split, "--json").returncode == 0
    wrong = ablab("eval", trained["folder"], "--split", "validaton")
    assert (wrong.returncode, "did you mean 'validation'" in wrong.stderr) == (2, True)


def test_data_check_names_the_planted_boxes(bccd: Path) -> None:
    done = ablab("data", "check", bccd, "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    text = json.dumps(found["defects"])
    assert "BloodImage_00338" in text
    assert "BloodImage_00343" in text


def test_parts_lists_every_slot() -> None:
    slots = json.loads(ablab("parts", "--json").stdout)["slots"]
    names = {slot: {part["name"] for part in found["parts"]} for slot, found in slots.items()}
    assert {"silu", "hardswish", "frelu"} <= names["activation"]
    assert {"se", "cbam", "eca", "ca"} <= names["attention"]
    assert all(part["cost"]["ms"] >= 0 for found in slots.values() for part in found["parts"])


def test_check_holds_a_plugin_to_its_contract(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    head = "from torch import Tensor, nn\nfrom ablab import register\n\n"
    good.write_text(
        head + '@register("activation", "tanhexp", paper="https://arxiv.org/abs/2003.09855")\n'
        "class TanhExp(nn.Module):\n    def forward(self, x: Tensor) -> Tensor:\n"
        "        return x * x.clamp(max=20).exp().tanh()\n"
    )
    bad.write_text(
        head + '@register("activation", "halving")\nclass Halving(nn.Module):\n'
        "    def forward(self, x: Tensor) -> Tensor:\n        return x[..., ::2]\n"
    )
    assert ablab("check", good).returncode == 0
    failed = ablab("check", bad, "--json")
    assert failed.returncode == 1
    assert "activation/halving" in json.loads(failed.stdout)["failures"]
