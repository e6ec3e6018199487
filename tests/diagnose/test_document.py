"""The diagnosis as plain data: how it ranks, what it refuses, and its files."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ablab.contracts import Panel
from ablab.diagnose.document import as_document, write, write_files
from ablab.findings import Chapter, Finding, Proposal
from ablab.records import RunKey, RunRecord
from ablab.study.design import BASELINE, Arm
from ablab.study.spec import Judge
from ablab.tasks.detection.recipe import DetectionRecipe

RECORD = RunRecord(RunKey("s", "baseline", 3, "abc"), "done", scores={"validation": {"AP": 0.5}})


@dataclass
class Run:
    """What of a patient the document wants."""

    place: Path = Path("runs/x")
    record: RunRecord = RECORD
    split: str = "validation"
    judge: Judge = field(default_factory=Judge)
    settings: dict[str, float] = field(default_factory=lambda: {"threshold": 0.3})
    arm: Arm = field(default_factory=lambda: Arm(BASELINE, "baseline", "", DetectionRecipe()))
    notes: tuple[str, ...] = ("a note",)


def finding(fault: str, severity: float) -> Finding:
    return Finding(fault, severity, (("share", math.inf),), f"{fault}.")


def chapters() -> list[Chapter]:
    picture = Panel("a <title>/..", "says", b"\x89PNG one")
    first = Chapter("errors", {"x": math.nan}, (finding("mild", 0.2), finding("bad", 0.9)), (picture,))
    second = Chapter("data", {}, (finding("middling", 0.5),), (picture,), {"suspects.csv": b"image\n"}, ("unread",))
    return [first, second]


def propose(name: str, fault: str, gain: float | None = None) -> Proposal:
    return Proposal(name, "why", (fault,), {"train.epochs": 30}, gain=gain)


def made(proposals: list[Proposal] = []) -> dict[str, Any]:  # noqa: B006 - read only
    return as_document(Run(), chapters(), proposals, {"a": {"flops": 2.0}}, ["another"])  # type: ignore[arg-type]


def test_findings_stand_by_severity_and_know_their_chapter():
    assert [(f["chapter"], f["fault"]) for f in made()["findings"]] == [
        ("errors", "bad"), ("data", "middling"), ("errors", "mild")
    ]  # fmt: skip


def test_proposals_stand_by_their_worst_finding_then_by_what_they_may_gain():
    rows = made([propose("a", "mild", 0.9), propose("b", "bad"), propose("c", "bad", 0.1)])["proposals"]
    assert [(row["name"], row["gain"]) for row in rows] == [("c", 0.1), ("b", None), ("a", 0.9)]
    assert [row["cost"] for row in rows] == [None, None, {"flops": 2.0}]


def test_no_advice_without_its_evidence():
    with pytest.raises(AssertionError, match="stray"):
        made([propose("stray", "nothing that was found")])


def test_it_is_strict_json():
    document = made()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["chapters"]["errors"]["numbers"] == {"x": None}
    assert document["notes"] == ["a note", "another"]


def test_files_are_written_where_the_document_says_and_old_pictures_go(tmp_path):
    stale = tmp_path / "pictures" / "99-old.png"
    stale.parent.mkdir()
    stale.write_bytes(b"old")
    document = made()
    write_files(tmp_path, chapters())
    write(tmp_path, document)
    assert not stale.exists()
    assert len({row["file"] for row in document["pictures"]}) == 2
    for row in document["pictures"]:
        assert (tmp_path / row["file"]).resolve().parent == (tmp_path / "pictures").resolve()
        assert (tmp_path / row["file"]).read_bytes() == b"\x89PNG one"
    assert (tmp_path / "suspects.csv").read_bytes() == b"image\n"
    assert json.loads((tmp_path / "diagnosis.json").read_text()) == document


@pytest.mark.parametrize("proposal", [{"faults": ()}, {"set": {}}])
def test_a_proposal_answers_a_fault_and_changes_or_asks_something(proposal):
    with pytest.raises(ValueError, match=r"answers no fault|changes nothing"):
        Proposal(**({"name": "p", "because": "", "faults": ("bad",), "set": {"train.epochs": 3}} | proposal))
