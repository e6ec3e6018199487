"""A bundle as a model: the same objects as its network in every runtime, and nothing that was tampered with."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

import ablab
from ablab.cli import app
from ablab.errors import ConfigError, UnknownName
from ablab.predict.shipped import open_model
from ablab.serve.open import open_served

IMAGES = list(np.random.default_rng(0).integers(0, 256, (3, 50, 90, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def sure(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with a head that is sure of something, so that scores are far apart."""
    folder = Path(shutil.copytree(run, tmp_path_factory.mktemp("sure") / "run"))
    weights = load_file(folder / "weights.safetensors")
    draw = torch.Generator().manual_seed(0)
    for name, tensor in weights.items():
        if name.startswith("head.") and name.endswith(".bias"):
            weights[name] = tensor + 3 + 2 * torch.randn(tensor.shape, generator=draw)
    save_file(weights, folder / "weights.safetensors")
    return folder


@pytest.fixture(scope="module")
def bundle(sure: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("shipped") / "bundle"
    done = CliRunner().invoke(app, ["export", str(sure), "--folder", str(folder)])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


def test_what_is_served_finds_what_is_predicted_and_says_what_it_is(sure: Path, bundle: Path) -> None:
    (expected,) = open_model(sure)(IMAGES[:1], threshold=0.3)
    for place, runtime in ((sure, "torch"), (bundle, "onnx")):
        served = open_served(place, runtime, batch=2)
        assert (served.runtime, served.model.name) == (runtime, place.name)
        assert served.card["thresholds"] == open_model(place).thresholds
        assert served.card["provenance"]["seed"] == 0
        found = served.model(IMAGES[0], threshold=0.3)
        assert found.labels.tolist() == expected.labels.tolist()
    with pytest.raises(ConfigError, match="torch alone runs"):
        open_served(sure, "onnx")


@pytest.mark.parametrize("runtime", ["torch", "onnx", "auto", None])
def test_every_runtime_finds_what_the_run_finds(sure: Path, bundle: Path, runtime: str | None) -> None:
    expected = open_model(sure)(IMAGES, threshold=0.3)
    found = open_model(bundle, runtime=runtime)(IMAGES, threshold=0.3)
    assert min(map(len, expected)) > 3
    for here, there in zip(found, expected, strict=True):
        assert here.labels.tolist() == there.labels.tolist()
        np.testing.assert_allclose(here.scores, there.scores, atol=1e-3)
        np.testing.assert_allclose(here.boxes, there.boxes, atol=0.1)


def test_its_door_is_that_of_a_run(bundle: Path) -> None:
    for place in (bundle, bundle / "bundle.json", bundle / "weights.safetensors"):
        assert ablab.load(place, {"postprocess.most": 2}).name.startswith(f"{bundle} in ")
    few = ablab.load(bundle, {"postprocess.most": 2})
    assert len(few(IMAGES[0], threshold=0.0)) == 2
    assert few.thresholds == ablab.load(bundle).thresholds
    assert few.classes == ("0", "1", "2")


def test_what_cannot_be_asked_of_it(run: Path, bundle: Path) -> None:
    for path in ("train.image_size", "postprocess.rectangular", "train.device", "postprocess.nsm"):
        with pytest.raises(ConfigError, match=f"'{path}' cannot be set of a bundle"):
            open_model(bundle, {path: 1})
    with pytest.raises(UnknownName, match="unknown runtime 'onxx'"):
        open_model(bundle, runtime="onxx")
    with pytest.raises(ConfigError, match="is no bundle, and has no runtime 'onnx'"):
        open_model(run, runtime="onnx")


def test_a_wrong_hash_and_a_pickle_are_refused(copy: Path) -> None:
    whole = (copy / "model.onnx").read_bytes()
    data = bytearray((copy / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "model.onnx").write_bytes(data)
    with pytest.raises(ConfigError, match=r"model\.onnx is not the file that was exported"):
        ablab.load(copy)
    (copy / "model.onnx").write_bytes(whole)
    (copy / "weights.safetensors").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ConfigError, match="a pickle"):
        ablab.load(copy)


def test_the_verb_takes_a_bundle(bundle: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), IMAGES[0])
    out = tmp_path / "out"
    words = ["predict", bundle, tmp_path / "a.png", "--folder", out, "--runtime", "onnx", "--json", "--no-draw"]
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["model"] == f"{bundle} in onnx"
