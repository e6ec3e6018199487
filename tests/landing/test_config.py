"""Strict parsing, overrides, diffs and fingerprints."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablab.config import diff, fingerprint, load_yaml, override, parse, parse_yaml
from ablab.errors import ConfigError
from ablab.tasks.detection.recipe import DetectionRecipe

RECIPE = DetectionRecipe()


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'train.epoch'; did you mean 'epochs'\?"):
        parse(DetectionRecipe, {"train": {"epoch": 3}}, "here")


def test_a_wrong_choice_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'cosin' is not valid; did you mean 'cosine'\?"):
        parse(DetectionRecipe, {"schedule": {"name": "cosin"}}, "here")


def test_a_wrong_value_says_what_came() -> None:
    with pytest.raises(ConfigError, match=r"here: train.epochs: .*greater than or equal to 1 \(got 0\)"):
        parse(DetectionRecipe, {"train": {"epochs": 0}}, "here")


def test_a_part_may_be_a_name_or_a_mapping() -> None:
    short = override(RECIPE, {"loss.classification": "focal"})
    long = override(RECIPE, {"loss.classification": {"part": "focal", "args": {}}})
    assert short == long
    with_args = override(short, {"loss.classification.args.gamma": 1.5})
    assert with_args.loss.classification.args == {"gamma": 1.5}


def test_override_leaves_the_original_alone() -> None:
    changed = override(RECIPE, {"train.epochs": 7, "optimizer.lr": 0.1})
    assert (changed.train.epochs, changed.optimizer.lr) == (7, 0.1)
    assert RECIPE.train.epochs == 20
    assert diff(RECIPE, changed) == {"optimizer.lr": (2e-3, 0.1), "train.epochs": (20, 7)}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("train.epoch", "did you mean 'epochs'"),
        ("trian.epochs", "did you mean 'train'"),
        ("train.epochs.more", "goes through 'train.epochs', a plain value"),
    ],
)
def test_an_unknown_path_is_refused(path: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        override(RECIPE, {path: 1})


def test_an_override_begins_a_section_that_was_not_given() -> None:
    made = override(RECIPE, {"start.weights": "w.pt", "start.least": 0.9})
    assert made.start is not None
    assert (made.start.weights, made.start.least) == ("w.pt", 0.9)
    with pytest.raises(ConfigError, match=r"unknown key 'start.weigths'; did you mean 'weights'"):
        override(RECIPE, {"start.weigths": "w.pt"})
    with pytest.raises(ConfigError, match=r"the key 'start.weights' is missing"):
        override(RECIPE, {"start.least": 0.9})
    with pytest.raises(ConfigError, match=r"goes through 'train.clip_value', a plain value"):
        override(RECIPE, {"train.clip_value.most": 1})


@given(st.integers(1, 10_000), st.floats(1e-6, 1, allow_nan=False))
def test_the_diff_of_an_override_is_the_override(epochs: int, lr: float) -> None:
    changed = override(RECIPE, {"train.epochs": epochs, "optimizer.lr": lr})
    found = {path: new for path, (_, new) in diff(RECIPE, changed).items()}
    wanted = {"train.epochs": epochs, "optimizer.lr": lr}
    assert found == {path: value for path, value in wanted.items() if value not in (20, 2e-3)}


def test_a_fingerprint_is_sixteen_digits_of_sha256() -> None:
    value = {"b": [1, 2.5], "a": "x"}
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    assert fingerprint(value) == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert fingerprint({"a": "x", "b": [1, 2.5]}) == fingerprint(value)


def test_yaml_that_is_broken_names_the_place() -> None:
    with pytest.raises(
        ConfigError, match=r"^study\.yaml, line 3, column 1: this is not valid YAML: .*expected ',' or '\]'"
    ):
        parse_yaml("name: x\nseeds: [1\n", "study.yaml")


def test_yaml_reads_exponents_and_refuses_a_key_twice() -> None:
    assert parse_yaml("lr: 1e-3", "here") == {"lr": 0.001}
    with pytest.raises(ConfigError, match="line 2: the key 'a' is written twice"):
        parse_yaml("a: 1\na: 2", "here")


@pytest.mark.parametrize("text", ["- 1", "just words", "a: [", "a: !!python/object:os.system {}"])
def test_yaml_that_is_no_plain_mapping_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="here"):
        parse_yaml(text, "here")


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("a: 1")
    with pytest.raises(ConfigError, match=r"did you mean 'study.yaml'\?"):
        load_yaml(tmp_path / "studdy.yaml")
