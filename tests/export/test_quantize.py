"""Int8: which numbers get eight bits, where the ranges come from, and that it is refused where it costs too much."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import shipped
import torch
from onnx import numpy_helper

from ablab.errors import ConfigError, RunError
from ablab.export import Model, ship
from ablab.export.deploy import deploy, reopen
from ablab.export.deployed import Deployed, Outputs
from ablab.export.fuse import fuse
from ablab.export.onnx import to_onnx
from ablab.export.openvino import read_onnx
from ablab.export.parity import compare
from ablab.export.quantize import behind, quantized_onnx, quantized_openvino


@pytest.fixture(scope="module")
def plain(patient: Model) -> Any:
    """The detector in ONNX, in float32."""
    pixels = torch.from_numpy(shipped.pictures(2))
    return to_onnx(Deployed(fuse(patient.network, pixels.permute(0, 3, 1, 2).float() / 255)).eval(), pixels)


@pytest.fixture(scope="module")
def small(plain: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same in int8."""
    return quantized_onnx(plain, shipped.pictures(8), tmp_path_factory.mktemp("int8"))


def constants(model: Any) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_behind_the_last_convolution_is_what_leads_to_none() -> None:
    graph = {"a": [], "conv1": ["a"], "act": ["conv1"], "conv2": ["act"], "grid": [], "box": ["conv2", "grid", "act"]}
    assert behind(graph, {"conv1", "conv2"}) == ["grid", "box"]
    assert behind(graph, set()) == list(graph)


def test_every_convolution_takes_and_holds_eight_bits(plain: Any, small: Any) -> None:
    made = {out: node for node in small.graph.node for out in node.output}
    convolutions = [node for node in small.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == sum(node.op_type == "Conv" for node in plain.graph.node) > 10
    for node in convolutions:
        assert {made[name].op_type for name in node.input} == {"DequantizeLinear"}
    assert not any(node.op_type == "QuantizeLinear" for node in plain.graph.node), "the model given is left as it is"


def test_weights_are_rounded_by_half_a_step_of_their_channel_at_most(plain: Any, small: Any) -> None:
    before, now = constants(plain), constants(small)
    weights = [name for name, value in before.items() if value.ndim == 4 and f"{name}_quantized" in now]
    assert len(weights) > 10
    for name in weights:
        whole, scale = now[f"{name}_quantized"].astype(float), now[f"{name}_scale"].reshape(-1, 1, 1, 1)
        assert len(scale) == len(before[name]), "a scale a channel"
        assert np.abs(whole).max() <= 64, "seven bits"
        assert (np.abs(whole * scale - before[name]) <= scale * 0.501).all()


def test_ranges_are_those_of_the_images_given(plain: Any, tmp_path: Path) -> None:
    for brightest in (255, 51):
        images = np.minimum(shipped.pictures(4), brightest).astype(np.uint8)
        images[0, 0, 0] = brightest
        model = quantized_onnx(plain, images, tmp_path)
        first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")  # of what is 0..1
        assert constants(model)[first.input[1]] == pytest.approx(brightest / 255 / 255, rel=1e-5)
    assert list(tmp_path.iterdir()) == []


def test_boxes_are_made_in_float32(small: Any) -> None:
    behind_last = small.graph.output
    made = {out: node for node in small.graph.node for out in node.output}
    for value in behind_last:
        assert made[value.name].op_type != "DequantizeLinear"


def test_it_is_nearly_the_same_model(patient: Model, tmp_path: Path) -> None:
    images = shipped.pictures(8)
    near(deploy(patient.network, images, "onnx-int8", tmp_path, threads=1)(images[:3]), patient, images[:3])


def near(got: Outputs, patient: Model, images: np.ndarray) -> None:
    """Not equal, and within the limits of int8."""
    with torch.inference_mode():
        boxes, scores = Deployed(patient.network)(torch.from_numpy(images))
    off = compare(got, (boxes.numpy(), scores.numpy()), max(shipped.SIZE), exact=False, coarse=True)
    assert off.within
    assert 0 < off.scores < 0.5
    assert np.abs(got[1] - scores.numpy()).mean() < 0.03


def test_nncf_quantises_convolutions_and_nothing_behind_the_last(
    plain: Any, patient: Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    images = shipped.pictures(8)
    model = quantized_openvino(read_onnx(plain), images)
    assert capfd.readouterr().out == "", "stdout is for answers"
    names = [op.get_type_name() for op in model.get_ordered_ops()]
    assert names.count("FakeQuantize") >= names.count("Convolution") > 10
    last = max(i for i, name in enumerate(names) if name == "Convolution")
    assert "FakeQuantize" not in names[last + 1 :]
    openvino.save_model(model, str(tmp_path / "openvino-int8.xml"), compress_to_fp16=False)
    near(reopen("openvino-int8", tmp_path, shipped.SIZE, threads=1)(images[:3]), patient, images[:3])


def test_it_is_shipped_within_its_own_tolerance_and_refused_beyond(patient: Model, tmp_path: Path) -> None:
    def score(off: float) -> Any:
        return lambda model: 0.5 if model is patient.network or not int8(model) else 0.5 - off

    def int8(model: torch.nn.Module) -> bool:
        path = getattr(getattr(getattr(model, "runner", None), "session", None), "_model_path", "")
        return "int8" in str(path)

    trained = replace(patient, training=shipped.pictures(8))
    made = ship(replace(trained, score=score(0.009)), shipped.card(), tmp_path / "near", ["onnx-int8"])
    entry = made.card.runtimes["onnx-int8"]
    assert (entry.arithmetic, entry.passed, entry.after) == ("int8", True, pytest.approx(0.491))
    assert made.open("onnx-int8", threads=1)(shipped.pictures(1))[0].shape[-1] == 4
    with pytest.raises(RunError, match=r"onnx-int8 is not the same model: AP is 0\.4890 .* where 0\.01 is tolerated"):
        ship(replace(trained, score=score(0.011)), shipped.card(), tmp_path / "far", ["onnx-int8"])
    assert not (tmp_path / "far").exists()


def test_it_wants_training_images(patient: Model, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ranges on training images, and none were given"):
        ship(patient, shipped.card(), tmp_path / "b", ["onnx-int8"])
    with pytest.raises(ConfigError, match="wants training images"):
        quantized_onnx(None, shipped.pictures(4)[:0], tmp_path)
