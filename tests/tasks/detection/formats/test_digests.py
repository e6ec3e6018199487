"""Remembered digests: the same as hashing anew, whatever happens to files and cache."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from small_files import picture

from ablab.errors import DataError
from ablab.tasks.detection.formats import digests as module
from ablab.tasks.detection.formats.digests import digests

LONG_AGO = 1_600_000_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ABLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "digests"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [picture(tmp_path / "data" / f"{name}.png") for name in "abc"]
    for path in found:
        os.utime(path, (LONG_AGO, LONG_AGO))
    return found


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are really read."""
    seen: list[str] = []
    read = module.read_bytes
    monkeypatch.setattr(module, "read_bytes", lambda path: seen.append(path.name) or read(path))
    return seen


def expected(files: list[Path]) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_file_is_read_once(files: list[Path], hashed: list[str]) -> None:
    root = files[0].parent
    assert digests(root, files) == expected(files)
    assert sorted(hashed) == ["a.png", "b.png", "c.png"]
    assert digests(root, [*files, files[0]]) == expected(files)
    assert digests(root, files[:1]) == expected(files[:1])
    assert digests(root, files) == expected(files)
    assert len(hashed) == 3


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_file_that_changed_is_read_again(files: list[Path], hashed: list[str], change: str) -> None:
    root = files[0].parent
    digests(root, files)
    content = files[1].read_bytes()
    files[1].write_bytes(content + b"x" if change == "size" else content[::-1])
    os.utime(files[1], (LONG_AGO, LONG_AGO) if change == "size" else (LONG_AGO, LONG_AGO + 1))
    assert digests(root, files) == expected(files)
    assert hashed[3:] == ["b.png"]


def test_a_file_that_has_just_changed_is_not_remembered(files: list[Path], hashed: list[str]) -> None:
    os.utime(files[0])
    for _ in range(2):
        assert digests(files[0].parent, files) == expected(files)
    assert hashed[3:] == ["a.png"]


def test_without_a_root_nothing_is_remembered(files: list[Path], cache: Path) -> None:
    assert digests(None, files) == expected(files)
    assert not cache.exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"files": []}', b'{"files": {"x": 5}}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_damaged_cache_is_made_anew(files: list[Path], cache: Path, content: bytes, hashed: list[str]) -> None:
    root = files[0].parent
    digests(root, files)
    (file,) = cache.iterdir()
    file.write_bytes(content)
    assert digests(root, files) == expected(files)
    assert digests(root, files) == expected(files)
    assert len(hashed) == 6


def test_an_entry_that_is_no_digest_does_not_count(files: list[Path], cache: Path) -> None:
    root = files[0].parent
    digests(root, files)
    (file,) = cache.iterdir()
    content = json.loads(file.read_text())
    for entry, wrong in zip(content["files"].values(), (None, 5, "abc"), strict=True):
        entry[2] = wrong
    file.write_text(json.dumps(content))
    assert digests(root, files) == expected(files)


def test_a_cache_that_cannot_be_written_costs_time_only(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ABLAB_CACHE", str(tmp_path / "file"))
    assert digests(files[0].parent, files) == expected(files)


def test_a_full_disk_leaves_nothing_behind(files: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.json, "dump", full)
    assert digests(files[0].parent, files) == expected(files)
    assert list(cache.iterdir()) == []


def test_a_file_that_has_gone_is_named(files: list[Path]) -> None:
    digests(files[0].parent, files)
    files[2].unlink()
    with pytest.raises(DataError, match=r"no image at .*c\.png"):
        digests(files[0].parent, files)
