"""ONNX: one file with everything in it, any batch size, and where wanted with suppression inside."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ablab.errors import ConfigError, RunError
from ablab.export.extra import need
from ablab.records import write_bytes

INPUT, OUTPUTS = "images", ("boxes", "scores")
FOUND = ("found_boxes", "found_scores", "found_labels")

# Greedy suppression within each class of each image, as torchvision's. What it selects goes back into a map (B, C, N)
# of scores that is zero elsewhere, whose best K are what is found: then every image has the same number of rows.
SUPPRESSION = """
<ir_version: {ir}, opset_import: ["" : {opset}]>
suppression (float[batch, {places}, 4] all_boxes, float[batch, {places}, {classes}] all_scores)
    => (float[batch, {most}, 4] found_boxes, float[batch, {most}] found_scores, int64[batch, {most}] found_labels)
<
    int64[1] most = {{{most}}}, float[1] iou = {{{iou}}}, float[1] least = {{{least}}},
    int64[2] rows = {{0, -1}}, int64[1] places = {{{places}}}, int64[1] last = {{-1}}
>
{{
    by_class = Transpose <perm = [0, 2, 1]> (all_scores)
    selected = NonMaxSuppression (all_boxes, by_class, most, iou, least)
    selected_scores = GatherND (by_class, selected)
    shape = Shape (by_class)
    nothing = ConstantOfShape <value = float[1] {{0}}> (shape)
    only_selected = ScatterND (nothing, selected, selected_scores)
    in_a_row = Reshape (only_selected, rows)
    found_scores, at = TopK (in_a_row, most)
    found_labels = Div (at, places)
    box = Mod (at, places)
    index = Unsqueeze (box, last)
    found_boxes = GatherND <batch_dims = 1> (all_boxes, index)
}}
"""


def to_onnx(deployed: nn.Module, images: Tensor) -> Any:
    """The ONNX model, checked, of a `Deployed` in evaluation mode, with a dynamic batch.

    `images` (B, H, W, 3) uint8 with B of two or more. Raises ConfigError where packages are missing, RunError where
    torch cannot express the network in ONNX.
    """
    onnx = need("onnx")
    need("onnxscript")  # torch's exporter wants it
    batch = torch.export.Dim("batch", min=1, max=4096)
    try:
        with quiet():
            program = torch.onnx.export(
                deployed,
                (images,),
                dynamo=True,
                external_data=False,
                verbose=False,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes={INPUT: {0: batch}},
            )
        assert program is not None
        model = program.model_proto
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the exporter's errors are of many types
        raise RunError(f"this network cannot be written as ONNX: {first_line(error)}") from error
    return model


def with_suppression(model: Any, postprocess: Mapping[str, Any]) -> Any:
    """The model with suppression behind it: found_boxes (B, K, 4), found_scores (B, K) falling, found_labels (B, K).

    Rows with a score of 0 are empty. `postprocess` holds confidence, nms, iou and most. Raises ConfigError for a kind
    of suppression that ONNX has no operator for.
    """
    onnx = need("onnx")
    kind = postprocess["nms"]
    if kind != "hard" or postprocess.get("agnostic"):
        told = f"postprocess.nms '{kind}'" if kind != "hard" else "class-agnostic suppression"
        raise ConfigError(f"ONNX's operator suppresses hard, within a class; {told} cannot go inside: leave --nms out")
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in model.graph.output}
    _, places, classes = shapes["scores"]
    suppression = onnx.parser.parse_model(
        SUPPRESSION.format(
            ir=model.ir_version,
            opset=next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx")),
            places=places,
            classes=classes,
            most=min(postprocess["most"], places * classes),
            iou=float(postprocess["iou"]),
            least=float(postprocess["confidence"]),
        )
    )
    joined = onnx.compose.merge_models(
        model, suppression, io_map=[("boxes", "all_boxes"), ("scores", "all_scores")], outputs=list(FOUND)
    )
    onnx.checker.check_model(joined, full_check=True)
    return joined


def write_onnx(model: Any, path: Path) -> None:
    """Write it whole or not at all. Raises StoreError where it cannot be written."""
    write_bytes(path, model.SerializeToString())


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch's exporters say about themselves."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def first_line(error: Exception) -> str:
    """What an exporter's error, or its cause, says at first."""
    cause = error.__cause__ or error
    lines = str(cause).strip().splitlines() or [""]
    return f"{type(cause).__name__}: {lines[0][:300]}"
