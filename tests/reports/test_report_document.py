import json

import pytest

from ablab import reports
from ablab.reports.document import as_json


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def test_the_document_is_strict_json_and_complete(golden):
    found = json.loads(as_json(golden), parse_constant=refuse)
    assert found == json.loads(json.dumps(reports.as_document(golden)))
    arms = {arm["name"]: arm for arm in found["arms"]}
    assert arms["frelu"]["verdict"]["verdict"] == "helps"
    assert arms["frelu"]["scores"] == {"0": 0.545, "1": 0.538, "2": 0.553, "3": 0.54, "4": 0.549}
    assert len(arms["frelu"]["sites"]) == 3
    assert arms["frelu"]["unreached"] == ["F.silu in neck.fuse"]
    assert {run["status"] for run in arms["lr-times-10"]["runs"]} == {"done", "diverged"}
    assert found["final"]["scores"]["baseline"]["0"]["AP"] == pytest.approx(0.5)
    assert found["judge"]["smallest_interesting"] == 0.01
    assert found["noise"]["n"] == 5
    assert [row["arm"] for row in found["resolutions"]] == [arm.name for arm in golden.compared]
    assert set(found["front"]) == {"parameters", "flops", "latency_ms"}
    assert arms["frelu"]["population"]["groups"] == 60
    assert {row["metric"] for row in arms["frelu"]["effects"]} >= {"AP50", "APs", "AP/RBC", "F1@0.5"}
    assert found["data"]["frelu"] == "8cedd0906ef271b8"
    assert found["looks"] == []
    assert found["factorial"] is None


def test_a_study_under_way_has_no_final_and_lists_what_is_missing(study):
    (study / "final.json").unlink()
    (study / "verdicts.json").unlink()
    next((study / "runs" / "eca").glob("4-*/record.json")).unlink()
    found = reports.as_document(reports.read(study))
    assert found["final"] is None
    assert found["missing"] == [{"arm": "eca", "seed": 4}]
    assert found["arms"][1]["verdict"] is None


def test_what_is_infinite_is_null(study):
    document = json.loads((study / "verdicts.json").read_text())
    document["arms"][0] |= {"simultaneous": [None, None], "p": None, "p_holm": None}
    (study / "verdicts.json").write_text(json.dumps(document))
    found = json.loads(as_json(reports.read(study)), parse_constant=refuse)
    assert found["arms"][1]["verdict"]["simultaneous"] == [None, None]
