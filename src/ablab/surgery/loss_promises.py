"""What losses promise.

box_loss: (N, 4), (N, 4) -> (N,); class_loss: (*), (*) -> (*); distribution_loss: (N, 4, bins), (N, 4) -> (N,)
"""

from __future__ import annotations

import torch
from torch import Tensor

from ablab.errors import ContractError
from ablab.surgery.specimen import Specimen, draw

SLACK = 1e-5  # losses guard their divisions with a small number


def boxes(count: int, salt: int = 0) -> Tensor:
    """Boxes x1 y1 x2 y2 with sides of 4 to 40 pixels, double precision.  -> (N, 4)"""
    unit = draw(count, 4, dtype=torch.float64, salt=salt).sigmoid()
    corner, sides = unit[:, :2] * 60, 4 + unit[:, 2:] * 36
    return torch.cat((corner, corner + sides), dim=1)


def one_loss_a_box(part: Specimen) -> None:
    """(N, 4), (N, 4) -> (N,), finite."""
    loss = part.build()(boxes(7), boxes(7, salt=1))
    if tuple(loss.shape) != (7,) or not torch.isfinite(loss).all():
        raise ContractError(f"7 pairs of boxes gave {tuple(loss.shape)}, expected (7,), all finite; do not reduce")


def zero_at_identity(part: Specimen) -> None:
    """A box on itself costs nothing."""
    loss = part.build()(boxes(7), boxes(7))
    if loss.abs().max() > SLACK:
        raise ContractError(f"equal boxes cost up to {float(loss.abs().max()):.3g}, expected 0; take the constant off")


def nearer_box_costs_less(part: Specimen) -> None:
    """A box an eighth of its sides off costs less than one that is half of them off."""
    there = boxes(7)
    sides = (there[:, 2:] - there[:, :2]).repeat(1, 2)
    near, far = (part.build()(there + share * sides, there) for share in (1 / 8, 1 / 2))
    if not (near < far).all():
        raise ContractError("a box half its sides off costs no more than one an eighth off; is the sign right?")


def gradient_when_disjoint(part: Specimen) -> None:
    """Boxes that do not touch still pull, unless the part declares `flat_when_disjoint`."""
    here = boxes(7).requires_grad_()
    there = boxes(7, salt=1) + 500
    part.build()(here, there).sum().backward()
    flat = here.grad is None or not bool(here.grad.any(dim=1).all())
    if flat and not part.entry.traits.get("flat_when_disjoint"):
        raise ContractError("disjoint boxes get no gradient; if that is meant, register with flat_when_disjoint=True")


def no_box_stays_in_the_graph(part: Specimen) -> None:
    """(0, 4), (0, 4) -> (0,), with a gradient, so that a batch without objects trains."""
    none = torch.zeros(0, 4, dtype=torch.float64, requires_grad=True)
    loss = part.build()(none, torch.zeros(0, 4, dtype=torch.float64))
    if tuple(loss.shape) != (0,) or not loss.requires_grad:
        raise ContractError(f"no boxes gave {tuple(loss.shape)}, expected (0,) with a gradient; do not branch on N = 0")


def one_loss_a_logit(part: Specimen) -> None:
    """Shape kept, for any shape, also an empty one; finite."""
    for shape in ((6,), (5, 3), (0, 3)):
        logits = draw(*shape).requires_grad_()
        loss = part.build()(logits, draw(*shape, salt=1).sigmoid())
        if tuple(loss.shape) != shape or not loss.requires_grad or not torch.isfinite(loss).all():
            raise ContractError(
                f"logits {shape} gave {tuple(loss.shape)}, expected {shape}, finite, with a gradient; do not reduce"
            )


def wrong_costs_more_than_right(part: Specimen) -> None:
    """Two logits of +-3 and targets of 1 and 0, the one way round and the other."""
    right, target = torch.tensor([[3.0, -3.0]]), torch.tensor([[1.0, 0.0]])
    if not part.build()(right, target).sum() < part.build()(-right, target).sum():
        raise ContractError(
            "logits that contradict their targets cost no more than those that agree; logits come "
            "first, targets second: is the sign right?"
        )


def finite_far_out(part: Specimen) -> None:
    """Loss and gradient at logits of +-1e4, for targets 0 and 1."""
    logits = torch.tensor([-1e4, -1e4, 1e4, 1e4], requires_grad=True)
    loss = part.build()(logits, torch.tensor([0.0, 1.0, 0.0, 1.0]))
    loss.sum().backward()
    if not torch.isfinite(loss).all() or logits.grad is None or not torch.isfinite(logits.grad).all():
        raise ContractError("loss or gradient is NaN or inf at logits of +-1e4; use logsigmoid, not log(sigmoid)")


def distances(count: int, bins: int) -> Tensor:
    """Distances within 0 .. bins - 1.  -> (N, 4)"""
    return draw(count, 4, salt=bins).sigmoid() * (bins - 1)


def peak(at: Tensor, bins: int) -> Tensor:
    """Logits of distributions that are all but certain of the bin `at`.  (N, 4) int64 -> (N, 4, bins)"""
    return 60 * torch.nn.functional.one_hot(at, bins).float()


def one_loss_a_distribution(part: Specimen) -> None:
    """(N, 4, bins), (N, 4) -> (N,), finite, with a gradient on every side, for any number of bins and any distance."""
    for bins in (2, 9):
        logits = draw(7, 4, bins).requires_grad_()
        loss = part.build()(logits, distances(7, bins))
        if tuple(loss.shape) != (7,) or not torch.isfinite(loss).all():
            raise ContractError(f"7 places gave {tuple(loss.shape)}, expected (7,), all finite; do not reduce")
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        if not gradient.any(dim=2).all():
            raise ContractError("a side gets no gradient; the loss is of all four")
        beyond = part.build()(logits, torch.tensor([[-1.0, 0, bins - 1, bins + 3]]).expand(7, 4))
        if not torch.isfinite(beyond).all():
            raise ContractError(f"distances outside 0 .. {bins - 1} gave NaN or inf; count them as the nearer end")


def zero_where_the_distribution_is_right(part: Specimen) -> None:
    """All of a side's weight on the bin that the distance names costs nothing, and no loss is below 0."""
    at = torch.arange(28).view(7, 4) % 9
    loss = part.build()(peak(at, 9), at.float())
    if loss.abs().max() > SLACK:
        raise ContractError(
            f"certain and right costs up to {float(loss.abs().max()):.3g}, expected 0; take the constant off"
        )
    if part.build()(draw(7, 4, 9), distances(7, 9)).min() < -SLACK:
        raise ContractError("a loss is below 0, expected 0 at least; take the constant off")


def nearer_costs_less(part: Specimen) -> None:
    """A distribution on the bin below the distance costs less than one that lies three bins off."""
    at = torch.full((7, 4), 4)
    near, far = (part.build()(peak(at + off, 9), torch.full((7, 4), 4.3)) for off in (0, 3))
    if not (near < far).all():
        raise ContractError(
            "a distribution three bins off costs no more than one beside the distance; is the sign right?"
        )


def no_distribution_stays_in_the_graph(part: Specimen) -> None:
    """(0, 4, bins), (0, 4) -> (0,), with a gradient, so that a batch without objects trains."""
    loss = part.build()(torch.zeros(0, 4, 9, requires_grad=True), torch.zeros(0, 4))
    if tuple(loss.shape) != (0,) or not loss.requires_grad:
        raise ContractError(f"no place gave {tuple(loss.shape)}, expected (0,) with a gradient; do not branch on N = 0")
