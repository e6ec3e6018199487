"""`ablab.compare`: anybody's scores from Python."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats as scipy_stats

import ablab
from ablab.errors import ConfigError, DataError, UnknownName

BASE = [0.500, 0.521, 0.507, 0.512, 0.498]
FRELU = [0.531, 0.545, 0.528, 0.540, 0.533]


def test_lists_are_paired_by_index_and_judged_as_scipy_does() -> None:
    (verdict,) = ablab.compare({"baseline": BASE, "frelu": FRELU}, smallest_interesting=0.01)
    expected = scipy_stats.ttest_rel(FRELU, BASE)
    bounds = expected.confidence_interval(0.95)
    assert verdict.verdict == "helps"
    assert verdict.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert verdict.interval == pytest.approx((bounds.low, bounds.high), rel=1e-9)
    assert list(verdict.differences) == [0, 1, 2, 3, 4]


def test_mappings_are_paired_by_seed() -> None:
    by_seed = {"baseline": dict(zip((3, 1, 4, 15, 9), BASE, strict=True)), "frelu": {9: 0.533, 15: 0.540, 3: 0.531}}
    (verdict,) = ablab.compare(by_seed, smallest_interesting=0.01)
    assert verdict.differences == pytest.approx({3: 0.031, 9: 0.035, 15: 0.028})
    assert "missing seeds: 2" in verdict.qualifiers


def test_unpaired_is_welchs_test() -> None:
    (verdict,) = ablab.compare({"baseline": BASE, "frelu": FRELU[:3]}, smallest_interesting=0.01, paired=False)
    expected = scipy_stats.ttest_ind(FRELU[:3], BASE, equal_var=False)
    assert not verdict.paired
    assert verdict.p == pytest.approx(expected.pvalue, rel=1e-9)


class Series:
    """What pandas' Series can do, as far as it matters here."""

    def __init__(self, values: list[float], index: list[int]) -> None:
        self.pairs = list(zip(index, values, strict=True))

    def items(self):
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: int) -> float:
        return dict(self.pairs)[key]


def test_arrays_and_series_are_taken() -> None:
    lists = ablab.compare({"baseline": BASE, "frelu": FRELU}, smallest_interesting=0.01)
    arrays = ablab.compare({"baseline": np.array(BASE), "frelu": tuple(FRELU)}, smallest_interesting=0.01)
    order = [4, 2, 0, 1, 3]
    series = {"baseline": Series(BASE, [0, 1, 2, 3, 4]), "frelu": Series([FRELU[i] for i in order], order)}
    assert arrays.verdicts == lists.verdicts
    assert ablab.compare(series, smallest_interesting=0.01).verdicts == lists.verdicts


def test_the_baseline_is_named_or_called_so_or_first() -> None:
    scores = {"b": [0.1, 0.2, 0.3], "baseline": [0.1, 0.2, 0.31], "a": [0.1, 0.2, 0.32]}
    assert [v.arm for v in ablab.compare(scores, smallest_interesting=0.1)] == ["b", "a"]
    assert [v.arm for v in ablab.compare(scores, baseline="a", smallest_interesting=0.1)] == ["b", "baseline"]
    del scores["baseline"]
    assert [v.arm for v in ablab.compare(scores, smallest_interesting=0.1)] == ["a"]
    with pytest.raises(UnknownName, match="did you mean 'b'"):
        ablab.compare(scores, baseline="B", smallest_interesting=0.1)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ({"baseline": [1, 2, 3], "a": [1, 2]}, "unlike length.*'baseline': 3 by index, 'a': 2.*paired=False"),
        ({"baseline": [1, 2], "a": {0: 1, 1: 2}}, "some scores are by index, others by seed"),
        ({"baseline": {0: 1, 1: 2}, "a": {2: 1, 3: 2}}, "no seed in common with 'baseline' .2, 3 against 0, 1"),
        ({"baseline": {0: 1, 1: 2}, "a": {"0": 1, "1": 2}}, "the seed '0'; seeds are whole numbers"),
        ({"baseline": {0: 1, 1: 2}, "a": {0.5: 1, 1: 2}}, "the seed 0.5"),
        ({"baseline": {0: 1, True: 2}, "a": {0: 1, 1: 2}}, "the seed True"),
        ({"baseline": Series([1, 2], [3, 3]), "a": {3: 1, 4: 2}}, "more than once .such as 'baseline' seed 3"),
        ({"baseline": [1, 2], "a": [1, "2"]}, "'a' at 1 has '2'; expected a number"),
        ({"baseline": [1, 2], "a": "12"}, "a list of scores.*got str"),
        ({"baseline": [1, 2], "a": {1, 2}}, "a list of scores.*got set"),
        ({"baseline": [1, 2], "a": 3.0}, "a list of scores.*got float"),
        ({"baseline": [1, 2], "a": np.ones((2, 2))}, r"array of shape \(2, 2\)"),
        ({"baseline": [1, 2], 7: [1, 2]}, "arms by name, got 7"),
        ({"baseline": [1, 2]}, "only the arm 'baseline'"),
        ({"baseline": [1], "a": [2]}, "one score an arm has no spread"),
        ({"baseline": [1, None, 3], "a": [None, 2, 3]}, "one score an arm"),
        ({"baseline": [1, None], "a": [None, 2]}, "no seed in common"),
        ([[1, 2], [3, 4]], "expected scores by arm.*got list of 2"),
        ({}, "expected scores by arm.*got dict"),
    ],
)
def test_what_would_be_a_guess_is_refused(scores, words: str) -> None:
    with pytest.raises((DataError, ConfigError), match=words):
        ablab.compare(scores, smallest_interesting=0.1)


def test_missing_scores_are_counted_and_warned_of() -> None:
    found = ablab.compare(
        {"baseline": BASE, "frelu": [0.53, None, float("nan"), 0.54, 0.55]}, smallest_interesting=0.01
    )
    assert found["frelu"].n == 3
    assert "2 of 10 runs have no score" in found.warnings[0]
    assert "flatters" in found.warnings[0]


def test_direction_alpha_and_controls_reach_the_judge() -> None:
    scores = {"baseline": BASE, "frelu": FRELU, "a/a": [*BASE[1:], BASE[0]]}
    found = ablab.compare(scores, smallest_interesting=0.01, direction="min", alpha=0.1, controls=["a/a"])
    assert found["frelu"].verdict == "hurts"
    assert "control" in found["a/a"].qualifiers
    assert found.view().alpha == 0.1
    with pytest.raises(UnknownName, match="direction"):
        ablab.compare(scores, smallest_interesting=0.01, direction="up")
    with pytest.raises(ConfigError, match="smallest_interesting"):
        ablab.compare(scores, smallest_interesting=0)


def test_a_judgement_is_a_sequence_that_knows_its_arms_and_prints_itself() -> None:
    found = ablab.compare({"baseline": BASE, "frelu": FRELU, "mish": BASE}, smallest_interesting=0.01, metric="AP")
    assert len(found) == 2
    assert [verdict.arm for verdict in found] == ["frelu", "mish"]
    assert found[0] is found["frelu"]
    assert found[:1] == (found["frelu"],)
    text = str(found)
    assert "helps" in text
    assert "AP" in text
    assert max(map(len, text.splitlines())) <= 80
    with pytest.raises(UnknownName, match="did you mean 'frelu'"):
        found["freul"]


def test_a_judgement_is_json_and_a_report(tmp_path) -> None:
    found = ablab.compare({"baseline": BASE, "frelu": FRELU}, smallest_interesting=0.01, metric="AP")
    document = json.loads(found.to_json())
    assert document == json.loads(json.dumps(found.as_dict()))
    assert document["arms"][1]["verdict"]["verdict"] == "helps"
    for ending in (".html", ".md", ".tex", ".csv", ".json"):
        text = found.write(tmp_path / f"r{ending}").read_text()
        assert "frelu" in text
    assert found.latex() == (tmp_path / "r.tex").read_text()
    assert json.loads((tmp_path / "r.json").read_text()) == document
    with pytest.raises(UnknownName, match=r"\.docx"):
        found.write(tmp_path / "r.docx")


def test_compare_needs_no_torch_and_no_pandas() -> None:
    code = (
        "import ablab, sys; ablab.compare({'baseline': [1, 2, 3], 'a': [2, 3, 5]}, smallest_interesting=1).to_json();"
        "print(sorted({'torch', 'pandas', 'matplotlib', 'cv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
