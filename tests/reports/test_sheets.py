import csv
import io
import json

import pytest

from ablab import reports
from ablab.reports.sheets import arm_sheet, run_sheet


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_numbers_are_whole(golden):
    by_arm = {row["arm"]: row for row in rows(arm_sheet(golden))}
    frelu = next(arm for arm in golden.arms if arm.name == "frelu")
    assert float(by_arm["frelu"]["simultaneous_low"]) == frelu.verdict.simultaneous[0]
    assert [float(by_arm["frelu"][f"seed_{seed}"]) for seed in golden.seeds] == [0.545, 0.538, 0.553, 0.540, 0.549]
    assert by_arm["cbam"]["seed_3"] == ""
    assert by_arm["cbam"]["fresh_seeds_low"] == "12"
    assert by_arm["baseline"]["verdict"] == ""


def test_one_row_a_run_with_every_score(golden):
    found = rows(run_sheet(golden))
    assert len(found) == 35
    failed = next(row for row in found if row["status"] == "failed")
    assert (failed["arm"], failed["seed"], failed["validation/AP"]) == ("cbam", "3", "")
    first = found[0]
    assert float(first["validation/AP50/WBC"]) == pytest.approx(0.912)
    assert float(first["test/AP50"]) == pytest.approx(0.822)


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@x"])
def test_text_is_never_a_formula(study, text):
    document = json.loads((study / "study.json").read_text())
    document["arms"][1]["because"] = text
    (study / "study.json").write_text(json.dumps(document))
    by_arm = {row["arm"]: row for row in rows(arm_sheet(reports.read(study)))}
    assert by_arm["frelu"]["because"] == f"'{text}"
    assert float(by_arm["no-mosaic"]["effect"]) < 0  # a negative number stays one
