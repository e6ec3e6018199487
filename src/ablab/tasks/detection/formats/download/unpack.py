"""Archives from strangers, unpacked into a folder and nowhere else: no path leads out, nothing but plain files."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ablab.errors import StoreError
from ablab.tasks.detection.formats.download.fetch import Progress


def unpack(archive: Path, folder: Path, keep: tuple[str, ...], progress: Progress) -> None:
    """Unpack the files of a zip or tar whose names match one of `keep` (`*` also matches `/`).

    `progress` is called with ("unpack NAME, files", done, all). Raises StoreError where the archive is damaged, holds a
    link or a name that leads out of the folder, has none of the files, or where there is no room.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if archive.suffix == ".zip":
            _unzip(archive, folder, keep, progress)
        else:
            _untar(archive, folder, keep, progress)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError) as error:
        raise StoreError(f"{archive} cannot be unpacked: {error}; remove it and load it again") from None
    except OSError as error:
        raise StoreError(f"cannot unpack {archive} into {folder}: {error.strerror or error}; make room") from None


def _unzip(archive: Path, folder: Path, keep: tuple[str, ...], progress: Progress) -> None:
    with zipfile.ZipFile(archive) as opened:
        members = opened.infolist()
        for member in members:
            _refuse(
                archive, member.filename, stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
            )
        files = [member for member in members if not member.is_dir() and _kept(member.filename, keep)]
        _room(archive, folder, (member.file_size for member in files), len(files))
        for done, member in enumerate(files, 1):
            opened.extract(member, folder)
            progress(f"unpack {archive.name}, files", done, len(files))


def _untar(archive: Path, folder: Path, keep: tuple[str, ...], progress: Progress) -> None:
    with tarfile.open(archive, "r:") as opened:
        members = opened.getmembers()
        for member in members:
            _refuse(archive, member.name, member.isreg() or member.isdir())
        files = [member for member in members if member.isreg() and _kept(member.name, keep)]
        _room(archive, folder, (member.size for member in files), len(files))
        for done, member in enumerate(files, 1):
            opened.extract(member, folder, filter="data")
            progress(f"unpack {archive.name}, files", done, len(files))


def _kept(name: str, keep: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in keep)


def _refuse(archive: Path, name: str, plain: bool) -> None:
    """Refuse the whole archive for one such member: whoever made it meant harm."""
    path = PurePosixPath(name)
    if not plain:
        what = "is a link or a device"
    elif path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
        what = "leads out of the folder"
    else:
        return
    raise StoreError(
        f"{archive}: '{name}' {what}; nothing was unpacked: remove the archive and do not trust its source"
    )


def _room(archive: Path, folder: Path, sizes: Iterable[int], count: int) -> None:
    if not count:
        raise StoreError(f"{archive} holds none of the expected files; it is another archive than ablab knows")
    need, free = sum(sizes), shutil.disk_usage(folder).free
    if need > free:
        raise StoreError(
            f"{archive} unpacks to {need / 1e9:.1f} GB and {free / 1e9:.1f} are free at {folder}; make room and run it "
            "again: it goes on from there"
        )


def move(tree: Path, folder: Path) -> None:
    """Move everything in a tree to the same places in a folder, in place of what stands there."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in sorted(tree.iterdir()):
        target = folder / each.name
        if each.is_dir() and target.is_dir():
            move(each, target)
            each.rmdir()
        else:
            os.replace(each, target)
