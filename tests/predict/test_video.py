"""Videos written and read back, streams over HTTP, and what is none."""

from __future__ import annotations

import functools
import http.server
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from rectangles import model, paint

from ablab.errors import DataError, StoreError
from ablab.predict import video as subject
from ablab.predict.result import Frame
from ablab.predict.sources import Source, expand
from ablab.predict.video import Film, Video


def scene(i: int) -> np.ndarray:
    """A rectangle that moves two pixels a frame."""
    return paint(96, 128, [[10 + 2 * i, 30, 40 + 2 * i, 70]])


def shoot(path: Path, count: int, rate: float = 10.0) -> Path:
    """A film of `count` frames."""
    with closing(Film(path, rate, (96, 128), live=False)) as film:
        for i in range(count):
            film.add(scene(i), i / rate)
    return film.path


def frames(place: object, kind: str = "video") -> list[Frame]:
    with closing(Video(Source(str(place), kind))) as video:  # type: ignore[arg-type]
        return list(video.frames())


def test_a_film_comes_back_frame_by_frame(tmp_path: Path) -> None:
    path = shoot(tmp_path / "film", 25)
    assert path == tmp_path / "film.mp4"
    found = frames(path)
    assert [frame.index for frame in found] == list(range(25))
    np.testing.assert_allclose([frame.seconds for frame in found], np.arange(25) / 10, atol=1e-3)
    assert {frame.rate for frame in found} == {10.0}
    for i, frame in enumerate(found):
        assert frame.pixels.shape == (96, 128, 3)
        assert np.abs(frame.pixels.astype(int) - scene(i)).mean() < 12, "the colours are in order"
    with closing(Video(Source(str(path), "video"))) as video:
        assert (video.count, video.rate) == (25, 10.0)


def test_a_model_follows_what_moves(tmp_path: Path) -> None:
    results = list(model(size=128).stream(shoot(tmp_path / "film", 20)))
    assert len(results) == 20
    for i, result in enumerate(results):
        assert result.names.tolist() == ["stop"]
        np.testing.assert_allclose(result.boxes[0], [10 + 2 * i, 30, 40 + 2 * i, 70], atol=3)


def test_without_its_first_codec_a_film_takes_the_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "CONTAINERS", ((".mp4", "zzzz"), (".avi", "MJPG")))
    assert len(frames(shoot(tmp_path / "film", 5))) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["film.avi"]


def test_without_any_codec_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "CONTAINERS", ((".mp4", "zzzz"),))
    with pytest.raises(StoreError, match=r"128 x 96 pixels: neither zzzz works here \(a missing codec"):
        shoot(tmp_path / "film", 5)


def test_a_frame_of_another_size_is_fitted(tmp_path: Path) -> None:
    with closing(Film(tmp_path / "film", 10, (96, 128), live=False)) as film:
        film.add(scene(0), 0)
        film.add(paint(48, 64, []), 0.1)
    assert [frame.pixels.shape for frame in frames(film.path)] == [(96, 128, 3)] * 2


def test_odd_sides_lose_a_row_and_a_column_at_most(tmp_path: Path) -> None:
    with closing(Film(tmp_path / "film", 10, (97, 129), live=False)) as film:
        film.add(paint(97, 129, []), 0)
    (frame,) = frames(film.path)
    assert frame.pixels.shape[0] in (96, 97)
    assert frame.pixels.shape[1] in (128, 129)


def test_a_live_films_frames_last_until_the_next(tmp_path: Path) -> None:
    """Ten a second were meant, and three came: at 0, 0.5 and 0.6 seconds."""
    with closing(Film(tmp_path / "film", 10, (96, 128), live=True)) as film:
        for i, seconds in ((0, 0.0), (9, 0.5), (18, 0.6)):
            film.add(scene(i), seconds)
    found = frames(film.path)
    assert len(found) == 7
    for shown, i in ((1, 0), (4, 0), (5, 9), (6, 18)):
        assert np.abs(found[shown].pixels.astype(int) - scene(i)).mean() < 12


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.avi").write_text("no film")
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(0).bytes(5000))
    whole = shoot(tmp_path / "film", 40).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # an MP4's table of frames stands at its end
    said = {"empty.mp4": "is empty", "text.avi": "cannot read", "noise.mkv": "cannot read", "cut.mp4": "cannot read"}
    for name, words in said.items():
        with pytest.raises(DataError, match=f"{name} {words}" if words == "is empty" else f"{words} .*{name}"):
            frames(tmp_path / name)
    with pytest.raises(DataError, match=r"cannot read .*absent\.mp4"):
        frames(tmp_path / "absent.mp4")


def test_a_film_without_frames_is_said(tmp_path: Path) -> None:
    with closing(Film(tmp_path / "none", 10, (96, 128), live=False)):
        pass
    with pytest.raises(DataError, match=r"none\.mp4"):
        frames(tmp_path / "none.mp4")


def test_a_film_that_ends_too_early_gives_what_it_has_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An AVI tells its length in its header."""
    monkeypatch.setattr(subject, "CONTAINERS", ((".avi", "MJPG"),))
    whole = shoot(tmp_path / "film", 60).read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) * 4 // 10])
    seen: list[Frame] = []
    with pytest.raises(DataError, match=r"cut\.avi is broken: .* ends after .* what came before is kept"):
        seen.extend(Video(Source(str(tmp_path / "cut.avi"), "video")).frames())
    assert 10 < len(seen) < 40
    for i, frame in enumerate(seen):
        assert np.abs(frame.pixels.astype(int) - scene(i)).mean() < 12


def test_a_codec_that_is_missing_here_is_said(tmp_path: Path) -> None:
    """A film whose codec has a name that nobody knows: the container opens, and no frame comes."""
    path = shoot(tmp_path / "film", 10)
    data = path.read_bytes()
    assert data.count(b"mp4v") >= 1
    path.write_bytes(data.replace(b"mp4v", b"zzzz").replace(b"esds", b"zzzz"))
    with pytest.raises(DataError, match=r"film\.mp4"):
        frames(path)


class _Folder(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Folder, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_stream_over_http(tmp_path: Path) -> None:
    name = shoot(tmp_path / "film", 15).name
    with served(tmp_path) as address:
        assert len(frames(f"{address}/{name}", "live")) == 15
        results = list(model(size=128).stream(f"{address}/{name}"))
        assert 1 <= len(results) <= 15, "frames that came meanwhile may be passed over"
        assert results[-1].frame.index == 14, "the newest never is"
        assert all(result.names.tolist() == ["stop"] for result in results)
        with pytest.raises(DataError, match=r"absent\.mp4"):
            frames(f"{address}/absent.mp4", "live")


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_stream_that_is_not_there(scheme: str) -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"{scheme}://127.0.0.1:{taken.getsockname()[1]}/live"
        with pytest.raises(DataError, match=f"cannot open {address}; check that it is there"):
            frames(address, "live")


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(DataError, match="cannot open camera 97"):
        frames("97", "live")
    assert expand(["97"]) == [Source("97", "live")]


def test_opencv_says_nothing_of_its_own(tmp_path: Path) -> None:
    """A line each is ours; in a process of its own, as FFmpeg reads its level of talk once."""
    (tmp_path / "text.avi").write_text("no film")
    whole = shoot(tmp_path / "film", 40).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    code = (
        "import sys; from ablab.errors import DataError; from ablab.predict.video import Video, Film\n"
        "from ablab.predict.sources import Source; from pathlib import Path\n"
        f"for place, kind in ((r'{tmp_path}/text.avi', 'video'), (r'{tmp_path}/cut.mp4', 'video'), ('97', 'live')):\n"
        "    try:\n        list(Video(Source(place, kind)).frames())\n"
        "    except DataError: print('failed')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.split() == ["failed"] * 3
    assert done.stderr == ""
