"""A diagnosis as plain data, and its files on disk.

RUN/diagnosis/
  diagnosis.json      everything: findings and proposals, ranked; the chapters' numbers; which picture says what
  pictures/*.png
  suspects.csv ...    lists to work with
  diagnosis.html      drawn from the above alone
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ablab.diagnose.patient import Patient
from ablab.findings import Chapter, Proposal
from ablab.records import plain_json, slug, write_bytes, write_json


def as_document(
    patient: Patient,
    chapters: Sequence[Chapter],
    proposals: Sequence[Proposal],
    costs: Mapping[str, Mapping[str, float]],
    notes: Sequence[str],
) -> dict[str, Any]:
    """The diagnosis; NaN and infinity are null.

    Findings stand by severity. Proposals stand by the worst finding that they answer, then by what they may gain.
    """
    faults = [(chapter.name, finding) for chapter in chapters for finding in chapter.findings]
    faults.sort(key=lambda pair: -pair[1].severity)
    severity = {finding.fault: finding.severity for _, finding in reversed(faults)}
    unfounded = [each.name for each in proposals if not set(each.faults) & set(severity)]
    assert not unfounded, f"proposals without evidence: {unfounded}"
    ranked = sorted(proposals, key=lambda p: (-max(severity.get(f, 0.0) for f in p.faults), -(p.gain or 0.0)))
    key = patient.record.key
    return plain_json(
        {
            "run": str(patient.place),
            "name": key.arm,
            "study": key.study,
            "seed": key.seed,
            "split": patient.split,
            "metric": patient.judge.metric,
            "scores": patient.record.scores.get(patient.split, patient.record.scores.get("validation", {})),
            "settings": dict(patient.settings),
            "recipe": patient.arm.recipe.model_dump(mode="json"),
            "findings": [
                {
                    "chapter": chapter,
                    "fault": finding.fault,
                    "severity": finding.severity,
                    "sentence": finding.sentence,
                    "evidence": dict(finding.evidence),
                }
                for chapter, finding in faults
            ],
            "proposals": [_proposal(each, costs.get(each.name)) for each in ranked],
            "chapters": {each.name: {"numbers": each.numbers, "notes": list(each.notes)} for each in chapters},
            "pictures": [
                {"chapter": chapter.name, "title": panel.title, "caption": panel.caption, "file": file}
                for chapter, panel, file in _pictures(chapters)
            ],
            "files": [name for chapter in chapters for name in chapter.files],
            "notes": [*patient.notes, *notes],
        }
    )


def _proposal(each: Proposal, cost: Mapping[str, float] | None) -> dict[str, Any]:
    return {
        "name": each.name,
        "because": each.because,
        "faults": list(each.faults),
        "set": dict(each.set),
        "edits": [dict(edit) for edit in each.edits],
        "todo": each.todo,
        "gain": each.gain,
        "metric": each.metric,
        "bound": each.bound,
        "cost": dict(cost) if cost else None,
    }


def _pictures(chapters: Sequence[Chapter]) -> list[tuple[Chapter, Any, str]]:
    rows = [(chapter, panel) for chapter in chapters for panel in chapter.panels]
    return [(c, p, f"pictures/{n:02}-{slug(f'{c.name} {p.title}')}.png") for n, (c, p) in enumerate(rows)]


def write_files(folder: Path, chapters: Sequence[Chapter]) -> None:
    """Write pictures and lists into `folder`; the pictures that an earlier diagnosis left there go."""
    shutil.rmtree(folder / "pictures", ignore_errors=True)
    for _, panel, file in _pictures(chapters):
        write_bytes(folder / file, panel.png)
    for chapter in chapters:
        for name, content in chapter.files.items():
            write_bytes(folder / name, content)


def write(folder: Path, document: Mapping[str, Any]) -> None:
    """Write `diagnosis.json`, when all that it names is there."""
    write_json(folder / "diagnosis.json", document)
