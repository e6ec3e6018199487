"""What activations and attention promise: they take a map and give a map.  (B, C, H, W) -> (B, C, H, W)"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ablab.errors import ContractError
from ablab.surgery.specimen import CHANNELS, Specimen, draw

SHAPES = ((2, CHANNELS, 7, 5), (2, CHANNELS, 1, 1), (3, CHANNELS, 8, 8))
FAR = 1e4


def shape_kept(part: Specimen) -> None:
    """Odd sizes, one place alone, in training and in evaluation."""
    for shape in SHAPES:
        for training in (True, False):
            output = part.build().train(training)(draw(*shape))
            if tuple(output.shape) != shape:
                raise ContractError(f"{shape} became {tuple(output.shape)}; pad so that the shape is kept")


def dtype_kept(part: Specimen) -> None:
    """Half, single and double precision."""
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        output = part.build().to(dtype).eval()(draw(*SHAPES[0], dtype=dtype))
        if output.dtype != dtype:
            raise ContractError(f"{dtype} became {output.dtype}; make constants with torch.*_like")


def finite(part: Specimen) -> None:
    """Standard normal numbers give no NaN and no inf, in training and in evaluation."""
    for training in (True, False):
        output = part.build().train(training)(draw(*SHAPES[0]))
        if not torch.isfinite(output).all():
            raise ContractError(
                "standard normal numbers gave NaN or inf; look for a division by 0, a root or log of a negative number"
            )


def gradient_goes_on(part: Specimen) -> None:
    """What stands before the part learns through it: its input gets a gradient."""
    x = draw(*SHAPES[0]).requires_grad_()
    output = part.build().train()(x.clone())
    (gradient,) = torch.autograd.grad(_weighed(output), x, allow_unused=True) if output.requires_grad else (None,)
    if gradient is None or not gradient.any():
        raise ContractError("no gradient reaches its input, so nothing before it would learn; drop the detach")


def finite_far_out(part: Specimen) -> None:
    """Output and gradients at +-1e4."""
    for training in (True, False):
        module = part.build().train(training)
        x = (draw(*SHAPES[0]).sign() * FAR).requires_grad_()
        output = module(x.clone())  # a part may write in place, and not into a leaf
        output.sum().backward()
        values = {"output": output, "gradient of the input": x.grad}
        values |= {f"gradient of {name}": parameter.grad for name, parameter in module.named_parameters()}
        for name, value in values.items():
            if value is not None and not torch.isfinite(value).all():
                raise ContractError(f"its {name} is NaN or inf at +-{FAR:g}; clamp before exp, powers and divisions")


def gradient_is_right(part: Specimen) -> None:
    """The gradient equals finite differences, in double precision (torch's gradcheck)."""
    module = part.build(channels=4).double().eval()
    x = draw(2, 4, 3, 3, dtype=torch.float64).requires_grad_()
    try:
        torch.autograd.gradcheck(lambda value: module(value.clone()), (x,))
    except RuntimeError as error:
        raise ContractError(
            f"its gradient is wrong, or cut by a detach ({str(error).splitlines()[0].rstrip(':,. ')}); leave it to "
            f"torch, without detach, .data and no_grad"
        ) from None


def gradient_reaches_every_parameter(part: Specimen) -> None:
    """Some number of every parameter gets a gradient that is not 0, at the first or at the second step.

    A weight that starts at 0, as the last of many residual branches does, closes what lies behind it until it moves.
    """
    module = part.build().train()
    idle = _without_gradient(module)
    if idle:
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.grad is not None:
                    parameter -= 0.01 * parameter.grad.sign()
        idle = _without_gradient(module)
    if idle:
        raise ContractError(f"no gradient reaches {', '.join(idle)}, which would never learn; use or drop it")


def _without_gradient(module: nn.Module) -> list[str]:
    """The names of the parameters that one backward pass leaves without a gradient, or with zeros alone."""
    module.zero_grad()
    output = module(draw(4, CHANNELS, 9, 7))
    if output.requires_grad:
        _weighed(output).backward()  # type: ignore[no-untyped-call]
    return [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()]


def _weighed(output: Tensor) -> Tensor:
    """A number that depends on every number of a map."""
    return (output * draw(*output.shape)).sum()


def one_sample_does_not_depend_on_its_batch(part: Specimen) -> None:
    """In evaluation mode a sample alone gives what it gives among others (trap 22)."""
    module = part.build().double().eval()
    batch = draw(4, CHANNELS, 7, 5, dtype=torch.float64)
    with torch.no_grad():
        among, alone = module(batch.clone())[:1], module(batch[:1].clone())
    if not torch.allclose(among, alone, rtol=1e-9, atol=1e-9, equal_nan=True):  # NaN is another promise's
        worst = float((among - alone).abs().max())
        raise ContractError(
            f"in evaluation mode a sample changes by {worst:.2g} with its batch; use running statistics"
        )
