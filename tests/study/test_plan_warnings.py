"""A plan says where an arm's dropout misleads a batch norm (variance shift)."""

from __future__ import annotations

from typing import Any

from tiny_study import tiny

from ablab.engine.events import Silent
from ablab.study.plan import plan


def change(name: str, part: str, after: str, **args: Any) -> dict[str, Any]:
    return {"name": name, "edits": [{"op": "insert", "after": after, "part": part, "args": args}]}


def test_dropout_before_batch_norm_is_warned_of_in_its_arm() -> None:
    changes = [
        change("plain", "dropout", "backbone.stage3", p=0.2),
        change("uniform", "uniform-dropout", "backbone.stage3"),  # too little to matter
        change("many", "dropout2d", "backbone.stage?", p=0.2),
    ]
    document = plan(tiny(changes=changes, controls=[]), (), Silent())
    notes = {row["arm"]: [note for note in row["notes"] if "batch norm" in note] for row in document["arms"]}
    assert [len(notes[arm]) for arm in ("baseline", "plain", "uniform", "many")] == [0, 1, 0, 3]
    (warning,) = notes["plain"]
    assert warning.startswith("backbone.stage3.dropout stands before the batch norm backbone.stage4.")
    assert "raises the mean square 1.25 times" in warning  # 1 / (1 - 0.2)
    assert notes["many"][-1] == "2 more dropouts stand before batch norms"
