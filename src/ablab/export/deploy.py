"""A trained network on one runtime: the one file that this reads is written, and opened."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ablab.errors import UnknownName
from ablab.export.deployed import Deployed, Runner
from ablab.export.fuse import fuse
from ablab.export.onnx import to_onnx, write_onnx
from ablab.export.openvino import write_openvino
from ablab.export.quantize import write_int8
from ablab.export.runners import RUNTIMES, open_runner

DEPLOYABLE = ("onnx", "openvino", "openvino-bf16", "onnx-int8", "openvino-int8")


def deploy(network: nn.Module, images: np.ndarray, runtime: str, place: Path, threads: int | None = None) -> Runner:
    """Write what `runtime` reads into the folder `place`, which must be there, and open it.

    The network stays as it is; `images` (n, H, W, 3) uint8 are training images, letterboxed, without augmentation:
    their size is the input's, and int8 measures its ranges on them. Raises UnknownName for a runtime that is not in
    DEPLOYABLE, ConfigError for a missing package, RunError where the network cannot be written.
    """
    if runtime not in DEPLOYABLE:
        raise UnknownName("runtime", runtime, DEPLOYABLE)
    pixels = torch.from_numpy(np.ascontiguousarray(images[np.arange(2) % len(images)]))
    plain = copy.deepcopy(network).cpu().float()
    onnx = to_onnx(Deployed(fuse(plain, pixels.permute(0, 3, 1, 2).float() / 255)).eval(), pixels)
    path = place / RUNTIMES[runtime].file
    writers: dict[str, Callable[[], None]] = {
        "onnx": lambda: write_onnx(onnx, path),
        "openvino": lambda: write_openvino(onnx, path, half=False),
        "onnx-int8": lambda: write_int8(onnx, images, path),
        "openvino-int8": lambda: write_int8(onnx, images, path),
    }
    writers[RUNTIMES[runtime].format]()
    return reopen(runtime, place, (images.shape[1], images.shape[2]), threads)


def reopen(runtime: str, place: Path, image_size: tuple[int, int], threads: int | None = None) -> Runner:
    """Open what `deploy` wrote; `image_size` is (H, W). Raises ConfigError where it cannot be opened."""
    return open_runner(runtime, place, image_size=image_size, classes=0, threads=threads)
