"""What backbones promise.  (B, 3, H, W) in 0..1 -> three maps (B, channels[i], H / strides[i], W / strides[i])"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ablab.errors import ContractError
from ablab.surgery.specimen import Specimen, draw

STRIDES = (8, 16, 32)
SIZES = ((64, 96), (96, 160))  # pixels: an even and an odd number of cells at stride 32


def images(count: int, height: int, width: int) -> Tensor:
    """Images of noise in 0..1.  -> (B, 3, H, W)"""
    return draw(count, 3, height, width).sigmoid()


def declared_channels_and_strides_are_measured(part: Specimen) -> None:
    """`channels` and `strides` say what comes out, at any size that the largest stride divides."""
    module: Any = part.build()
    said = [tuple(getattr(module, name, ())) for name in ("channels", "strides")]
    if len(said[0]) != 3 or said[1] != STRIDES:
        raise ContractError(
            f"it declares channels {said[0]} and strides {said[1]}; set self.channels to three numbers and "
            f"self.strides to {STRIDES}"
        )
    for size in SIZES:
        for training in (True, False):
            expected = [(2, c, size[0] // s, size[1] // s) for c, s in zip(*said, strict=True)]
            shapes = [tuple(y.shape) for y in module.train(training)(images(2, *size))]
            if shapes != expected:
                raise ContractError(
                    f"{size[0]} x {size[1]} pixels gave {shapes}; it declares {expected}; declare what comes out"
                )


def gradient_reaches_every_parameter(part: Specimen) -> None:
    """Each parameter that can learn is on the way to a map. Its gradient may be 0: some start at zero."""
    module: Any = part.build().train()
    sum(y.sum() for y in module(images(2, *SIZES[0]))).backward()
    idle = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    if idle:
        raise ContractError(
            f"no map depends on {', '.join(idle[:4])} ({len(idle)} in all), which would never learn; drop it, or set "
            "requires_grad to False"
        )


def one_sample_does_not_depend_on_its_batch(part: Specimen) -> None:
    """In evaluation mode an image alone gives what it gives among others (trap 22)."""
    module: Any = part.build().double().eval()
    batch = images(3, *SIZES[0]).double()
    with torch.no_grad():
        among, alone = module(batch), module(batch[:1])
    worst = max(float((a[:1] - b).abs().max()) for a, b in zip(among, alone, strict=True))
    if not worst <= 1e-9 * max(1.0, *(float(y.abs().max()) for y in alone)):
        raise ContractError(
            f"in evaluation mode an image changes by {worst:.2g} with its batch; use running statistics"
        )
