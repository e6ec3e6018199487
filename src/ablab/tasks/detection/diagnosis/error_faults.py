"""Which findings the reading of errors gives. They are symptoms: none is above a severity of 0.6.

errors: KIND                     the kind that costs most AP50, by the oracle
crowded                          objects among others are missed more often than those alone
overconfident, underconfident    scores are not the precision that they are taken for
scores shifted                   the same objects score otherwise than in the other run
"""

from __future__ import annotations

from ablab.findings import Finding
from ablab.tasks.detection.diagnosis.agreement import at_least
from ablab.tasks.detection.diagnosis.calibration import Calibration
from ablab.tasks.detection.diagnosis.costs import ErrorReading
from ablab.tasks.detection.diagnosis.errors import KINDS
from ablab.tasks.detection.diagnosis.shift import ScoreShift

MOST = 0.6  # severity of a symptom here: what costs all of AP50 is still no cause
COSTLY = 0.02  # AP50: about two seeds' deviation on small data; less is no kind's fault
CROWDED = 0.05  # of the objects stand among several: of fewer, nothing hangs on them
WORSE = 1.5  # times as often missed as those that stand alone
GAP = 0.1  # score less precision: a threshold of 0.5 means 0.4
ENOUGH = 100  # detections, to speak of calibration
SHIFT = 0.05  # of a score, by which a threshold is no longer the one that was chosen


def error_findings(
    read: ErrorReading, calibrated: Calibration | None = None, shift: ScoreShift | None = None
) -> tuple[Finding, ...]:
    """What the readings of errors find, in no order."""
    found = [_costliest(read), _crowded(read)]
    if calibrated is not None:
        found.append(_calibration(calibrated))
    if shift is not None:
        found.append(_shifted(shift))
    return tuple(finding for finding in found if finding is not None)


def _costliest(read: ErrorReading) -> Finding | None:
    worst = max((read.of(kind) for kind in KINDS), key=lambda cost: cost.ap50)
    if not worst.ap50 >= COSTLY or (worst.ap50_interval and worst.ap50_interval[0] <= 0):
        return None
    name = worst.kind.capitalize()
    return Finding(
        f"errors: {worst.kind}",
        min(MOST, 0.2 + worst.ap50),
        (("AP50", read.ap50), ("AP50 to win", worst.ap50), ("errors", worst.count), ("objects", read.objects)),
        f"{name} costs most: {worst.ap50:.3f} of AP50 if every such error were put right, at an AP50 of "
        f"{read.ap50:.3f}; {worst.count:,} are seen at the threshold {read.threshold:.2f}, over {read.objects:,} "
        "objects.",
    )


def _crowded(read: ErrorReading) -> Finding | None:
    alone, among = (read.of("missed", "crowding", part) for part in ("alone", "several neighbours"))
    if not alone.objects or not among.objects or among.objects < CROWDED * read.objects:
        return None
    usual, here = alone.count / alone.objects, among.count / among.objects
    if not at_least(among.count, among.objects) > WORSE * usual:
        return None
    return Finding(
        "crowded",
        min(0.5, 0.2 + among.ap50),
        (
            ("missed among several, share", here),
            ("missed alone, share", usual),
            ("objects among several", among.objects),
            ("AP50 to win", among.ap50),
        ),
        f"Of {among.objects:,} objects that touch several others {here:.0%} are missed, of those that stand alone "
        f"{usual:.0%}; the missed ones among others cost {among.ap50:.3f} of AP50.",
    )


def _calibration(read: Calibration) -> Finding | None:
    if read.detections < ENOUGH or not abs(read.gap) >= GAP:
        return None
    if read.gap_interval and read.gap_interval[0] <= 0 <= read.gap_interval[1]:
        return None
    over = read.gap > 0
    return Finding(
        "overconfident" if over else "underconfident",
        min(0.5, abs(read.gap)),
        (("mean score", read.score), ("precision", read.precision), ("D-ECE", read.ece), ("by chance", read.by_chance)),
        f"Scores are too {'high' if over else 'low'}: of {read.detections:,} detections from {read.least:.2f} on, the "
        f"mean score is {read.score:.2f} and {read.precision:.0%} are right (D-ECE {read.ece:.2f}, of which "
        f"{read.by_chance:.2f} is chance).",
    )


def _shifted(read: ScoreShift) -> Finding | None:
    if not abs(read.paired) >= SHIFT:
        return None
    if read.paired_interval and read.paired_interval[0] <= 0 <= read.paired_interval[1]:
        return None
    return Finding(
        "scores shifted",
        min(0.4, 0.2 + abs(read.paired)),
        (("median shift", read.paired), ("objects found by both", read.found_by_both)),
        f"The {read.found_by_both:,} objects that both runs find score {read.paired:+.2f} in the median against the "
        "other run: a threshold chosen there means something else here.",
    )
