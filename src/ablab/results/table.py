"""A table of runs, one row a run, as a tracker or a spreadsheet holds it; and how its cells are read.

What stands in a cell is read strictly: a decimal comma, a percentage or a word where a number belongs is an error that
names the row, never a guess.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ablab.errors import DataError, UnknownName

NOTHING = {"", "nan", "none", "null", "na", "n/a"}
STEPS = ("_step", "step", "Step", "epoch", "Epoch", "global_step")


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns.

    `kind` is what wrote it, for messages. `prefixes` may be left out of a column's name (`params_`); what a run was
    trained with stands in columns that begin with `setting`. `state` is the column that tells how a run ended, and
    `finished` what it says, in small letters, of one that ended well. `run` names a run where a seed does not. `steps`
    is the column that numbers the rows of one run, where a run has several. `metric` is the column of the score where
    nothing else is asked for.
    """

    kind: str
    where: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    prefixes: tuple[str, ...] = ()
    setting: str = ""
    state: str = ""
    finished: str = ""
    run: str = ""
    steps: str = ""
    metric: str = "score"

    def find(self, word: str, what: str) -> str:
        """The column that `word` names, with or without a prefix. Raises UnknownName or DataError."""
        named = [word] if word in self.columns else [p + word for p in self.prefixes if p + word in self.columns]
        if not named:
            short = {column.removeprefix(p) for column in self.columns for p in ("", *self.prefixes)} - {""}
            raise UnknownName(f"column for the {what}", word, short, self.where)
        if len(named) > 1:
            raise DataError(
                f"{self.where}: '{word}' may be {' or '.join(named)}; write the one that is the {what} in full"
            )
        if self.columns.count(named[0]) > 1:
            raise DataError(f"{self.where}: two columns are called '{named[0]}'; rename one of them")
        return named[0]

    def has(self, word: str) -> bool:
        """Whether some column has this name, with or without a prefix."""
        return any(prefix + word in self.columns for prefix in ("", *self.prefixes))

    def settings(self) -> list[str]:
        """The columns of what a run was trained with."""
        return [name for name in self.columns if self.setting and name.startswith(self.setting)]

    def cells(self, column: str) -> list[str]:
        """One column, stripped."""
        place = self.columns.index(column)
        return [row[place].strip() for row in self.rows]

    def place(self, row: int) -> str:
        """A row, for messages: by the run's name, or counted as a spreadsheet does, where the head is row 1."""
        if self.run:
            return f"{self.where}, {self.run} {self.rows[row][self.columns.index(self.run)]}"
        return f"{self.where}, row {row + 2}"


def score(text: str, where: str) -> float | None:
    """A cell as a score: None where it is empty or says so, NaN and infinity as they stand.

    Raises DataError for a decimal comma, a percentage or anything else that is no number.
    """
    if text.lower() in NOTHING:
        return math.nan if text.lower() == "nan" else None
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    advice = "expected a number, such as 0.531"
    if re.fullmatch(r"[+-]?\d*,\d+", text):
        advice = "a decimal comma may be a thousand's: write 0.531, not 0,531"
    elif text.endswith("%"):
        advice = "write a fraction, 0.531, in every row"
    raise DataError(f"{where}: the score is '{text}'; {advice}")


def seed(text: str, where: str) -> int:
    """A cell as a seed: a whole number, also as pandas writes one beside empty cells (3.0). Raises DataError."""
    if re.fullmatch(r"[+-]?\d{1,18}(\.0+)?", text):
        return int(text.partition(".")[0])
    raise DataError(f"{where}: the seed is '{text}'; expected a whole number, such as 3")


def is_score(text: str) -> bool:
    """Whether a cell is a number or empty."""
    try:
        score(text, "")
    except DataError:
        return False
    return True
