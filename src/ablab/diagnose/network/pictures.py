"""Maps as pictures: PNG bytes."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ablab.diagnose.network.maps import maps
from ablab.errors import ConfigError
from ablab.measure.forward import still
from ablab.measure.seeding import forked

SHARE = 0.5  # of a heat's colour where it lies over an image
GAP = 2  # white pixels between tiles


def feature_maps(model: nn.Module, image: Tensor, at: str) -> np.ndarray:
    """What module `at` gives on one image (1, C, H, W), in evaluation mode.  -> (channels, h, w)"""
    with still(model), torch.no_grad(), forked("feature maps"):
        return next(iter(maps(model, image, (at,)).values()))[0].float().cpu().numpy()


def draw_maps(found: np.ndarray, most: int = 16, side: int = 96) -> bytes:
    """The channels that vary most, strongest first, each from its own least to its own most.  (C, h, w) -> PNG"""
    order = np.argsort(-found.reshape(len(found), -1).std(axis=1), kind="stable")[:most]
    columns = int(np.ceil(np.sqrt(len(order))))
    rows = -(-len(order) // columns)
    pitch = side + GAP
    sheet = np.full((rows * pitch - GAP, columns * pitch - GAP, 3), 255, np.uint8)
    for place, channel in enumerate(order):
        y, x = pitch * (place // columns), pitch * (place % columns)
        values = found[channel] - found[channel].min()
        sheet[y : y + side, x : x + side] = _coloured(values / max(float(values.max()), 1e-12), (side, side))
    return _png(sheet)


def draw_heat(image: np.ndarray, heat: np.ndarray) -> bytes:
    """A heat (h, w) in 0..1 stretched over an image (H, W, 3) uint8 RGB.  -> PNG

    Raises ConfigError for an image of another kind.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ConfigError(f"expected an image (H, W, 3) of uint8, got {image.shape} of {image.dtype}")
    colour = _coloured(heat, image.shape[:2])
    return _png(np.rint((1 - SHARE) * image + SHARE * colour).astype(np.uint8))


def draw_field(energy: np.ndarray) -> bytes:
    """An effective field's energy (H, W) by its square root, as gradients are seen.  -> PNG"""
    root = np.sqrt(energy)
    return _png(_coloured(root / max(float(root.max()), 1e-300), energy.shape))


def _coloured(values: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Numbers in 0..1 as viridis, stretched to `size` (H, W).  -> (H, W, 3) uint8"""
    from matplotlib import colormaps

    height, width = size
    smooth = Image.fromarray(values.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    colours: np.ndarray = colormaps["viridis"](np.clip(np.asarray(smooth), 0, 1), bytes=True)
    return colours[..., :3]


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
