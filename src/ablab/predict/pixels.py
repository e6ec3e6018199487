"""Whatever Python calls an image, as pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image, ImageOps

from ablab.errors import DataError, suggest
from ablab.predict.result import Frame
from ablab.predict.sources import VIDEOS

if TYPE_CHECKING:
    from torch import Tensor

    Given = str | Path | Image.Image | np.ndarray | Tensor
EXPECTED = (
    "expected a path, a PIL picture, an array (H, W, 3) uint8 in RGB, a tensor (3, H, W) uint8 or float in 0..1, or a "
    "list of these"
)


def is_one(given: Any) -> bool:
    """Whether something is one image, and not several: a batch (B, H, W, 3) or (B, 3, H, W) is several."""
    if isinstance(given, np.ndarray | torch.Tensor):
        return given.ndim != 4
    return not isinstance(given, Sequence | Iterator) or isinstance(given, str)


def frame(given: Given, read: Callable[[Path], np.ndarray]) -> Frame:
    """One image as a frame; `read` opens a file. Pictures are turned upright, as files are.

    Raises DataError for what is no image, naming its type and shape.
    """
    if isinstance(given, str | Path):
        return Frame(str(given), read(_picture(str(given))))
    if isinstance(given, Image.Image):
        return Frame(getattr(given, "filename", "") or "picture", _of_picture(given))
    if isinstance(given, torch.Tensor):
        return Frame("tensor", _of_tensor(given))
    if isinstance(given, np.ndarray):
        return Frame("array", _of_array(given))
    raise DataError(f"got {type(given).__name__}; {EXPECTED}")


def _picture(given: str) -> Path:
    """The path of a file that may be an image. Raises DataError that names what takes anything else, or the nearest."""
    path = Path(given)
    video = path.suffix.lower() in VIDEOS and path.exists()
    if video or path.is_dir():
        what = "video" if video else "folder"
        raise DataError(f"{given} is a {what}, not an image; `model.stream` takes folders and videos")
    if path.exists():
        return path
    if "://" in given or has_magic(given):
        raise DataError(f"no image {given}; `model.stream` takes patterns and addresses")
    near = suggest(path.name, [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else [])
    raise DataError(f"no image {given}{near}")


def _of_picture(picture: Image.Image) -> np.ndarray:
    turned = ImageOps.exif_transpose(picture)
    if turned.mode.startswith("I;16"):  # Pillow itself would cut everything above 255
        return np.repeat((np.asarray(turned) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    return np.array(turned.convert("RGB"))


def _of_array(array: np.ndarray) -> np.ndarray:
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
        raise DataError(f"got an array {array.shape} of {array.dtype}; {EXPECTED}")
    return np.ascontiguousarray(array)


def _of_tensor(tensor: Tensor) -> np.ndarray:
    """(3, H, W) -> (H, W, 3) uint8"""
    fits = tensor.dim() == 3 and tensor.shape[0] == 3 and tensor.numel()
    if not fits or not (tensor.dtype == torch.uint8 or tensor.is_floating_point()):
        raise DataError(f"got a tensor {tuple(tensor.shape)} of {tensor.dtype}; {EXPECTED}")
    if tensor.is_floating_point():
        low, high = tensor.aminmax()
        if not (low >= 0 and high <= 1):  # also where one is NaN
            raise DataError(f"got a tensor of floats from {low:.4g} to {high:.4g}; expected 0 to 1, not normalised")
        tensor = (tensor.detach().float() * 255).round().to(torch.uint8)
    return np.ascontiguousarray(tensor.detach().permute(1, 2, 0).cpu().numpy())
