"""What a word on the command line means."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablab.errors import ConfigError
from ablab.predict.sources import Source, expand


@pytest.fixture
def shots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.jpg", "a.PNG", "film.mp4", "notes.txt", "sub/c.jpeg", "sub/deep/d.webp", "7"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"-")
    (tmp_path / "folder.jpg").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("b.jpg", ["b.jpg"]),
        ("sub", ["sub/c.jpeg"]),
        ("*.jpg", ["b.jpg"]),
        ("**/*", ["a.PNG", "b.jpg", "film.mp4", "sub/c.jpeg", "sub/deep/d.webp"]),
        ("sub/**/*.w*", ["sub/deep/d.webp"]),
        ("notes.txt", ["notes.txt"]),
    ],
)
def test_words_for_files(shots: Path, word: str, expected: list[str]) -> None:
    assert [source.place for source in expand([word])] == expected


def test_kinds(shots: Path) -> None:
    kinds = {source.place: source.kind for source in expand(["."])}
    assert kinds == {"a.PNG": "picture", "b.jpg": "picture", "film.mp4": "video"}
    assert expand(["0"]) == [Source("0", "live")]
    assert expand(["7"]) == [Source("7", "picture")], "a file of that name comes before the camera"
    for address in ("rtsp://camera/1", "HTTP://127.0.0.1/x.mp4", "https://host/live"):
        assert expand([address]) == [Source(address, "live")]


def test_a_file_comes_once_and_in_the_order_of_the_words(shots: Path) -> None:
    assert [source.place for source in expand(["film.mp4", "b.jpg", "*.jpg", "b.jpg"])] == ["film.mp4", "b.jpg"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["b.jgp"], "no image, video or folder b.jgp; did you mean 'b.jpg'"),
        (["nowhere/x.jpg"], "no image, video or folder nowhere/x.jpg"),
        (["folder.jpg"], "the folder folder.jpg holds no image and no video"),
        (["*.gif"], r"the pattern '\*.gif' holds no image"),
        (["b.jpg", "0"], "the camera or stream 0 never ends"),
        (["rtsp://a", "rtsp://b"], "give it alone"),
    ],
)
def test_words_that_mean_nothing(shots: Path, words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        expand(words)


def test_a_pattern_in_a_files_own_name_is_that_file(shots: Path) -> None:
    (shots / "x[1].jpg").write_bytes(b"-")
    assert [source.place for source in expand(["x[1].jpg"])] == ["x[1].jpg"]
