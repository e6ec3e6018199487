"""What a driver does first: damaged records are set aside, and what nobody will read again is deleted.

The rule. A run that is done or has diverged keeps its record, curves, evidence, test scores, diagnosis and final
weights. Its snapshot (weights, average and the optimizer's moments: three to four times the weights) is deleted when
its record stands, by the run itself; if it was killed just then, here. A run that failed or was cut off keeps its
snapshot, from which it goes on, until another folder of the same arm and seed holds a record that is newer: the recipe
was edited between the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ablab.errors import Damaged, StoreError
from ablab.records import RunRecord, read_record
from ablab.study.progress import FILE

SNAPSHOT = "snapshot.safetensors"
TUNING = "snapshot-tune.safetensors"  # of the fine-tune after pruning
RUNS = ("runs/*/*", "confirm/runs/*/*")


def places(folder: Path) -> Iterator[Path]:
    """Every run's folder in a study's, its confirmation's included."""
    for pattern in RUNS:
        yield from sorted(path for path in folder.glob(pattern) if path.is_dir())


def sound(path: Path) -> RunRecord | None:
    """A run's record; None where there is none, and where it was damaged: then it was renamed `record.json.corrupt-*`.

    Raises StoreError for the record of a newer version, and where it cannot be read or renamed.
    """
    if not path.exists():
        return None
    try:
        return read_record(path)
    except Damaged:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        names = (f"{path.name}.corrupt-{stamp}{end}" for end in ("", *(f"-{n}" for n in range(1, 100))))
        try:
            path.rename(next(path.with_name(name) for name in names if not path.with_name(name).exists()))
        except OSError as error:
            raise StoreError(f"{path} is damaged, and cannot be set aside: {error.strerror or error}") from None
        return None


def tidy(folder: Path) -> list[str]:
    """Set damaged records aside and delete what finished runs left over; returns a sentence for each record.

    Only for who holds the study's folder.
    """
    said, finished, kept = list[str](), dict[tuple[Path, str], float](), list[Path]()
    for place in places(folder):
        path = place / "record.json"
        there, record = path.exists(), sound(path)
        if there and record is None:
            said.append(f"{path} is damaged; it is set aside beside itself, and the run is done again")
        if record is None or record.status == "failed":
            kept += (path for name in (SNAPSHOT, TUNING) for path in place.glob(name))
        else:
            finished[_asked(place)] = max(path.stat().st_mtime, finished.get(_asked(place), 0.0))
            clear(place)
    for snapshot in kept:
        if snapshot.stat().st_mtime < finished.get(_asked(snapshot.parent), 0.0):
            snapshot.unlink()
    for place in (folder, folder / "panels", folder / "confirm"):
        sweep(place)
    return said


def clear(place: Path) -> None:
    """Leave in a finished run's folder what stays there; for a run whose process was killed after its record stood."""
    for path in (place / SNAPSHOT, place / TUNING, place / FILE, *place.glob("claim-*.json")):
        path.unlink(missing_ok=True)
    sweep(place)


def sweep(place: Path) -> None:
    """Remove what a kill left of files that were being written. Only for who holds the folder."""
    for leftover in place.glob(".*.*"):
        leftover.unlink(missing_ok=True)


def _asked(place: Path) -> tuple[Path, str]:
    """A run's arm and seed, as its folder tells them: ARM/SEED-FINGERPRINT."""
    return place.parent, place.name.partition("-")[0]
