"""A bundle that is damaged, foreign or hostile is one clear line, and nothing of it is run."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ablab.errors import ConfigError, UnknownName
from ablab.export import Bundle, is_bundle, read_bundle
from ablab.export.bundle import digest

READ: list[str] = []


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return READ.append, ("boom",)


@pytest.fixture
def copied(bundle: Bundle, tmp_path: Path) -> Path:
    return shutil.copytree(bundle.folder, tmp_path / "bundle")


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads((folder / "bundle.json").read_text())
    change(document)
    (folder / "bundle.json").write_text(json.dumps(document))


def refused(folder: Path, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_bundle(folder)
    assert "\n" not in str(caught.value)


def test_what_was_written_is_read(bundle: Bundle, copied: Path) -> None:
    assert is_bundle(copied)
    assert read_bundle(copied).card == bundle.card
    names = {path.name for path in copied.iterdir()}
    assert set(bundle.card.files) == names - {"bundle.json"}
    assert load_file(copied / "weights.safetensors")


def test_a_wrong_hash(copied: Path) -> None:
    data = bytearray((copied / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (copied / "model.onnx").write_bytes(data)
    refused(copied, "model.onnx is not the file that was exported")


def test_a_missing_file(copied: Path) -> None:
    (copied / "openvino.bin").unlink()
    refused(copied, "openvino.bin is missing")


def test_a_file_without_a_hash(copied: Path) -> None:
    edit(copied, lambda d: d["files"].pop("openvino.bin"))
    refused(copied, "no hash of openvino.bin")


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format(copied: Path, version: Any) -> None:
    edit(copied, lambda d: d.update(format=version))
    refused(copied, "has the format .*, and this ablab reads 1")


def test_a_runtime_that_this_version_does_not_know_is_left_out(bundle: Bundle, copied: Path) -> None:
    card = json.loads((copied / "bundle.json").read_text())
    card["runtimes"]["of-a-later-version"] = card["runtimes"]["onnx"]
    (copied / "bundle.json").write_text(json.dumps(card))
    assert read_bundle(copied).card.runtimes == bundle.card.runtimes
    with pytest.raises(UnknownName, match="of-a-later-version"):
        read_bundle(copied).open("of-a-later-version")


def test_an_unknown_key_and_a_missing_one(copied: Path) -> None:
    edit(copied, lambda d: d.update(lisence="MIT"))
    refused(copied, "did you mean 'licence'")
    edit(copied, lambda d: (d.pop("lisence"), d.pop("classes")))
    refused(copied, "'classes' is missing")


@pytest.mark.parametrize("text", ["", "{", "[]", "\0"])
def test_a_damaged_card(copied: Path, text: str) -> None:
    (copied / "bundle.json").write_text(text)
    refused(copied, "bundle.json")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    assert not is_bundle(tmp_path)
    refused(tmp_path, "is no bundle")


def test_a_file_outside(copied: Path) -> None:
    (copied.parent / "outside").write_bytes(b"x")
    entry = {"sha256": digest(copied.parent / "outside"), "bytes": 1}
    edit(copied, lambda d: d["files"].update({"../outside": entry}))
    refused(copied, "leads out of the bundle")


@pytest.mark.parametrize("kind", ["pickle", "torch", "text"])
def test_a_pickle_in_place_of_weights_is_not_opened(copied: Path, kind: str) -> None:
    """Though its hash is right: whoever puts it there writes the hash too."""
    buffer = io.BytesIO()
    if kind == "torch":
        torch.save({"weight": Bomb()}, buffer)
    data = {"pickle": pickle.dumps(Bomb()), "torch": buffer.getvalue(), "text": b"weights"}[kind]
    weights = copied / "weights.safetensors"
    weights.write_bytes(data)
    edit(copied, lambda d: d["files"].update({weights.name: {"sha256": digest(weights), "bytes": len(data)}}))
    refused(copied, "no safetensors file .* not opened")
    assert READ == []


def test_a_program_is_opened_only_where_it_is_trusted(bundle: Bundle) -> None:
    with pytest.raises(ConfigError, match="torch unpickles"):
        bundle.open("torch-export")


def test_a_runtime_that_is_not_in_it(bundle: Bundle) -> None:
    with pytest.raises(UnknownName, match="did you mean 'onnx'"):
        bundle.open("onxn")
    with pytest.raises(UnknownName, match="unknown runtime 'tensorrt'"):
        bundle.open("tensorrt")
    with pytest.raises(ConfigError, match="restores it"):
        bundle.open("torch")
