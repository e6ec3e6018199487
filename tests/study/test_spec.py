"""The study file: what is taken, what is refused, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_study import TINY, tiny

from ablab.errors import ConfigError, UnknownName
from ablab.study import spec

ROOT = Path(__file__).parents[2]
SHIPPED = [*sorted((ROOT / "studies").glob("*.yaml")), Path(spec.__file__).with_name("demo.yaml")]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_every_shipped_study_is_valid(path: Path) -> None:
    study = spec.load(path)
    assert study.changes
    assert all(change.because for change in study.changes)


def test_the_study_file_of_the_architecture_document_is_read(tmp_path: Path) -> None:
    text = """
name: bccd-attention
baseline:
  task: detection
  model: {name: yolov5, size: n}
  data: {path: data/bccd}
  train: {epochs: 60, image_size: 320, batch: 16}
changes:
  - {name: frelu, because: "touching cells", edits: [{op: replace, of: silu, part: frelu}]}
  - {name: cbam, because: "the neck", edits: [{op: insert, after: backbone.out, part: cbam, expect: 3}]}
  - {name: focal, because: "rare platelets", set: {loss.classification: focal}}
design: one-at-a-time
seeds: 5
judge: {metric: AP, direction: max, smallest_interesting: 0.01, alpha: 0.05, split: validation, on_divergence: 0}
plugins: [./my_parts.py]
"""
    (tmp_path / "study.yaml").write_text(text)
    study = spec.load(tmp_path / "study.yaml")
    assert study.seeds == (0, 1, 2, 3, 4)
    assert study.baseline.train.image_size == (320, 320)
    assert study.plugins == (str(tmp_path / "my_parts.py"),)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    data = TINY | {"baseline": {"task": "detection", "data": {"path": "cells"}}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(data))
    assert spec.load(tmp_path / "s.yaml").baseline.data.path == str(tmp_path / "cells")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"changes": [], "controls": []}, "a study without changes"),
        ({"seeds": 0}, "at least one is needed"),
        ({"seeds": []}, "at least one is needed"),
        ({"seeds": True}, "expected a number of seeds"),
        ({"seeds": {"max": 12}}, "the key 'looks' is missing"),
        ({"seeds": [1, 1]}, "the seed '1' stands twice"),
        ({"seed": 3}, "did you mean 'seeds'"),
        ({"desing": "stack"}, "did you mean 'design'"),
        ({"judge": {"smallest_intresting": 0.1}}, "did you mean 'smallest_interesting'"),
        ({"judge": {"direction": "maxx"}}, "did you mean 'max'"),
        ({"judge": {"method": "dunnet"}}, "did you mean 'dunnett'"),
        (
            {"judge": {"method": "dunnett"}, "design": "stack"},
            "every arm with one baseline, which design 'stack' does not",
        ),
        ({"judge": {"method": "dunnett"}, "seeds": {"max": 8, "looks": [5, 8]}}, "not by 'dunnett'"),
        ({"baseline": {"task": "detecton"}}, "did you mean 'detection'"),
        ({"baseline": {"task": "detection", "trian": {}}}, "did you mean 'train'"),
        ({"baseline": ["x"]}, "expected a mapping"),
        ({"name": "a/b"}, "name"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        tiny(**changes)


def test_a_change_may_not_be_called_baseline() -> None:
    with pytest.raises(ConfigError, match="may not be called 'baseline'"):
        tiny(changes=[{"name": "baseline", "set": {"train.epochs": 2}}])


def test_overrides_reach_baseline_judge_and_study() -> None:
    changes = {"baseline.train.epochs": 3, "judge.alpha": 0.1, "seeds": 4}
    study = spec.build(TINY, "tiny.yaml", Path.cwd(), changes)
    assert (study.baseline.train.epochs, study.judge.alpha, study.seeds) == (3, 0.1, (0, 1, 2, 3))
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        spec.build(TINY, "tiny.yaml", Path.cwd(), {"baseline.train.epoch": 3})
    with pytest.raises(ConfigError, match="did you mean 'judge'"):
        spec.build(TINY, "tiny.yaml", Path.cwd(), {"jugde.alpha": 3})


def test_some_of_the_changes_with_what_answers_them() -> None:
    changes = [{"name": name, "set": {"train.batch": n}} for n, name in enumerate("abc", 2)]
    study = tiny(changes=changes, controls=["a/a", {"wider": "a"}, {"wider": "c"}])
    some = spec.only(study, ["c", "b"])
    assert [change.name for change in some.changes] == ["b", "c"]
    assert [some.control_name(each) for each in some.controls] == ["a/a", "wider/c"]
    assert [change.name for change in study.changes] == ["a", "b", "c"]
    with pytest.raises(UnknownName, match="unknown change 'bb' in --only; did you mean 'b'"):
        spec.only(study, ["bb"])
