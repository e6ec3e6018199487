"""Every format computes what torch does, at any batch, and one that does not is not written."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import shipped
import torch

from ablab.errors import ConfigError, RunError, UnknownName
from ablab.export import Bundle, Model, ship
from ablab.export import ship as door
from ablab.export.deployed import Deployed
from ablab.export.onnx import to_onnx, with_suppression
from ablab.tasks.detection.postprocess import postprocess

shipping = sys.modules["ablab.export.ship"]
assert callable(door)


def expected(model: Model, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By the task's way: the network on (B, 3, H, W) in 0..1, then the head."""
    head: Any = model.network.get_submodule("head")
    with torch.inference_mode():
        boxes, scores = head.decode(model.network(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255))
    return boxes.numpy(), scores.numpy()


@pytest.mark.parametrize("batch", [1, 3, 4])
@pytest.mark.parametrize("name", ["torch", "torch-export", "onnx", "openvino"])
def test_exact_runtimes_give_what_the_network_gives(bundle: Bundle, patient: Model, name: str, batch: int) -> None:
    images = shipped.pictures(batch)
    runner = bundle.open(name, network=lambda: patient.network, threads=1, batch=batch, trusted=True)
    for got, want in zip(runner(images), expected(patient, images), strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3 if want.shape[-1] == 4 else 1e-5)


@pytest.mark.parametrize("name", ["torch-bf16", "openvino-bf16", "openvino-fp16"])
def test_reduced_runtimes_are_near(bundle: Bundle, patient: Model, name: str) -> None:
    images = shipped.pictures(2)
    _, scores = bundle.open(name, network=lambda: patient.network, threads=1)(images)
    np.testing.assert_allclose(scores, expected(patient, images)[1], atol=0.05)


def test_the_onnx_file_is_whole_and_takes_pixels(bundle: Bundle) -> None:
    model = onnx.load(bundle.folder / "model.onnx", load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    session = onnxruntime.InferenceSession(bundle.folder / "model.onnx")
    (images,) = session.get_inputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(uint8)", ["batch", *shipped.SIZE, 3])
    assert [out.name for out in session.get_outputs()] == ["boxes", "scores"]
    assert not {node.op_type for node in model.graph.node} & {"BatchNormalization"}


def test_a_bundle_does_not_say_where_things_lay_at_home(bundle: Bundle) -> None:
    run = json.loads((bundle.folder / "run.json").read_text())
    assert run == {"arm": {"path": "cells", "lr": "a/b"}, "facts": {}, "settings": {}}


def test_suppression_inside_finds_what_postprocess_finds(bundle: Bundle, patient: Model) -> None:
    images = shipped.pictures(3)
    session = onnxruntime.InferenceSession(bundle.folder / "model-nms.onnx")
    boxes, scores, labels = session.run(None, {"images": images})
    wanted = postprocess(*map(torch.from_numpy, expected(patient, images)), shipped.SETTINGS)
    assert boxes.shape == (3, shipped.SETTINGS.most, 4)
    for i, found in enumerate(wanted):
        count = len(found.scores)
        assert count > 2
        assert (scores[i, count:] == 0).all()
        np.testing.assert_allclose(scores[i, :count], found.scores, rtol=1e-3)
        got = np.column_stack([boxes[i, :count], 1e3 * labels[i, :count]])
        want = np.column_stack([found.boxes, 1e3 * found.labels])
        apart = np.abs(got[:, None] - want).max(axis=-1)  # rounding may change the order of equal scores
        assert (apart.min(axis=0) < 0.01).all()
        assert (apart.min(axis=1) < 0.01).all()


def test_its_runner_gives_each_box_one_class(bundle: Bundle) -> None:
    boxes, scores = bundle.open("onnx-nms", threads=1)(shipped.pictures(2))
    assert (boxes.shape[:2], scores.shape) == ((2, shipped.SETTINGS.most), (2, shipped.SETTINGS.most, 3))
    assert ((scores > 0).sum(axis=-1) <= 1).all()
    assert (scores > 0).any()


@pytest.mark.parametrize("settings", [{"nms": "soft"}, {"nms": "diou"}, {"agnostic": True}])
def test_suppression_that_onnx_has_not(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="cannot go inside"):
        with_suppression(None, shipped.SETTINGS.model_dump() | settings)


def test_the_anchor_free_head_goes_too() -> None:
    deployed = Deployed(shipped.detector("anchor-free")).eval()
    images = torch.from_numpy(shipped.pictures(2))
    proto = to_onnx(deployed, images)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    with torch.inference_mode():
        wanted = deployed(images[:1])
    for got, want in zip(session.run(None, {"images": images[:1].numpy()}), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)


def test_the_card_says_how_exact_each_runtime_is(bundle: Bundle) -> None:
    runtimes = bundle.card.runtimes
    assert {"torch", "torch-bf16", "torch-export", "onnx", "onnx-nms", "openvino", "openvino-bf16"} < set(runtimes)
    for name in ("torch", "onnx", "openvino", "torch-export"):
        entry = runtimes[name]
        assert entry.passed
        assert entry.images == 4
        assert entry.boxes is not None
        assert entry.boxes < 0.01
        assert entry.before == pytest.approx(entry.after, abs=1e-4)
        assert set(entry.ms) == {"1", "16"}
    assert runtimes["onnx-nms"].boxes is None
    document = json.loads((bundle.folder / "bundle.json").read_text())
    assert document["licence"] == "MIT"
    assert document["preprocessing"]["image_size"] == list(shipped.SIZE)


def broken(monkeypatch: pytest.MonkeyPatch, name: str, shift: float) -> None:
    """One runtime whose boxes are off by `shift` pixels."""
    real = shipping.open_runner

    def opened(asked: str, *args: Any, **options: Any) -> Any:
        runner = real(asked, *args, **options)
        if asked != name:
            return runner
        return lambda images: (runner(images)[0] + np.float32(shift), runner(images)[1])

    monkeypatch.setattr(shipping, "open_runner", opened)


def test_a_format_that_is_another_model_is_not_written(
    patient: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, "torch", 0.5)
    with pytest.raises(RunError, match=r"torch is not the same model: AP is .*0\.5 pixels .*nothing was written"):
        ship(patient, shipped.card(), tmp_path / "b", [])
    assert list(tmp_path.iterdir()) == []


def test_so_is_one_whose_outputs_agree_and_whose_score_does_not(patient: Model, tmp_path: Path) -> None:
    def score(model: torch.nn.Module) -> float:
        return 0.5 if model is patient.network else 0.4989

    ship(replace(patient, score=score), shipped.card(tolerance=0.0012), tmp_path / "near", [])
    with pytest.raises(RunError, match=r"AP is 0\.4989 instead of 0\.5000 .* where 0\.001 is tolerated"):
        ship(replace(patient, score=score), shipped.card(), tmp_path / "far", [])


def test_a_runtime_that_only_rounds_more_is_marked_and_cannot_be_opened(
    patient: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, "torch-bf16", 50)
    made = ship(patient, shipped.card(), tmp_path / "b", [])
    assert [made.card.runtimes[name].passed for name in ("torch", "torch-bf16")] == [True, False]
    with pytest.raises(ConfigError, match="torch-bf16 did not pass"):
        made.open("torch-bf16", network=lambda: patient.network)


def test_what_cannot_be_done_is_said_before_the_work(
    patient: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownName, match="did you mean 'openvino'"):
        ship(patient, shipped.card(), tmp_path / "b", ["openvion"])
    for runtime, how in (
        ("onnx-nms", "--nms makes it"),
        ("openvino-bf16", "--to openvino makes it"),
        ("torch-bf16", "every bundle"),
    ):
        with pytest.raises(ConfigError, match=f"{runtime} is a runtime, not a format: {how}"):
            ship(patient, shipped.card(), tmp_path / "b", [runtime])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    with pytest.raises(ConfigError, match="not empty"):
        ship(patient, shipped.card(), tmp_path / "full", [])
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ConfigError, match=r"pip install 'ablab\[export\]'"):
        ship(patient, shipped.card(), tmp_path / "b", ["openvino"])
    with pytest.raises(ConfigError, match="submodule 'head'"):
        Deployed(torch.nn.Identity())
