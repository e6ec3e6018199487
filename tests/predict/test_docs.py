"""What docs/predicting.md says of options and names is so."""

from __future__ import annotations

import re
from pathlib import Path

from ablab.cli.predict import Form
from ablab.predict.result import Frame, Result
from ablab.tasks.detection.recipe import PostprocessRecipe

TEXT = (Path(__file__).parents[2] / "docs" / "predicting.md").read_text(encoding="utf-8")


def test_every_form_and_field_is_one_that_there_is() -> None:
    (forms,) = re.findall(r"--format ([a-z|]+)", TEXT)
    assert forms.split("|") == [form.value for form in Form]
    fields = set(re.findall(r"postprocess\.(\w+)", TEXT))
    assert fields <= set(PostprocessRecipe.model_fields)
    for name in set(re.findall(r"result\.(\w+)", TEXT)) - {"boxes", "scores", "labels"}:
        assert hasattr(Result, name), name
    assert {"boxes", "scores", "labels"} <= set(Result.__dataclass_fields__)
    assert set(re.findall(r"frame\.(\w+)", TEXT)) <= set(Frame.__dataclass_fields__)
