"""What moves weights: an optimizer's way down a valley, and what an initialisation draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ablab import registry
from ablab.catalogue.pictures.style import TITLE, logarithmic
from ablab.measure.seeding import forked
from ablab.reports.canvas import PALETTE, THEME
from ablab.surgery.specimen import Specimen, specimen

START, STEPS = (-1.6, 1.7), 300
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)


def optimizer(figure: Any, part: Specimen) -> str:
    """The way through a bent valley and the loss on it, at five rates."""
    figure.set_size_inches(10, 4.9)
    axes = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1.25, 1)})
    figure.subplots_adjust(left=0.05, right=0.985, top=0.78, bottom=0.17, wspace=0.15)
    x, y = np.meshgrid(np.linspace(-2.1, 2.1, 301), np.linspace(-1.2, 2.6, 271))
    height = _valley(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    axes[0].contourf(x, y, np.log(height + 0.02), 24, cmap="Greys", alpha=0.3)
    for rate, colour in zip(RATES, PALETTE, strict=False):
        way, losses = _descent(part, rate)
        axes[0].plot(way[:, 0], way[:, 1], color=colour, lw=1.6, marker="o", ms=1.8, label=f"lr {rate:g}")
        axes[1].plot(losses, color=colour, lw=1.8)
    axes[0].plot(*START, "o", color=THEME["ink"], ms=6)
    axes[0].plot(1, 1, "*", color=THEME["ink"], ms=11)
    axes[0].set_xlim(-2.1, 2.1)
    axes[0].set_ylim(-1.2, 2.6)
    axes[0].legend(frameon=True, framealpha=0.8, edgecolor="none", fontsize=9.5, loc="lower left")
    axes[0].set_title("the way from the dot; the star is the least", **TITLE)
    _, reference = _descent(specimen(registry.get("sgd", "optimizer")), 0.003)
    axes[1].plot(reference, color=THEME["muted"], lw=1.2, ls="--")
    logarithmic(axes[1])
    axes[1].set_ylim(1e-5, 30)
    axes[1].set_title(f"loss over {STEPS} steps", **TITLE)
    return "Rosenbrock's valley, (1 − x)² + 10 (y − x²)², without noise. Dashed: sgd as it comes, lr 0.003."


def _valley(x: Tensor, y: Tensor) -> Tensor:
    return (1 - x).square() + 10 * (y - x.square()).square()


def _descent(part: Specimen, rate: float) -> tuple[np.ndarray, list[float]]:
    weight = nn.Parameter(torch.tensor(START))
    given: dict[str, Any] = {"params": [weight], "lr": rate, "weight_decay": 0.0}
    made: Any = part.build(**{name: value for name, value in given.items() if name in part.entry.arguments})

    def closure() -> Tensor:
        made.zero_grad()
        loss = _valley(weight[0], weight[1])
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    way, losses = [weight.detach().clone()], []
    for _ in range(STEPS):
        losses.append(float(made.step(closure)))
        way.append(weight.detach().clone())
        if not torch.isfinite(weight).all() or losses[-1] > 1e6:
            break
    return torch.stack(way).numpy(), losses


def initialisation(figure: Any, part: Specimen) -> str:
    """How the numbers of a weight lie, its singular values, and a signal that goes through thirty such layers."""
    figure.set_size_inches(10, 4.2)
    axes = figure.subplots(1, 3)
    figure.subplots_adjust(left=0.06, right=0.985, top=0.74, bottom=0.17, wspace=0.24)
    weight = torch.empty(64, 64, 3, 3)
    with torch.no_grad():
        part.build()(weight)
    axes[0].hist(weight.flatten().numpy(), 80, color=PALETTE[0], density=True)
    axes[0].set_title(f"density; deviation {float(weight.std()):.3g}", **TITLE)
    axes[1].plot(torch.linalg.svdvals(weight.flatten(1)).numpy(), color=PALETTE[0], lw=2)
    axes[1].set_ylim(bottom=0)
    axes[1].set_title("singular values of (64, 64 x 9)", **TITLE)
    for act, colour in ((torch.relu, PALETTE[0]), (torch.tanh, PALETTE[1])):
        axes[2].plot(_depth(part, act), color=colour, lw=2, label=act.__name__)
    logarithmic(axes[2])
    low, high = axes[2].get_ylim()
    axes[2].set_ylim(min(low, 0.1), max(high, 10))
    axes[2].legend(frameon=False, fontsize=9.5)
    axes[2].set_title("a signal's deviation after so many layers", **TITLE)
    return "A weight of 64 x 64 x 3 x 3; right: linear layers of 256, each followed by the activation."


def _depth(part: Specimen, act: Any, layers: int = 30) -> list[float]:
    signal, found = torch.randn(256, 256), [1.0]
    for layer in range(layers):
        weight = torch.empty(256, 256)
        with forked("picture", "layer", layer), torch.no_grad():
            part.build()(weight)
        signal = act(signal @ weight.T)
        found.append(max(float(signal.std()), 1e-12))
    return found
