"""torch.export: the network as a program of torch's own operators, for torch without ablab."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ablab.errors import RunError
from ablab.export.onnx import INPUT, first_line, quiet


def write_program(deployed: nn.Module, images: Tensor, path: Path) -> None:
    """Write PATH (.pt2) of a `Deployed` in evaluation mode, with a dynamic batch; `images` (B > 1, H, W, 3) uint8.

    Raises RunError where torch cannot trace the network.
    """
    batch = torch.export.Dim("batch", min=1, max=4096)
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(deployed, (images,), dynamic_shapes={INPUT: {0: batch}})
    except Exception as error:  # the tracer's errors are of many types
        raise RunError(f"torch.export cannot trace this network: {first_line(error)}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.export.save(program, path)
