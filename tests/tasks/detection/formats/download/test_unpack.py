"""Archives unpack into their folder and nowhere else."""

from __future__ import annotations

import io
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ablab.errors import StoreError
from ablab.tasks.detection.formats.download import unpack
from ablab.tasks.detection.formats.download.unpack import move

Steps = list[tuple[str, int, int]]


def zipped(path: Path, files: dict[str, bytes], link: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            made.writestr(info, "/etc")
    return path


def tarred(path: Path, files: dict[str, bytes], link: str = "", kind: bytes = tarfile.SYMTYPE) -> Path:
    with tarfile.open(path, "w") as made:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o4777
            made.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = kind, "/etc/passwd"
            made.addfile(info)
    return path


FILES = {"set/a/ä.jpg": b"one", "set/a/b.jpg": b"two", "set/notes.txt": b"three"}
PACK = pytest.mark.parametrize("pack", [zipped, tarred])


def archive(folder: Path, pack: Callable[..., Path]) -> Path:
    return folder / ("a.zip" if pack is zipped else "a.tar")


def found(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def silent(what: str, done: int, total: int) -> None: ...


@PACK
def test_everything_comes_out(tmp_path: Path, pack: Callable[..., Path]) -> None:
    steps: Steps = []
    unpack(pack(archive(tmp_path, pack), FILES), tmp_path / "out", ("*",), lambda *step: steps.append(step))
    assert found(tmp_path / "out") == FILES
    assert steps == [(f"unpack {archive(tmp_path, pack).name}, files", n, 3) for n in (1, 2, 3)]


@PACK
def test_only_what_is_wanted_comes_out(tmp_path: Path, pack: Callable[..., Path]) -> None:
    unpack(pack(archive(tmp_path, pack), FILES), tmp_path / "out", ("*.txt", "set/a/b*"), silent)
    assert set(found(tmp_path / "out")) == {"set/notes.txt", "set/a/b.jpg"}


@PACK
@pytest.mark.parametrize("name", ["../out.txt", "/abs.txt", "a/../../out.txt", "..\\out.txt", "C:/out.txt"])
def test_a_path_that_leads_out_is_refused_before_anything_is_written(
    tmp_path: Path, pack: Callable[..., Path], name: str
) -> None:
    with pytest.raises(StoreError, match="leads out of the folder; nothing was unpacked"):
        unpack(pack(archive(tmp_path, pack), {**FILES, name: b"evil"}), tmp_path / "in" / "out", ("*",), silent)
    assert found(tmp_path) == {archive(tmp_path, pack).name: archive(tmp_path, pack).read_bytes()}


@PACK
def test_a_link_is_refused(tmp_path: Path, pack: Callable[..., Path]) -> None:
    with pytest.raises(StoreError, match="'set/link' is a link or a device"):
        unpack(pack(archive(tmp_path, pack), FILES, "set/link"), tmp_path / "out", ("*",), silent)
    assert found(tmp_path / "out") == {}


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_tar_with_a_device_is_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(StoreError, match="is a link or a device"):
        unpack(tarred(tmp_path / "a.tar", FILES, "set/odd", kind), tmp_path / "out", ("*",), silent)


def test_rights_that_an_archive_claims_are_not_given(tmp_path: Path) -> None:
    unpack(tarred(tmp_path / "a.tar", FILES), tmp_path / "out", ("*",), silent)
    assert not (tmp_path / "out" / "set" / "notes.txt").stat().st_mode & (stat.S_ISUID | stat.S_IWOTH)


@PACK
def test_a_damaged_archive_is_named(tmp_path: Path, pack: Callable[..., Path]) -> None:
    path = pack(archive(tmp_path, pack), {"a.bin": bytes(range(256)) * 99})
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(StoreError, match=r"a\.(zip|tar) cannot be unpacked: .*; remove it and load it again"):
        unpack(path, tmp_path / "out", ("*",), silent)


@PACK
def test_an_archive_of_something_else_is_an_error(tmp_path: Path, pack: Callable[..., Path]) -> None:
    with pytest.raises(StoreError, match="holds none of the expected files"):
        unpack(pack(archive(tmp_path, pack), FILES), tmp_path / "out", ("*.json",), silent)


@PACK
def test_no_room_is_said_before_it_runs_out(
    tmp_path: Path, pack: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(archive(tmp_path, pack), FILES)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, 5))  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="make room and run it again"):
        unpack(path, tmp_path / "out", ("*",), silent)


def test_move_merges_folders_and_replaces_files(tmp_path: Path) -> None:
    for place, names in (("new", ("a/1", "a/b/2", "3")), ("old", ("a/0", "a/b/2", "c/4"))):
        for name in names:
            (tmp_path / place / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place / name).write_text(place)
    move(tmp_path / "new", tmp_path / "old")
    assert {k: v.decode() for k, v in found(tmp_path / "old").items()} == {
        "a/0": "old", "a/1": "new", "a/b/2": "new", "3": "new", "c/4": "old",
    }  # fmt: skip
    assert found(tmp_path / "new") == {}
