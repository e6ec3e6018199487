"""A part examined promise by promise: what was tried, what came, what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ablab.errors import ContractError
from ablab.registry import Entry
from ablab.surgery.contract import PROMISES, Broken, Check, checks, told
from ablab.surgery.specimen import specimen


@dataclass(frozen=True)
class Finding:
    """One promise and how the part stands to it; `broken` is None where it is kept."""

    promise: str
    tried: str
    broken: Broken | None = None


@dataclass(frozen=True)
class Examination:
    """What came of a part's examination. `hint` says where the part looks as if it were meant for another slot."""

    entry: Entry
    findings: tuple[Finding, ...]
    hint: str = ""

    @property
    def sound(self) -> bool:
        """Whether every promise is kept."""
        return not any(finding.broken for finding in self.findings)


def examine(entry: Entry) -> Examination:
    """Try every promise of a part's slot. Raises ConfigError for a slot that promises nothing."""
    promised = checks(entry)
    try:
        specimen(entry)
    except ContractError as error:
        tried = "What the host does not supply has a default, or declared alternatives."
        return Examination(entry, (Finding("built without arguments", tried, told(error)),))
    findings = [Finding(each.name, _tried(each), each.broken()) for each in promised]
    return Examination(entry, tuple(findings), _hint(entry, findings))


def _tried(check: Check) -> str:
    """What a promise's own first line says of it."""
    return re.sub(r" \(trap \d+\)", "", (check.promise.__doc__ or "").split("\n")[0])


def _hint(entry: Entry, findings: list[Finding]) -> str:
    """The slots whose promises a part keeps that its own slot cannot even call."""
    own = findings[: len(PROMISES[entry.slot])]
    if not all(finding.broken and finding.broken.crashed for finding in own):
        return ""
    fitting = [slot for slot in PROMISES if slot != entry.slot and _fits(replace(entry, slot=slot))]
    if not fitting:
        return ""
    slots = " and ".join([", ".join(fitting[:-1]), fitting[-1]] if fitting[1:] else fitting)
    return f"it keeps every promise of {slots}: is it meant for {'one of these slots' if fitting[1:] else 'that slot'}?"


def _fits(entry: Entry) -> bool:
    try:
        return not any(each.broken() for each in checks(entry))
    except ContractError:
        return False
