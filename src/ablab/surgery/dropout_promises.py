"""What dropouts promise: noise in training, nothing in evaluation.  (B, C, H, W) -> (B, C, H, W)"""

from __future__ import annotations

import torch
from torch import Tensor

from ablab.errors import ContractError
from ablab.measure.seeding import forked
from ablab.surgery.map_promises import SHAPES
from ablab.surgery.specimen import CHANNELS, Specimen, draw

DRAWS = 256
MAP = (16, CHANNELS, 5, 5)


def identity_in_evaluation(part: Specimen) -> None:
    """The same numbers to the bit."""
    for shape in SHAPES:
        x = draw(*shape)
        output = part.build().eval()(x.clone())
        if not torch.equal(output, x):
            raise ContractError("in evaluation mode it changes the map; return x where not self.training")


def mean_kept(part: Specimen) -> None:
    """In training the mean over many draws is that of evaluation, within five standard errors."""
    module = part.build().train()
    ones = torch.ones(MAP)
    means = torch.stack([module(ones.clone()).double().mean() for _ in range(DRAWS)])
    mean, error = means.mean().item(), (means.std() / DRAWS**0.5).item()
    if not abs(mean - 1) <= 5 * error + 1e-5:
        raise ContractError(
            f"in training a map of ones has the mean {mean:.4f} over {DRAWS} draws (standard error {error:.1g}), and 1 "
            "in evaluation; divide by the share that is kept"
        )


def equal_seeds_draw_alike(part: Specimen) -> None:
    """The noise comes from torch's generator: equal seeds give equal maps, others give others."""
    if not torch.equal(_noise(part, 0), _noise(part, 0)):
        raise ContractError("equal seeds of torch gave unlike maps; draw with torch alone")
    if torch.equal(_noise(part, 0), _noise(part, 1)):
        raise ContractError("unlike seeds of torch gave equal maps; draw anew in every forward, with torch")


def dtype_kept_in_training(part: Specimen) -> None:
    """Half, single and double precision."""
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        output = part.build().to(dtype).train()(draw(*SHAPES[0], dtype=dtype))
        if output.dtype != dtype:
            raise ContractError(f"{dtype} became {output.dtype}; draw the noise with torch.*_like")


def _noise(part: Specimen, seed: int) -> Tensor:
    module = part.build().train()
    with forked("noise", seed):
        return torch.stack([module(torch.ones(MAP)) for _ in range(8)])
