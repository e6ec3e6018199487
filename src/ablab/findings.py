"""What a diagnosis is made of: findings, the chapters that they stand in, and proposals of what to try.

readings --> Chapter(numbers, findings, panels)   of errors, data, network, training
findings --> Proposal(a change, or what a person has to do)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from ablab.contracts import Items, Panel


@dataclass(frozen=True)
class Finding:
    """A fault that a reading found.

    `fault` is a short stable name ("too short"), by which advice and tests know it. `severity` is in [0, 1]: 0 hardly
    matters, 1 spoils the result. `evidence` is (name, value) pairs, the numbers that the fault was told by, with units
    in the name. `sentence` says it to a reader, the numbers included.

    Raises ValueError for a severity outside [0, 1] or NaN, and for an empty `evidence`: nothing is claimed without it.
    """

    fault: str
    severity: float
    evidence: tuple[tuple[str, float], ...]
    sentence: str

    def __post_init__(self) -> None:
        if math.isnan(self.severity) or not 0 <= self.severity <= 1:
            raise ValueError(f"the severity of '{self.fault}' is {self.severity}: expected a number from 0 to 1")
        if not self.evidence:
            raise ValueError(f"the finding '{self.fault}' has no evidence: expected the numbers that it was told by")


@dataclass(frozen=True)
class Chapter:
    """One side of a diagnosis: "errors", "data", "network" or "training".

    `numbers` are its readings as plain JSON data, `panels` its pictures; `files` are lists to work with, by file name
    ("suspects.csv"). `notes` say in sentences what could not be read, and why.
    """

    name: str
    numbers: Mapping[str, Any]
    findings: tuple[Finding, ...] = ()
    panels: tuple[Panel, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """What to try next, and the findings (`faults`) that speak for it.

    `set` and `edits` are a study's change, as in `recipe.Change`. Both are empty where no recipe can do it: then `todo`
    says what a person has to do, with the file or the command that it takes. `gain` is the most that there is to win,
    in points of `metric` (a fraction), by the oracle or the bound that `bound` names; None where nothing bounds it.

    Raises ValueError for a proposal without a fault, or with neither a change nor a todo.
    """

    name: str
    because: str
    faults: tuple[str, ...]
    set: Mapping[str, Any] = field(default_factory=dict)
    edits: tuple[Mapping[str, Any], ...] = ()
    todo: str = ""
    gain: float | None = None
    metric: str = ""
    bound: str = ""

    def __post_init__(self) -> None:
        if not self.faults:
            raise ValueError(f"the proposal '{self.name}' answers no fault: no advice without its evidence")
        if not (self.set or self.edits or self.todo):
            raise ValueError(f"the proposal '{self.name}' changes nothing and asks for nothing")

    @property
    def ready(self) -> bool:
        """Whether it is a change that a study can take as it stands."""
        return bool(self.set or self.edits)


@dataclass(frozen=True)
class Case:
    """A run under diagnosis, as a task's readings want it.

    `evidence` is {split: items} of the splits that were evaluated, `settings` what was chosen on validation; `split` is
    the one whose errors are read. `against` is another run's evidence and settings on that split. `goals` are operating
    points that the user asks for: {"recall at precision": 0.95, "false positives per image": 0.1}. `folder` is where
    the diagnosis is written, for proposals that name a file in it. `images` says whether to open image files: for
    copies, crops and contact sheets. `seed` is of the image bootstrap, `replicates` its draws (0: no intervals).
    """

    evidence: Mapping[str, Items]
    settings: Mapping[str, float]
    split: str
    folder: Path
    against: tuple[Items, Mapping[str, float]] | None = None
    goals: Mapping[str, float] = field(default_factory=dict)
    images: bool = True
    replicates: int = 200
    seed: int = 0
