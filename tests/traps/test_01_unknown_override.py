"""Trap 1: an unknown override is ignored, so that the "treatment" is the baseline."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablab.errors import ConfigError
from ablab.study import spec


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "x", "set": {"loss.clasification": "focal"}}, "did you mean 'classification'"),
        ({"name": "x", "sett": {"loss.classification": "focal"}}, "did you mean 'set'"),
        ({"name": "x", "edits": [{"op": "replace", "off": "silu", "part": "frelu"}]}, "did you mean 'of'"),
        ({"name": "x"}, "changes nothing"),
    ],
)
def test_a_treatment_that_would_be_the_baseline_is_refused(change: dict[str, object], said: str) -> None:
    data = {"name": "s", "baseline": {"task": "detection"}, "changes": [change]}
    with pytest.raises(ConfigError, match=said):
        spec.build(data, "study.yaml", Path("."))
