"""Which arm and seed a file holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablab.errors import DataError
from ablab.results.labels import Source, seed_of, sources, understand


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("frelu-seed3", ("frelu", 3)),
        ("frelu_s3", ("frelu", 3)),
        ("yolov5-n_seed_10", ("yolov5-n", 10)),
        ("a b SEED=07", ("a b", 7)),
        ("frelu.seed3", ("frelu", 3)),
        ("yolov5s3", None),
        ("frelu-3", None),
        ("seed3", None),
        ("frelu", None),
        ("frelu-seed3-final", None),
    ],
)
def test_a_name_tells_arm_and_seed_or_nothing(name: str, known: tuple[str, int] | None) -> None:
    assert understand(name) == known


def test_a_name_in_an_arms_folder_tells_the_seed() -> None:
    assert [seed_of(name) for name in ("3", "seed3", "s-03", "s3b", "three", "")] == [3, 3, 3, None, None, None]


def test_what_is_said_wins_over_the_name(tmp_path: Path) -> None:
    for name in ("frelu-seed3.json", "x.json"):
        (tmp_path / name).write_text("[]")
    said = sources(
        [f"mish/8={tmp_path}/frelu-seed3.json", f"mish={tmp_path}/frelu-seed3.json", f"a/a={tmp_path}/x.json"]
    )
    assert [each.understood() for each in said] == [("mish", 8), ("mish", 3), ("a/a", None)]


def test_folders_are_opened(tmp_path: Path) -> None:
    for name in ("base/0.json", "base/seed1.json", "new/s0.json", "new/1.json", "new/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("[]")
    found = {each.understood() for each in sources([str(tmp_path)])}
    assert found == {("base", 0), ("base", 1), ("new", 0), ("new", 1)}
    assert {each.understood() for each in sources([f"x={tmp_path}/base"])} == {("x", 0), ("x", 1)}
    assert Source(tmp_path / "base" / "0.json").understood() == ("base", 0)


def test_a_path_with_an_equals_sign_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "lr=0.1-seed2.csv").write_text("x")
    (each,) = sources([str(tmp_path / "lr=0.1-seed2.csv")])
    assert each.understood() == ("lr=0.1", 2)


def test_an_optuna_url_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "o.db").write_text("x")
    assert sources([f"sqlite:///{tmp_path}/o.db"]) == [Source(tmp_path / "o.db")]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no file or folder .*score.csv; did you mean 'scores.csv'"):
        sources([str(tmp_path / "score.csv")])
    with pytest.raises(DataError, match=r"expected ARM=FILE, ARM/SEED=FILE or ARM=FOLDER; there is no nowhere.json"):
        sources(["frelu=nowhere.json"])
    with pytest.raises(DataError, match=r"holds no .json, .csv, .tsv; expected files such as frelu-seed3.json"):
        sources([str(tmp_path / "empty")])
