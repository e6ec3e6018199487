"""A data set comes whole, once, from wherever an earlier call broke off. Only loopback is asked."""

from __future__ import annotations

import fcntl
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import Server
from test_unpack import found, tarred, zipped

from ablab.errors import RunError, StoreError, UnknownName
from ablab.tasks.detection.formats.download import Source, catalogue, get

VOC_TRAIN = {"VOCdevkit/VOC2007/JPEGImages/1.jpg": b"1", "VOCdevkit/VOC2007/ImageSets/Main/train.txt": b"1\n"}
VOC_TEST = {"VOCdevkit/VOC2007/JPEGImages/2.jpg": b"2", "VOCdevkit/VOC2007/ImageSets/Main/test.txt": b"2\n"}
COCO = {
    "train2017.zip": {"train2017/1.jpg": b"1"},
    "val2017.zip": {"val2017/2.jpg": b"2"},
    "annotations_trainval2017.zip": {
        "annotations/instances_train2017.json": b"{}",
        "annotations/instances_val2017.json": b"[]",
        "annotations/captions_val2017.json": b"not wanted",
    },
}


def published(server: Server, tmp_path: Path, name: str, archives: dict[str, dict[str, bytes]]) -> Source:
    """A source of the catalogue whose archives are ours, at the server."""
    source = catalogue(server.url)[name]
    for archive, files in archives.items():
        pack = zipped if archive.endswith(".zip") else tarred
        server.add(archive, pack(tmp_path / archive, files).read_bytes())
    ours = tuple(replace(piece, remote=server.remote(piece.remote.name)) for piece in source.pieces)
    assert [piece.remote.url for piece in ours] == [piece.remote.url for piece in source.pieces]
    return replace(source, pieces=ours)


@pytest.fixture
def voc(server: Server, tmp_path: Path) -> Source:
    archives = {"VOCtrainval_06-Nov-2007.tar": VOC_TRAIN, "VOCtest_06-Nov-2007.tar": VOC_TEST}
    return published(server, tmp_path, "voc2007", archives)


@pytest.fixture
def coco(server: Server, tmp_path: Path) -> Source:
    return published(server, tmp_path, "coco2017", COCO)


def files(root: Path) -> dict[str, bytes]:
    return {name: content for name, content in found(root).items() if name != ".ablab-complete"}


def asked(server: Server) -> dict[str, int]:
    return {name: len(served.asked) for name, served in server.files.items() if served.asked}


def test_voc_archives_are_laid_into_one_folder(voc: Source, tmp_path: Path) -> None:
    said: list[str] = []
    got = get(voc, tmp_path / "data", say=said.append)
    assert got.root == tmp_path / "data" / "VOCdevkit" / "VOC2007"
    assert got.loaded == ("VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar")
    assert {f"VOCdevkit/VOC2007/{name}": content for name, content in files(got.root).items()} == VOC_TRAIN | VOC_TEST
    assert [each.name for each in (tmp_path / "data").iterdir()] == ["VOCdevkit"]
    assert len(said) == 1
    assert "Terms: images from Flickr" in said[0]


def test_what_is_there_is_not_loaded_again(voc: Source, server: Server, tmp_path: Path) -> None:
    get(voc, tmp_path / "data")
    before, said = asked(server), []
    again = get(voc, tmp_path / "data", say=said.append)
    assert again.loaded == ()
    assert again.root == tmp_path / "data" / "VOCdevkit" / "VOC2007"
    assert asked(server) == before
    assert said == []


def test_one_part_comes_alone_and_the_rest_later(coco: Source, server: Server, tmp_path: Path) -> None:
    root = get(coco, tmp_path / "data", only="val").root
    assert files(root) == {"val2017/2.jpg": b"2", "annotations/instances_val2017.json": b"[]"}
    assert get(coco, tmp_path / "data", only="val").loaded == ()
    assert get(coco, tmp_path / "data").loaded == ("annotations_trainval2017.zip", "train2017.zip")
    assert asked(server) == {"val2017.zip": 1, "annotations_trainval2017.zip": 2, "train2017.zip": 1}
    assert set(files(root)) == {
        "val2017/2.jpg", "annotations/instances_val2017.json",
        "train2017/1.jpg", "annotations/instances_train2017.json",
    }  # fmt: skip


def test_an_archive_of_two_parts_is_loaded_once(coco: Source, server: Server, tmp_path: Path) -> None:
    get(coco, tmp_path / "data")
    assert asked(server) == dict.fromkeys(COCO, 1)


def test_coco128_gets_the_class_names_that_its_archive_lacks(server: Server, tmp_path: Path) -> None:
    import yaml

    source = published(server, tmp_path, "coco128", {"coco128.zip": {"coco128/images/train2017/1.jpg": b"1"}})
    root = get(source, tmp_path / "data").root
    assert set(files(root)) == {"images/train2017/1.jpg", "data.yaml"}
    written = yaml.safe_load((root / "data.yaml").read_text())
    assert (len(written["names"]), written["names"][0], written["names"][79]) == (80, "person", "toothbrush")
    assert (root / written["train"]).is_dir()


@pytest.mark.parametrize("at", ["load VOCtest", "check VOCtest", "unpack VOCtrainval", "unpack VOCtest"])
def test_a_call_that_is_broken_off_anywhere_is_finished_by_the_next(
    voc: Source, server: Server, tmp_path: Path, at: str
) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what.startswith(at):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(voc, tmp_path / "data", progress=interrupt)
    root = get(voc, tmp_path / "data").root
    assert {f"VOCdevkit/VOC2007/{name}": content for name, content in files(root).items()} == VOC_TRAIN | VOC_TEST
    assert asked(server)["VOCtrainval_06-Nov-2007.tar"] == 1


def test_a_failure_keeps_the_archives_that_are_done(voc: Source, server: Server, tmp_path: Path) -> None:
    served = server.files["VOCtest_06-Nov-2007.tar"]
    served.statuses = [500] * 5
    with pytest.raises(RunError, match="500"):
        get(voc, tmp_path / "data", pause=0)
    assert get(voc, tmp_path / "data").loaded == ("VOCtest_06-Nov-2007.tar",)
    assert asked(server)["VOCtrainval_06-Nov-2007.tar"] == 1


def test_a_wrong_checksum_unpacks_nothing(voc: Source, server: Server, tmp_path: Path) -> None:
    lied = tuple(replace(p, remote=replace(p.remote, digest="md5:" + "0" * 32)) for p in voc.pieces)
    with pytest.raises(RunError, match="was removed"):
        get(replace(voc, pieces=lied), tmp_path / "data")
    assert not (tmp_path / "data" / "VOCdevkit").exists()


def test_an_unknown_part_names_the_valid_ones(voc: Source, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="unknown part 'val' in voc2007; valid: test, trainval"):
        get(voc, tmp_path / "data", only="val")
    assert not (tmp_path / "data").exists()


def test_somebody_elses_folder_is_left_alone(voc: Source, server: Server, tmp_path: Path) -> None:
    own = tmp_path / "data" / "VOCdevkit" / "VOC2007" / "own.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(StoreError, match="did not come from `ablab data get`"):
        get(voc, tmp_path / "data")
    assert own.read_text() == "mine"
    assert asked(server) == {}


def test_room_is_asked_for_before_loading(
    voc: Source, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, 5))  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match=r"GB are needed and 0\.0 are free; make room, or name another folder"):
        get(voc, tmp_path / "data")
    assert asked(server) == {}


def test_two_calls_at_once_do_not_write_one_file(voc: Source, tmp_path: Path) -> None:
    work = tmp_path / "data" / ".ablab-voc2007"
    work.mkdir(parents=True)
    with (work / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another ablab is loading"):
            get(voc, tmp_path / "data")


def test_the_catalogue_names_real_places_sizes_and_digests() -> None:
    sources = catalogue()
    assert set(sources) == {"voc2007", "voc2012", "coco2017", "coco128"}
    for source in sources.values():
        for piece in source.pieces:
            kind, _, digits = piece.remote.digest.partition(":")
            assert len(digits) == {"md5": 32, "sha256": 64}[kind]
            assert int(digits, 16)
            assert piece.remote.size > 1_000_000
            assert piece.remote.url.startswith("http")
        assert source.terms
    assert sources["voc2012"].parts == ("trainval",)
