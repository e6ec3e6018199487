"""What norms promise beyond what every map does.  (B, C, H, W) -> (B, C, H, W)"""

from __future__ import annotations

import torch

from ablab.errors import ContractError
from ablab.surgery.map_promises import SHAPES
from ablab.surgery.specimen import Specimen, draw


def shape_kept_or_refused(part: Specimen) -> None:
    """Odd sizes, in training and in evaluation; a 1x1 map too, or `needs_area` is declared and it is refused.

    What normalises each channel over its places turns one place into a constant, which must not pass in silence.
    """
    refuses = part.entry.traits.get("needs_area", False)
    for shape in SHAPES:
        for training in (True, False):
            module = part.build().train(training)
            try:
                output = module(draw(*shape))
            except Exception:
                if refuses and shape[2:] == (1, 1):
                    continue
                raise
            if tuple(output.shape) != shape:
                raise ContractError(f"{shape} became {tuple(output.shape)}; a norm keeps the shape")
            if refuses and shape[2:] == (1, 1):
                raise ContractError("it declares needs_area, but takes a 1x1 map; raise an error there")


def finite_on_a_flat_map(part: Specimen) -> None:
    """A map without variance, as a blank image gives."""
    for training in (True, False):
        module = part.build().train(training)
        x = torch.full(SHAPES[0], 3.0).requires_grad_()
        output = module(x.clone())
        (output * draw(*output.shape)).sum().backward()
        for name, value in {"output": output, "gradient": x.grad}.items():
            if value is not None and not torch.isfinite(value).all():
                raise ContractError(f"its {name} is NaN or inf on a map that is 3 everywhere; add eps to the variance")
