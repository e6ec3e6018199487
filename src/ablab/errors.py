"""What can go wrong, as a tree.

    AblabError
    |-- UserError          the user's mistake: exit code 2, no traceback
    |   |-- ConfigError    a file or value that does not fit its type
    |   |   `-- UnknownName  a word that is not among the valid ones
    |   |-- DataError      a data set that cannot be read or used
    |   |-- ContractError  a part that breaks a promise of its slot
    |   `-- SurgeryError   an edit that cannot be applied to this network
    `-- RunError           it failed while running: exit code 1
        |-- Diverged       NaN or inf in training
        `-- StoreError     a record or folder that cannot be written or read
            `-- Damaged    a file whose content is not what was written

Every message says what was expected, what came, where, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AblabError(Exception):
    """The root of all errors that ablab raises on purpose."""

    exit_code = 1


class UserError(AblabError):
    """The user's mistake; the command line exits with 2."""

    exit_code = 2


class ConfigError(UserError):
    """A file or value that does not fit its type."""


class UnknownName(ConfigError):
    """A word that is not among the valid ones; the message offers the nearest."""

    def __init__(self, kind: str, word: str, valid: Iterable[str], where: str = "") -> None:
        self.kind, self.word, self.valid = kind, word, sorted(valid)
        place = f" in {where}" if where else ""
        super().__init__(f"unknown {kind} '{word}'{place}{suggest(word, self.valid)}")


class DataError(UserError):
    """A data set that cannot be read or used."""


class ContractError(UserError, AssertionError):
    """A part that breaks a promise of its slot; in a test it counts as a failed assertion."""


class SurgeryError(UserError):
    """An edit that cannot be applied to this network."""


class RunError(AblabError):
    """Something failed while running, through no mistake in the input."""


class TooLarge(RunError):
    """A card's memory does not hold what is done at once."""


class Diverged(RunError):
    """The loss or a weight became NaN or infinite."""


class StoreError(RunError):
    """A record or folder that cannot be written or read."""


class Damaged(StoreError):
    """A file whose content is not what was written: cut off, or changed by other hands."""


def suggest(word: str, valid: Iterable[str], most: int = 12) -> str:
    """End an error message: the nearest valid word, or the valid words where none is near."""
    names = sorted(valid)
    lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{lower[near[0]]}'?"
    if not names:
        return "; none is valid here"
    shown = ", ".join(names[:most])
    return f"; valid: {shown}" + (f", ... ({len(names)} in all)" if len(names) > most else "")
