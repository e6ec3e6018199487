"""The record of a verdict: there and back, and as it was written before it had all its fields."""

import json
import math

import pytest

from ablab.errors import ConfigError
from ablab.records import read_json, write_json
from ablab.stats import Verdict, judge

SCORES = {
    "baseline": {0: 0.50, 1: 0.53, 2: 0.48, 3: 0.51, 4: 0.55},
    "a": {0: 0.53, 1: 0.52, 2: 0.55, 3: 0.51, 4: 0.56},
    "b": {0: 0.6},
    "c": {0: 0.55, 1: 0.58, 2: 0.53, 3: 0.56, 4: 0.605},
    "d": {},
}
OPTIONS = [{}, {"method": "dunnett"}, {"paired": False}]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_verdict_survives_json(tmp_path, options):
    verdicts = judge(SCORES, "baseline", smallest_interesting=0.01, **options)
    json.dumps([v.as_dict() for v in verdicts], allow_nan=False)
    write_json(tmp_path / "v.json", [v.as_dict() for v in verdicts])
    write_json(tmp_path / "raw.json", verdicts)
    for file in ("v.json", "raw.json"):
        again = [Verdict.from_dict(data) for data in read_json(tmp_path / file)]
        assert repr(again) == repr(verdicts)  # repr, for NaN is not equal to itself


def test_an_old_record_is_read():
    (verdict,) = judge({arm: SCORES[arm] for arm in ("baseline", "c")}, "baseline", smallest_interesting=0.01)
    later = {"against", "p_dunnett", "improvement", "improvement_interval", "paired"}
    old = Verdict.from_dict({name: value for name, value in verdict.as_dict().items() if name not in later})
    assert (old.against, old.paired, old.p_adjusted) == ("baseline", True, verdict.p_holm)
    assert math.isnan(old.improvement)
    assert old.improvement_interval == (0.0, 1.0)
    assert old.interval == verdict.interval


def test_what_is_no_verdict_is_refused():
    (verdict,) = judge({arm: SCORES[arm] for arm in ("baseline", "c")}, "baseline", smallest_interesting=0.01)
    for wrong in ({"arm": "a"}, verdict.as_dict() | {"unheard": 1}):
        with pytest.raises(ConfigError, match="not a verdict"):
            Verdict.from_dict(wrong)
