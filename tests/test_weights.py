"""Tensors from files: what is read, what is taken off, and what is refused without being run."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ablab import weights
from ablab.errors import ConfigError
from ablab.measure.seeding import forked

EXPORT = r"write the bare tensors: safetensors.torch.save_file"


def network() -> nn.Module:
    with forked("network"):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def state() -> dict[str, Tensor]:
    return dict(network().state_dict())


def prefixed(prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state().items()}


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return list(left) == list(right) and all(torch.equal(left[name], right[name]) for name in left)


def test_safetensors_are_read_to_the_bit(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    found = weights.read(tmp_path / "w.safetensors")
    assert (found.form, found.taken_off) == ("safetensors", ())
    assert sorted(found.tensors) == sorted(state())
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in state().items())


@pytest.mark.parametrize(
    ("saved", "taken_off"),
    [
        (state(), ()),
        (OrderedDict(state()), ()),
        ({"state_dict": state(), "epoch": 3, "optimizer": {"state": {}, "param_groups": []}}, ("state_dict",)),
        ({"model": state(), "ema": None}, ("model",)),
        ({"model": {name: t + 1 for name, t in state().items()}, "ema": state()}, ("ema",)),
        ({"state_dict": {"model": state()}}, ("state_dict", "model")),
        (prefixed("module."), ("module.",)),
        (prefixed("_orig_mod."), ("_orig_mod.",)),
        (prefixed("module._orig_mod."), ("module.", "_orig_mod.")),
        ({"model": prefixed("_orig_mod.module.")}, ("model", "_orig_mod.", "module.")),
        ({"epoch": 3, **state()}, ()),
        ({name: nn.Parameter(t) if t.is_floating_point() else t for name, t in state().items()}, ()),
    ],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_what_training_tools_put_around_a_state_is_taken_off(
    saved: Any, taken_off: tuple[str, ...], zipped: bool, tmp_path: Path
) -> None:
    torch.save(saved, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    found = weights.read(tmp_path / "w.pt")
    assert (found.form, found.taken_off) == ("torch", taken_off)
    assert equal(found.tensors, state())


def test_the_mark_of_a_compiled_part_goes_from_the_middle_of_a_name(tmp_path: Path) -> None:
    torch.save({"backbone._orig_mod.0.weight": torch.ones(2), "head.weight": torch.ones(1)}, tmp_path / "w.pt")
    assert list(weights.read(tmp_path / "w.pt").tensors) == ["backbone.0.weight", "head.weight"]


def test_a_runs_folder_means_its_weights(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "baseline" / "0-f"
    run.mkdir(parents=True)
    save_file(state(), run / "weights.safetensors")
    assert weights.read(run).path == run / "weights.safetensors"
    with pytest.raises(ConfigError, match=r"a folder without weights.safetensors; it holds these runs: .*0-f"):
        weights.read(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"a folder without weights.safetensors; give the file itself"):
        weights.read(tmp_path / "empty")
    with pytest.raises(ConfigError, match=r"no file .*; did you mean 'runs'"):
        weights.read(tmp_path / "run")


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("kind", ["zip", "before 1.6", "bare pickle", "in a nest"])
def test_a_bomb_does_not_go_off(kind: str, tmp_path: Path) -> None:
    path, trace = tmp_path / "w.pt", tmp_path / "trace"
    if kind == "bare pickle":
        path.write_bytes(pickle.dumps(Bomb(trace)))
    else:
        bomb = {"state_dict": state(), "hyper": Bomb(trace)} if kind == "in a nest" else Bomb(trace)
        torch.save(bomb, path, _use_new_zipfile_serialization=kind != "before 1.6")
    with pytest.raises(ConfigError, match=EXPORT):
        weights.read(path)
    assert not trace.exists()
    torch.load(path, weights_only=False) if kind == "zip" else None
    assert trace.exists() == (kind == "zip")  # it is a live one


def test_a_whole_module_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.save({"model": network()}, tmp_path / "yolo.pt")
    with pytest.raises(
        ConfigError, match=rf"would have to run code \(torch.nn.modules.container.Sequential\).*{EXPORT}"
    ):
        weights.read(tmp_path / "yolo.pt")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_torchscript_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=rf"TorchScript archive: a program, not weights; .*{EXPORT}"):
        weights.read(tmp_path / "w.pt")


def safetensors_bytes(path: Path) -> bytes:
    save_file(state(), path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("w.safetensors", lambda whole: whole[:-10], "damaged or no safetensors file"),
        ("w.safetensors", lambda whole: whole[:40], "damaged or no safetensors file"),
        ("w.safetensors", lambda whole: whole[:5], "damaged or no safetensors file"),
        ("w.safetensors", lambda whole: b"", "is empty"),
        ("w.safetensors", lambda whole: b"<html>404</html>", "is no safetensors file; copy"),
        (
            "w.safetensors",
            lambda whole: b"\x80\x02}q\x00(X\x01\x00\x00\x00a",
            r"no safetensors file \(it looks like a pickle\)",
        ),
        ("w.safetensors", lambda whole: struct.pack("<Q", 2**62) + whole[8:], "damaged or no safetensors file"),
        ("w.bin", lambda whole: struct.pack("<Q", 2**31) + b"{" * 100, "damaged or no safetensors file"),
        ("w.bin", lambda whole: whole[:-10], "damaged or no safetensors file"),
        ("w.onnx", lambda whole: b"\x08\x07onnx", "neither a safetensors nor a torch file: it begins with"),
    ],
)
def test_damaged_safetensors_are_named(name: str, damage: Any, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(damage(safetensors_bytes(tmp_path / "whole")))
    with pytest.raises(ConfigError, match=f"{name}.*{said}"):
        weights.read(tmp_path / name)


def test_a_header_that_points_outside_the_file_is_refused(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 64)
    with pytest.raises(ConfigError, match="damaged or no safetensors file"):
        weights.read(tmp_path / "w.safetensors")


@pytest.mark.parametrize("keep", [0.3, 0.9])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_file_cut_off_is_named(keep: float, zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"w": torch.rand(10_000)}, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(ConfigError, match="damaged or"):
        weights.read(path)


def test_a_zip_of_something_else_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("model.weights.h5", b"keras")
    with pytest.raises(ConfigError, match=r"a zip archive, but not one that torch.save wrote"):
        weights.read(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ({"epoch": 3, "best": 0.5}, r"holds no tensors by name \(it holds: epoch, best\)"),
        ({}, r"\(it holds: nothing\)"),
        (torch.ones(3), r"\(it holds: Tensor\)"),
        ([torch.ones(3)], r"\(it holds: list\)"),
        ({"w": torch.eye(3).to_sparse()}, "w is sparse or quantized"),
    ],
)
def test_a_file_without_named_tensors_is_refused(saved: Any, said: str, tmp_path: Path) -> None:
    torch.save(saved, tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=said):
        weights.read(tmp_path / "w.pt")


def test_nan_and_inf_are_named() -> None:
    bad = {"a": torch.ones(2), "b": torch.tensor([1, torch.nan]), "c": torch.tensor([torch.inf]), "d": torch.tensor(3)}
    with pytest.raises(ConfigError, match=r"w.pt: NaN or inf in: b, c; the training that wrote it diverged"):
        weights.refuse_nan(bad, "w.pt")
    weights.refuse_nan({"a": bad["a"], "d": bad["d"]}, "w.pt")
