"""Which arm and seed a file holds: said with it, or read off its name.

frelu=dets.json   frelu/3=dets.json   frelu=folder/      said
frelu-seed3.json  frelu_s3.json  frelu/3.json  frelu/seed3.json   read off
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ablab.errors import DataError, suggest

ENDINGS = (".json", ".csv", ".tsv")
OPTUNA = "sqlite:///"
NAMES = "frelu-seed3.json, frelu_s3.json, frelu/3.json, frelu/seed3.json, or frelu/3=FILE on the command line"

_RUN = re.compile(r"(?P<arm>.+?)[-_. ]+(?:seed|s)[-_= ]?(?P<seed>\d{1,18})", re.IGNORECASE)
_SEED = re.compile(r"(?:seed|s)?[-_= ]?(?P<seed>\d{1,18})", re.IGNORECASE)
_SAID = re.compile(r"(?P<arm>.+)/(?P<seed>\d{1,18})")


@dataclass(frozen=True)
class Source:
    """One file or folder, and what was said of it: an arm, or nothing; a seed, or None."""

    path: Path
    arm: str = ""
    seed: int | None = None

    def understood(self) -> tuple[str, int | None]:
        """Arm and seed, as said or else as the name says; "" and None for what neither tells."""
        name = self.path.stem
        run = understand(name)
        if self.arm or self.seed is not None:
            read = run[1] if run else seed_of(name)
            return self.arm, self.seed if self.seed is not None else read
        if run:
            return run
        seed = seed_of(name)
        return (self.path.resolve().parent.name, seed) if seed is not None else (name, None)


def understand(name: str) -> tuple[str, int] | None:
    """Arm and seed of a run's name, `frelu-seed3` or `frelu_s3`; None where it tells neither."""
    found = _RUN.fullmatch(name)
    return (found["arm"], int(found["seed"])) if found else None


def seed_of(name: str) -> int | None:
    """The seed of a file in an arm's folder: `3`, `seed3`, `s3`; None where it is no seed."""
    found = _SEED.fullmatch(name)
    return int(found["seed"]) if found else None


def sources(arguments: Sequence[str]) -> list[Source]:
    """What the arguments name, folders opened. Raises DataError for what is not there and for an empty folder."""
    return [each for argument in arguments for each in _opened(_source(argument))]


def _source(argument: str) -> Source:
    path = Path(argument.removeprefix(OPTUNA))
    if path.exists():
        return Source(path)
    label, equals, rest = argument.partition("=")
    if not equals:
        near = suggest(path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else [])
        raise DataError(f"no file or folder {path}{near}")
    said = _SAID.fullmatch(label)
    if not label or not Path(rest).exists():
        raise DataError(f"'{argument}': expected ARM=FILE, ARM/SEED=FILE or ARM=FOLDER; there is no {rest or 'file'}")
    return Source(Path(rest), said["arm"], int(said["seed"])) if said else Source(Path(rest), label)


def _opened(source: Source) -> list[Source]:
    if not source.path.is_dir() or is_mlflow(source.path):
        return [source]
    files = [path for path in sorted(source.path.iterdir()) if path.suffix in ENDINGS]
    below = [path for path in sorted(source.path.glob("*/*")) if path.suffix in ENDINGS] if not source.arm else []
    if not files and not below:
        raise DataError(f"{source.path} holds no {', '.join(ENDINGS)}; expected files such as {NAMES}")
    return [Source(path, source.arm, source.seed) for path in files or below]


def is_mlflow(folder: Path) -> bool:
    """Whether a folder is MLflow's: `mlruns`, one experiment in it, or one run."""
    return any((folder / place / "meta.yaml").is_file() for place in (".", *_names(folder)))


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_dir()]
