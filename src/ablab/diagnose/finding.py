"""What a reading concludes: one fault, how bad it is, and the numbers that say so."""

from __future__ import annotations

import math
from dataclasses import dataclass


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
