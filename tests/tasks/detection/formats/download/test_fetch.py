"""A file arrives whole whatever the server does, or an error says why, and nothing wrong is left."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from loopback import Server

from ablab.errors import RunError, StoreError
from ablab.tasks.detection.formats.download import fetch

DATA = np.random.default_rng(0).bytes(3_000_000)
OTHER = np.random.default_rng(1).bytes(3_000_000)


def silent(what: str, done: int, total: int) -> None: ...


def load(server: Server, folder: Path, **change: object) -> Path:
    return fetch(replace(server.remote("a.zip"), **change), folder, silent, pause=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_file_arrives_and_nothing_else_is_left(server: Server, tmp_path: Path, kind: str) -> None:
    server.add("a.zip", DATA)
    seen: list[tuple[str, int, int]] = []
    found = fetch(server.remote("a.zip", kind), tmp_path, lambda *step: seen.append(step))
    assert found.read_bytes() == DATA
    assert [each.name for each in tmp_path.iterdir()] == ["a.zip"]
    assert [step for step in seen if step[1] == step[2]] == [("load a.zip, MB", 3, 3), ("check a.zip, MB", 3, 3)]


def test_a_file_that_is_there_is_not_asked_for(server: Server, tmp_path: Path) -> None:
    served = server.add("a.zip", DATA)
    load(server, tmp_path)
    assert load(server, tmp_path).read_bytes() == DATA
    assert len(served.asked) == 1


def test_a_redirection_is_followed(server: Server, tmp_path: Path) -> None:
    server.add("a.zip", DATA)
    assert load(server, tmp_path, url=f"{server.url}/moved/a.zip").read_bytes() == DATA


@pytest.mark.parametrize("length", [True, False], ids=["length", "no length"])
def test_dropped_connections_are_taken_up_where_they_broke(server: Server, tmp_path: Path, length: bool) -> None:
    served = server.add("a.zip", DATA, drops=[1_000_000, 700_000, 0], length=length)
    assert load(server, tmp_path).read_bytes() == DATA
    assert [asked.get("Range") for asked in served.asked] == [
        None,
        "bytes=1000000-",
        "bytes=1700000-",
        "bytes=1700000-",
    ]
    assert {asked.get("If-Range") for asked in served.asked[1:]} == {'"v1"'}


def test_a_broken_network_keeps_what_came_and_the_next_call_goes_on(server: Server, tmp_path: Path) -> None:
    served = server.add("a.zip", DATA, drops=[1_500_000, *[0] * 20])
    with pytest.raises(RunError, match=r"5 times in a row.*1\.5 of 3\.0 MB are kept in .*a\.zip\.part; run it again"):
        load(server, tmp_path)
    assert (tmp_path / "a.zip.part").read_bytes() == DATA[:1_500_000]
    served.drops, before = [], len(served.asked)
    assert load(server, tmp_path).read_bytes() == DATA
    assert [asked["Range"] for asked in served.asked[before:]] == ["bytes=1500000-"]


def test_a_killed_process_leaves_what_came_and_the_next_goes_on(server: Server, tmp_path: Path) -> None:
    served = server.add("a.zip", DATA)
    remote = server.remote("a.zip")
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from ablab.tasks.detection.formats.download import Remote, fetch\n"
        "kill = lambda what, done, total: os.kill(os.getpid(), signal.SIGKILL) if done >= 1 else None\n"
        "fetch(Remote(sys.argv[1], int(sys.argv[2]), sys.argv[3]), Path(sys.argv[4]), kill)"
    )
    words = [sys.executable, "-c", script, remote.url, str(remote.size), remote.digest, str(tmp_path)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    came = (tmp_path / "a.zip.part").stat().st_size
    assert 0 < came < len(DATA)
    assert load(server, tmp_path).read_bytes() == DATA
    assert served.asked[1]["Range"] == f"bytes={came}-"


@pytest.mark.parametrize("validator", [{"tag": '"v1"'}, {"tag": "", "date": "Tue, 06 Nov 2007 00:00:00 GMT"}])
def test_a_changed_file_is_begun_anew(server: Server, tmp_path: Path, validator: dict[str, str]) -> None:
    served = server.add("a.zip", OTHER, drops=[1_500_000, *[0] * 20], **validator)
    with pytest.raises(RunError):
        load(server, tmp_path)
    now = {key: value.replace("v1", "v2").replace("06", "07") for key, value in validator.items()}
    served = server.add("a.zip", DATA, **now)
    assert load(server, tmp_path).read_bytes() == DATA
    assert len(served.asked) == 1
    assert served.asked[0]["Range"] == "bytes=1500000-"


def test_a_weak_tag_is_no_validator(server: Server, tmp_path: Path) -> None:
    served = server.add("a.zip", DATA, tag='W/"v1"', drops=[1_000_000])
    assert load(server, tmp_path).read_bytes() == DATA
    assert "If-Range" not in served.asked[1]


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.add("a.zip", DATA, ranges=False, drops=[1_000_000, 2_000_000])
    assert load(server, tmp_path).read_bytes() == DATA


def test_an_answer_from_another_byte_is_not_appended(server: Server, tmp_path: Path) -> None:
    served = server.add("a.zip", DATA, drops=[1_000_000], skew=10)
    assert load(server, tmp_path).read_bytes() == DATA
    assert [asked.get("Range") for asked in served.asked] == [None, "bytes=1000000-", None]


def test_a_wrong_checksum_removes_the_file_and_says_so(server: Server, tmp_path: Path) -> None:
    server.add("a.zip", DATA)
    with pytest.raises(RunError, match=r"expected sha256 0+, got [0-9a-f]{64}.*was removed"):
        load(server, tmp_path, digest=f"sha256:{'0' * 64}")
    assert list(tmp_path.iterdir()) == []


def test_another_size_is_refused_before_anything_is_loaded(server: Server, tmp_path: Path) -> None:
    server.add("a.zip", DATA)
    with pytest.raises(RunError, match="expected 2,999,999 bytes, the server has 3,000,000"):
        load(server, tmp_path, size=2_999_999)
    assert list(tmp_path.iterdir()) == []


def test_more_than_expected_is_cut_off(server: Server, tmp_path: Path) -> None:
    server.add("a.zip", DATA, length=False)
    with pytest.raises(RunError, match="expected 2,000,000 bytes, the server has more than"):
        load(server, tmp_path, size=2_000_000)


def test_a_part_that_is_too_long_is_begun_anew(server: Server, tmp_path: Path) -> None:
    server.add("a.zip", DATA)
    (tmp_path / "a.zip.part").write_bytes(DATA + b"more")
    assert load(server, tmp_path).read_bytes() == DATA


def test_a_refusal_says_what_the_server_said(server: Server, tmp_path: Path) -> None:
    served = server.add("a.zip", DATA, statuses=[403] * 9)
    with pytest.raises(RunError, match="the server answers 403 Forbidden"):
        load(server, tmp_path)
    assert len(served.asked) == 1
    with pytest.raises(RunError, match="the server answers 404 Not Found; it may have moved"):
        load(server, tmp_path, url=f"{server.url}/gone.zip")


def test_a_server_in_trouble_is_asked_again(server: Server, tmp_path: Path) -> None:
    served = server.add("a.zip", DATA, statuses=[500, 503, 429, 200])
    assert load(server, tmp_path).read_bytes() == DATA
    served = server.add("b.zip", DATA, statuses=[500] * 9)
    with pytest.raises(RunError, match=r"500 Internal Server Error \(5 times in a row\)"):
        fetch(server.remote("b.zip"), tmp_path, silent, pause=0)
    assert len(served.asked) == 5


def test_no_server_is_an_error_with_its_address(tmp_path: Path) -> None:
    from ablab.tasks.detection.formats.download import Remote

    with pytest.raises(RunError, match=r"cannot load http://127\.0\.0\.1:9/a\.zip: .*run it again when the network"):
        fetch(Remote("http://127.0.0.1:9/a.zip", 10, "md5:0"), tmp_path, silent, pause=0)


def test_waits_grow_while_nothing_comes(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    server.add("a.zip", DATA, statuses=[503] * 4)
    fetch(server.remote("a.zip"), tmp_path, silent, pause=0.5)
    assert waited == [0.5, 1.0, 2.0, 4.0]


def test_a_folder_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    server.add("a.zip", DATA)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        load(server, tmp_path / "file")
