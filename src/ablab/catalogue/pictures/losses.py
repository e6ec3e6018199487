"""Losses: their value and their pull as a prediction goes from right to wrong."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ablab import registry
from ablab.catalogue.pictures.style import TITLE, logarithmic
from ablab.reports.canvas import PALETTE, THEME
from ablab.surgery.specimen import Specimen, specimen

SIDE = 100.0  # pixels of the box that is meant


def box(figure: Any, part: Specimen) -> str:
    """A box that moves away, one that grows, and the field of its pull."""
    figure.set_size_inches(10, 5.0)
    loss = part.build()
    aside = torch.linspace(-2, 2, 401, dtype=torch.float64)
    grown = torch.logspace(-2, 2, 401, base=2, dtype=torch.float64)
    axes = figure.subplots(2, 3, gridspec_kw={"width_ratios": (1, 1, 1.25)})
    figure.subplots_adjust(left=0.06, right=0.955, top=0.79, bottom=0.15, hspace=0.42, wspace=0.25)
    rows = (("moved aside, in widths", aside, _shifted), ("scaled about its middle", grown, _scaled))
    for column, (words, at, make) in enumerate(rows):
        for other, colour in ((_plain_iou(), THEME["rule"]), (loss, PALETTE[0])):
            value, slope = _along(other, at, make)
            axes[0, column].plot(at.numpy(), value.numpy(), color=colour, lw=2)
            axes[1, column].plot(at.numpy(), slope.numpy(), color=colour, lw=2)
        axes[0, column].set_title(f"loss, box {words}", **TITLE)
        axes[1, column].set_title("its slope", **TITLE)
        for each in axes[:, column]:
            each.axhline(0, color=THEME["rule"], lw=1, zorder=0)
    for each in axes[:, 0]:
        for start, end in ((-2, -1), (1, 2)):
            each.axvspan(start, end, color=THEME["band"], zorder=-1)
        each.set_xlim(-2, 2)
    for each in axes[:, 1]:
        logarithmic(each, x=True)
        each.set_xticks([0.25, 0.5, 1, 2, 4], ["¼", "½", "1", "2", "4"])
    _field(figure, axes[:, 2], loss)
    return (
        f"Against a box of {SIDE:g} x {SIDE:g} pixels. Light grey line: 1 − IoU. Grey band: the boxes do not touch. "
        "Arrows: where the loss pulls the box's corner."
    )


def _plain_iou() -> Any:
    return specimen(registry.get("iou", "box_loss")).build()


def _shifted(at: Tensor) -> Tensor:
    base = torch.tensor([0.0, 0, SIDE, SIDE], dtype=torch.float64)
    return base + SIDE * at[:, None] * torch.tensor([1.0, 0, 1, 0], dtype=torch.float64)


def _scaled(at: Tensor) -> Tensor:
    return SIDE / 2 + SIDE / 2 * at[:, None] * torch.tensor([-1.0, -1, 1, 1], dtype=torch.float64)


def _along(loss: Any, at: Tensor, make: Any) -> tuple[Tensor, Tensor]:
    """Values and slopes of a loss along a line of boxes."""
    at = at.clone().requires_grad_()
    boxes = make(at)
    value = loss(boxes, boxes.new_tensor([0.0, 0, SIDE, SIDE]).expand_as(boxes))
    (slope,) = torch.autograd.grad(value.sum(), at)
    return value.detach(), slope


def _field(figure: Any, axes: Any, loss: Any) -> None:
    """The loss over both shifts of the box, with arrows down its slope."""
    for each in axes[1:]:
        each.remove()
    grid = axes[0].get_subplotspec().get_gridspec()
    axes[0].set_subplotspec(grid[:, 2])
    at = torch.linspace(-2, 2, 81, dtype=torch.float64)
    moved = torch.cartesian_prod(at, at).requires_grad_()  # (81 * 81, 2) y x
    boxes = SIDE * (moved[:, [1, 0, 1, 0]] + moved.new_tensor([0.0, 0, 1, 1]))
    value = loss(boxes, boxes.new_tensor([0.0, 0, SIDE, SIDE]).expand_as(boxes))
    (slope,) = torch.autograd.grad(value.sum(), moved)
    image = axes[0].imshow(
        value.detach().view(81, 81).numpy(), extent=(-2, 2, 2, -2), cmap="viridis", interpolation="bilinear"
    )
    arrows = slice(4, None, 8)
    down = -slope.view(81, 81, 2)[arrows, arrows]
    length = down.norm(dim=2, keepdim=True).clamp(min=1e-9)
    down = down / length * (length / length.max()) ** 0.5
    places = at[arrows].numpy()
    axes[0].quiver(places, places, *_screen(down), color="white", scale=14, width=0.005)
    axes[0].set_title("loss over both shifts, in sides", **TITLE)
    bar = figure.colorbar(image, ax=axes[0], fraction=0.046, pad=0.03)
    bar.outline.set_visible(False)


def _screen(down: Tensor) -> tuple[Any, Any]:
    """Arrows y x, as a picture has them whose y grows downwards.  (N, N, 2) -> two (N, N)"""
    return down[..., 1].numpy(), -down[..., 0].numpy()


def classification(figure: Any, part: Specimen) -> str:
    """Loss and slope over the logit, for targets of 1, 0.7 and 0."""
    figure.set_size_inches(10, 4.4)
    axes = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.06, right=0.985, top=0.75, bottom=0.2, wspace=0.22)
    reference = specimen(registry.get("bce", "class_loss")).build()
    softmax = bool(part.entry.traits.get("over_classes"))
    for target, colour in ((1.0, PALETTE[0]), (0.7, PALETTE[2]), (0.0, PALETTE[1])):
        for loss, style in ((reference, {"color": colour, "alpha": 0.3, "lw": 1.2, "ls": "--"}), (part.build(), None)):
            at, value, slope = _over_logits(loss, target, softmax and style is None)
            look = style or {"color": colour, "lw": 2, "label": f"target {target:g}"}
            axes[0].plot(at.numpy(), value.numpy(), **look)
            axes[1].plot(at.numpy(), slope.numpy(), **look)
            axes[2].plot(at.sigmoid().numpy(), value.numpy(), **look)
    titles = ("loss over the logit", "its slope", "loss over the probability (log scale)")
    for each, title in zip(axes, titles, strict=True):
        each.axhline(0, color=THEME["rule"], lw=1, zorder=0)
        each.set_title(title, **TITLE)
    logarithmic(axes[2])
    axes[2].set_ylim(1e-4, 10)
    axes[1].legend(frameon=False, fontsize=9.5, loc="upper left")
    other = " The logit of one other class is 0, and its share of the loss is added." if softmax else ""
    return f"Dashed: binary cross-entropy.{other}"


def _over_logits(loss: Any, target: float, softmax: bool) -> tuple[Tensor, Tensor, Tensor]:
    at = torch.linspace(-8, 8, 641).requires_grad_()
    if softmax:
        logits = torch.stack((at, torch.zeros_like(at)), dim=1)
        targets = torch.tensor([target, 1 - target]).expand_as(logits)
        value = loss(logits, targets).sum(dim=1)
    else:
        value = loss(at, torch.full_like(at, target))
    (slope,) = torch.autograd.grad(value.sum(), at)
    return at.detach(), value.detach(), slope


def distribution(figure: Any, part: Specimen) -> str:
    """A peak that wanders past the distance that is meant; and what an even distribution is pulled to."""
    figure.set_size_inches(10, 4.4)
    axes = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.06, right=0.985, top=0.75, bottom=0.2, wspace=0.16)
    bins, distance, loss = 16, 6.3, part.build()
    middle = torch.linspace(0, bins - 1, 301)
    for width, colour in ((0.5, PALETTE[0]), (1.0, PALETTE[2]), (2.0, PALETTE[1])):
        logits = -((torch.arange(bins) - middle[:, None]) / width).square() / 2  # (N, bins)
        value = loss(logits[:, None].expand(-1, 4, -1), torch.full((len(middle), 4), distance))
        axes[0].plot(middle.numpy(), value.detach().numpy(), color=colour, lw=2, label=f"deviation {width:g} bins")
    axes[0].axvline(distance, color=THEME["muted"], lw=1, ls=":")
    axes[0].set_title("loss over the middle of a bell-shaped prediction, in bins", **TITLE)
    axes[0].legend(frameon=False, fontsize=9.5)
    even = torch.zeros(1, 4, bins, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(even, torch.full((1, 4), distance)).sum(), even)
    axes[1].bar(range(bins), -slope[0, 0].numpy(), color=PALETTE[0])
    axes[1].axvline(distance, color=THEME["muted"], lw=1, ls=":")
    axes[1].axhline(0, color=THEME["rule"], lw=1)
    axes[1].set_title("pull on the logits of an even prediction", **TITLE)
    return f"The distance that is meant is {distance:g} bins (dotted)."
