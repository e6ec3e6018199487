"""What a run takes of memory, as far as a study knows by now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ablab.records import RunRecord, read_json
from ablab.study.design import Arm


class Peaks:
    """The last peak of each arm's runs, MB; before an arm has one, what the plan expects."""

    def __init__(self, planned: Mapping[str, float]) -> None:
        self._known = dict(planned)

    def note(self, arm: Arm, record: RunRecord) -> None:
        """Learn from a run that has ended; the record has the peak of one of its processes."""
        if peak := record.cost.get("peak_memory_mb"):
            self._known[arm.name] = peak * arm.recipe.train.devices

    def of(self, arm: str) -> float:
        """What a run of this arm is expected to take, MB; 0 where nothing is known."""
        return self._known.get(arm, 0.0)


def planned(folder: Path) -> dict[str, float]:
    """{arm: MB} as `plan.json` expects, for the arms that it has an estimate of."""
    path = folder / "plan.json"
    rows = read_json(path)["arms"] if path.exists() else []
    return {row["arm"]: row["memory_mb"] for row in rows if row.get("memory_mb")}
