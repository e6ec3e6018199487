"""What upsampling promises: a map twice as fine.  (B, C, H, W) -> (B, C, 2H, 2W)"""

from __future__ import annotations

from ablab.errors import ContractError
from ablab.surgery.map_promises import SHAPES
from ablab.surgery.specimen import Specimen, draw

SCALE = 2


def twice_as_fine(part: Specimen) -> None:
    """Two cells for each one on both axes, at odd sizes and on one place alone, in training and in evaluation."""
    for shape in SHAPES:
        expected = (*shape[:2], SCALE * shape[2], SCALE * shape[3])
        for training in (True, False):
            output = part.build().train(training)(draw(*shape))
            if tuple(output.shape) != expected:
                raise ContractError(
                    f"{shape} became {tuple(output.shape)}, expected {expected}; double the map by default"
                )
