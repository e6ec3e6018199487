"""Which images are resampled together: by pattern, by table, as the data set states it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_study import TINY, tiny

from ablab.errors import ConfigError
from ablab.study import groups, spec
from ablab.study.design import study_fingerprint

FRAMES = ["cat_frame1", "cat_frame2", "dog_frame1"]


def test_a_pattern() -> None:
    assert groups.labels(FRAMES, "^(.*)_frame").tolist() == ["cat", "cat", "dog"]


def test_a_table(tmp_path: Path) -> None:
    table = tmp_path / "scenes.csv"
    table.write_text("\ufeffimage,group,note\ndog_frame1,b,\ncat_frame1,a,x\ncat_frame2,a,\nof train,c,\n", "utf-8")
    assert groups.labels(FRAMES, str(table)).tolist() == ["a", "a", "b"]


def test_what_the_data_set_states_and_an_image_by_itself() -> None:
    own = groups.labels(FRAMES, None, ["cat", "cat", ""])
    assert own[0] == own[1] != own[2]
    assert len(np.unique(groups.labels(FRAMES))) == 3
    assert len(np.unique(groups.labels(FRAMES, "(.*)", ["one"] * 3))) == 3, "the judge's wish stands above the data's"


def test_a_stated_group_called_as_an_image_is_not_that_image() -> None:
    assert len(np.unique(groups.labels(["a", "b"], None, ["", "a"]))) == 2


def test_images_without_a_group_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no group to 1 of 3 images \(dog_frame1\)"):
        groups.labels(FRAMES, "^(cat)_")
    with pytest.raises(ConfigError, match=r"no group to 5 of 5 images \(0, 1, 2, \.\.\.\)"):
        groups.labels([str(i) for i in range(5)], "^(.*)_frame")
    table = tmp_path / "scenes.csv"
    table.write_text("image,group\ncat_frame1,a\ncat_frame2,\n")
    with pytest.raises(ConfigError, match=r"no group to 2 of 3 images \(cat_frame2, dog_frame1\)"):
        groups.labels(FRAMES, str(table))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,video\na,b\n", "no column 'group'"),
        ("", "no column 'image'"),
        ("image,group\ncat_frame1,a\ncat_frame1,b\n", "'cat_frame1' into 'a' and into 'b'"),
        (b"image,group\n\xff,a\n", "cannot read"),
    ],
)
def test_a_table_that_does_not_fit(tmp_path: Path, text: str | bytes, words: str) -> None:
    table = tmp_path / "scenes.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=words):
        groups.labels(FRAMES, str(table))


def test_a_table_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"no file .*scenes.csv"):
        groups.labels(FRAMES, "scenes.csv")


@pytest.mark.parametrize(
    ("wish", "words"), [("^(.*", "no regular expression"), ("frame", "0 groups"), ("(a)(b)", "2 groups")]
)
def test_a_pattern_that_cannot_be_used_is_refused_when_the_study_is_read(wish: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tiny(judge={"metric": "AP50", "group": wish})


def test_a_table_lies_beside_the_study_and_is_frozen_by_its_content(tmp_path: Path) -> None:
    def study(root: Path, group: str) -> spec.Study:
        root.mkdir(exist_ok=True)
        (root / "scenes.csv").write_text(f"image,group\na,{group}\n")
        return spec.build(TINY | {"judge": {"group": "scenes.csv"}}, "tiny.yaml", root)

    here, there, other = study(tmp_path / "a", "x"), study(tmp_path / "b", "x"), study(tmp_path / "c", "y")
    assert here.judge.group == str(tmp_path / "a" / "scenes.csv")
    assert study_fingerprint(here) == study_fingerprint(there) != study_fingerprint(other)
    assert study_fingerprint(tiny()) not in {study_fingerprint(here), study_fingerprint(other)}
