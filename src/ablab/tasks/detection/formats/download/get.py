"""A data set from its archives: loaded, checked, unpacked, and known as finished the next time."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablab.errors import StoreError
from ablab.records import holding
from ablab.tasks.detection.formats.download.catalogue import Piece, Source
from ablab.tasks.detection.formats.download.fetch import Progress, fetch
from ablab.tasks.detection.formats.download.unpack import move, unpack

COMPLETE = ".ablab-complete"


@dataclass(frozen=True)
class Got:
    """Where the data set is, and which archives were loaded for it; none where all were there before."""

    root: Path
    loaded: tuple[str, ...]


def get(
    source: Source,
    to: Path,
    only: str | None = None,
    progress: Progress = lambda what, done, total: None,
    say: Callable[[str], None] = lambda sentence: None,
    pause: float = 1.0,
) -> Got:
    """Bring a data set, or the part `only` of it, into a folder; what is there already is not loaded again.

    `say` gets a sentence before anything is loaded: what it is and under which terms. Raises UnknownName for a part
    that the data set does not have, RunError where the network fails, StoreError where there is no room, or where
    something else stands in the data set's place. The same call goes on from wherever one was broken off.
    """
    wanted = source.wanted(only)
    root, work = to / source.folder, to / f".ablab-{source.name}"
    if not _missing(wanted, root):
        return Got(root, ())
    busy = f"another ablab is loading into {work}; wait for it, or name another --to"
    with holding(work, busy, "name another folder with --to"):
        missing = _missing(wanted, root)  # another call may have brought it meanwhile
        say(f"{source.title}. Terms: {source.terms}")
        _free_place(root)
        _check_room(missing, work)
        archives = {piece.remote.name: piece.remote for piece in missing}
        for name, remote in archives.items():
            archive = fetch(remote, work, progress, pause)
            for piece in missing:
                if piece.remote.name == name:
                    _place(source, piece, archive, work / "tree", root, progress)
            archive.unlink()
    shutil.rmtree(work, ignore_errors=True)
    return Got(root, tuple(archives))


def _place(source: Source, piece: Piece, archive: Path, tree: Path, root: Path, progress: Progress) -> None:
    """Unpack a piece aside, move it to where it belongs, and note it as complete."""
    shutil.rmtree(tree, ignore_errors=True)
    unpack(archive, tree, piece.keep, progress)
    inside = tree / source.folder
    root.mkdir(parents=True, exist_ok=True)
    complete = root / COMPLETE
    complete.touch()  # from here on the folder is known as ours, however this ends
    move(inside if inside.is_dir() else tree, root)
    for name, text in source.extra:
        (root / name).write_text(text, "utf-8")
    complete.write_text("".join(f"{line}\n" for line in (*_done(root), _line(piece))), "utf-8")


def _missing(wanted: Sequence[Piece], root: Path) -> list[Piece]:
    done = _done(root)
    return [piece for piece in wanted if _line(piece) not in done]


def _line(piece: Piece) -> str:
    return f"{piece.part} {piece.remote.name} {piece.remote.digest}"


def _done(root: Path) -> tuple[str, ...]:
    complete = root / COMPLETE
    return tuple(complete.read_text("utf-8").splitlines()) if complete.is_file() else ()


def _free_place(root: Path) -> None:
    """Nobody else's folder is written into."""
    if root.exists() and not (root / COMPLETE).is_file() and (not root.is_dir() or any(root.iterdir())):
        raise StoreError(
            f"{root} exists and did not come from `ablab data get`; use it as it is, remove it, or name another folder "
            "with --to"
        )


def _check_room(missing: Sequence[Piece], work: Path) -> None:
    """Room for all that is unpacked and for the largest archive beside it; an archive unpacks to about its own size."""
    sizes = {piece.remote.name: piece.remote.size for piece in missing}
    here = sum(file.stat().st_size for file in work.iterdir() if file.name.removesuffix(".part") in sizes)
    need, free = sum(sizes.values()) + max(sizes.values(), default=0) - here, shutil.disk_usage(work).free
    if need > free:
        raise StoreError(
            f"{work.parent}: about {need / 1e9:.1f} GB are needed and {free / 1e9:.1f} are free; make room, or name "
            "another folder with --to"
        )
