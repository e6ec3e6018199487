"""OpenVINO: a graph in XML and its weights beside it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from ablab.export.extra import need


def write_openvino(onnx_model: Any, path: Path, half: bool) -> None:
    """Write PATH.xml and PATH.bin from an ONNX model; `half` keeps weights as fp16, which are float32 again once read.

    Raises ConfigError where the package is missing.
    """
    model = read_onnx(onnx_model)
    path.parent.mkdir(parents=True, exist_ok=True)
    need("openvino").save_model(model, str(path), compress_to_fp16=half)


def read_onnx(onnx_model: Any) -> Any:
    """An ONNX model as OpenVINO's. Raises ConfigError where the package is missing.

    It is converted, not only read: that makes one SiLU of a sigmoid and a product, which nncf else quantises apart.
    Int8 took twice as long then (5.6 for 2.2 ms: YOLOv5n at 256 x 320).
    """
    return need("openvino").convert_model(BytesIO(onnx_model.SerializeToString()))
