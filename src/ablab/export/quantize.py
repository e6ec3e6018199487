"""Int8 after training: weights and activations in eight bits, with ranges measured on training images.

    network in ONNX --observe activations on images--> ranges --> QuantizeLinear / DequantizeLinear around convolutions

Weights are symmetric with a scale a channel, activations have one scale and a zero point (Jacob et al. 2018, section 2;
Krishnamoorthi 2018, section 3). What stands behind the last convolutions turns maps into boxes in pixels: there a step
of eight bits would be several pixels, so it stays float32.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ablab.errors import ConfigError, RunError
from ablab.export.extra import need
from ablab.export.onnx import INPUT, first_line, write_onnx
from ablab.export.openvino import read_onnx

IMAGES = 128  # of the training split, at most
HEAVY_ONNX = ("Conv", "ConvTranspose", "MatMul", "Gemm")
HEAVY_OPENVINO = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")


def quantized_onnx(model: Any, images: np.ndarray, place: Path) -> Any:
    """The ONNX model in int8 for ONNX Runtime; `images` (n, H, W, 3) uint8 are training images, letterboxed.

    Weights get seven bits, since processors without VNNI add products of eight in sixteen, which overflows. `place` is
    a folder for a file in between. Raises ConfigError where packages are missing, RunError where it cannot be done.
    """
    _assert_images(images)
    onnx, quantization = need("onnx"), need("onnxruntime.quantization")
    model = onnx.ModelProto.FromString(model.SerializeToString())  # what is quantised is changed on the way
    made, path = {out: node.name for node in model.graph.node for out in node.output}, place / ".int8.onnx"
    inputs = {node.name: [made[i] for i in node.input if i in made] for node in model.graph.node}
    heavy = {node.name for node in model.graph.node if node.op_type in HEAVY_ONNX}
    level = logging.getLogger().level
    try:
        logging.getLogger().setLevel(logging.ERROR)  # it tells the root logger that a model may want preparing
        quantization.quantize_static(
            model,
            path,
            _Reader(images),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=[*HEAVY_ONNX, "Add", "Concat", "MaxPool", "Mul", "Resize", "Sigmoid"],
            nodes_to_exclude=behind(inputs, heavy),
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
        return onnx.load(path)
    except Exception as error:  # the quantiser's errors are of many types
        raise RunError(f"ONNX Runtime cannot quantise this network: {first_line(error)}") from error
    finally:
        logging.getLogger().setLevel(level)
        path.unlink(missing_ok=True)


def quantized_openvino(model: Any, images: np.ndarray) -> Any:
    """An OpenVINO model in int8, by nncf, which also corrects the mean that rounding shifts.

    `images` (n, H, W, 3) uint8 are training images, letterboxed. Raises ConfigError where packages are missing,
    RunError where it cannot be done.
    """
    _assert_images(images)
    nncf = _nncf()
    order = model.get_ordered_ops()
    inputs = {
        op.get_friendly_name(): [value.get_source_output().get_node().get_friendly_name() for value in op.inputs()]
        for op in order
    }
    heavy = {op.get_friendly_name() for op in order if op.get_type_name() in HEAVY_OPENVINO}
    kept = {op.get_friendly_name() for op in order if op.get_type_name() in ("Constant", "Parameter", "Result")}
    names = [name for name in behind(inputs, heavy) if name not in kept]
    try:
        with redirect_stdout(StringIO()):  # where it draws its progress
            return nncf.quantize(
                model,
                nncf.Dataset([images[i : i + 1] for i in range(len(images))]),
                preset=nncf.QuantizationPreset.MIXED,
                target_device=nncf.TargetDevice.CPU,
                subset_size=len(images),
                ignored_scope=nncf.IgnoredScope(names=names),
            )
    except Exception as error:  # the quantiser's errors are of many types
        raise RunError(f"nncf cannot quantise this network: {first_line(error)}") from error


def _nncf() -> ModuleType:
    """nncf without its reports to its makers, which it else sends at each use, and without its remarks."""
    os.environ["NNCF_CI"] = "1"
    remarks = logging.getLogger("torch.utils.cpp_extension")  # that there is no CUDA
    level = remarks.level
    try:
        remarks.setLevel(logging.ERROR)
        with redirect_stdout(StringIO()):
            nncf = need("nncf")
            nncf.set_log_level(logging.ERROR)
    finally:
        remarks.setLevel(level)
    return nncf


def write_int8(onnx_model: Any, images: np.ndarray, path: Path) -> None:
    """Write PATH in int8: ONNX Runtime's where it ends in .onnx, OpenVINO's where it ends in .xml.

    Raises as `quantized_onnx` and `quantized_openvino`, StoreError where it cannot be written.
    """
    if path.suffix == ".onnx":
        write_onnx(quantized_onnx(onnx_model, images, path.parent), path)
    else:
        need("openvino").save_model(
            quantized_openvino(read_onnx(onnx_model), images), str(path), compress_to_fp16=False
        )


def behind(inputs: Mapping[str, Sequence[str]], heavy: Collection[str]) -> list[str]:
    """The nodes, in their order, that lead to no heavy one: `inputs` is {node: nodes it takes from}, in graph order."""
    leads: set[str] = set()
    for name in reversed(list(inputs)):
        if name in heavy or name in leads:
            leads.update(inputs[name])
    return [name for name in inputs if name not in leads and name not in heavy]


def _assert_images(images: np.ndarray) -> None:
    if images.ndim != 4 or not len(images):
        raise ConfigError(
            f"int8 wants training images (n, H, W, 3) to measure ranges on, and {images.shape} were given; give it some"
        )


class _Reader:
    """What ONNX Runtime calls a calibration data reader: one image at a time, then None."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images
        self.left: Iterator[int] = iter(range(len(images)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input of the model."""
        index = next(self.left, None)
        return None if index is None else {INPUT: self.images[index : index + 1]}

    def set_range(self, start_index: int, end_index: int) -> None:
        """Begin at an image, and end before another."""
        self.left = iter(range(start_index, min(end_index, len(self.images))))

    def __len__(self) -> int:
        return len(self.images)
