"""Parts that stand in a network: a photograph's features before and after, and what one cell of the output sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ablab.catalogue.photograph import features, square
from ablab.catalogue.pictures.style import TITLE, logarithmic
from ablab.reports.canvas import PALETTE, THEME
from ablab.surgery.specimen import Specimen
from ablab.surgery.specimen import draw as numbers

CHANNELS = (2, 9, 21, 34, 44, 50)  # edges of light and colour, fine and coarse, and a blob
WIDTH, GAP = 10.0, 0.16  # inches
HEAD, FOOT, SIDE, LOW = 0.68, 0.4, 0.55, 1.8  # inches; LOW is the room for what one slot alone shows
DECADES, NEAR = 6, 12  # of what a cell sees; cells around it, where it sees no further
Place = tuple[float, float, float]  # inches: from the top, the panel's side, the figure's height


def draw(figure: Any, part: Specimen) -> str:
    """Draw the part's maps; the note says what was fed."""
    slot, module = part.entry.slot, part.build()
    module.train(slot in ("dropout", "norm"))  # in evaluation the one does nothing, and the other may not have begun
    x = _uneven(features()) if slot == "norm" else features()
    with torch.no_grad():
        y = module(x.clone())
    same = y.shape == x.shape and slot != "conv"  # a convolution's channels are others
    extra = {"activation": _curve, "attention": _factors, "norm": _moments}.get(slot)
    rows = 3 if same else 2
    cell = (WIDTH - SIDE - 0.2) / len(CHANNELS)
    big = (WIDTH - SIDE - 0.2) / 5
    high = HEAD + 0.28 + big + GAP + rows * cell + FOOT + (LOW if extra else 0)
    figure.set_size_inches(WIDTH, high)
    top = HEAD + 0.28
    _overview(figure, slot, module, x, y, (top, big, high))
    top += big + GAP
    _channels(figure, x, y, (top, cell, high), same)
    if extra:
        axes_height = (LOW - 0.75) / high
        bottom = (FOOT + 0.42) / high
        extra(figure, module, x, y, (bottom, axes_height))
    return _note(slot, x, y)


def _uneven(x: Tensor) -> Tensor:
    """Channels of unlike mean and deviation.  (B, C, H, W)"""
    scale, shift = torch.linspace(0.3, 3, x.shape[1]), torch.linspace(-2, 2, x.shape[1])
    return x * scale[None, :, None, None] + shift[None, :, None, None]


def _note(slot: str, x: Tensor, y: Tensor) -> str:
    """What was fed, to what."""
    mode = {"dropout": "in training mode, one draw", "norm": "in training mode"}.get(slot, "in evaluation mode")
    apart = ", scaled and shifted apart" if slot == "norm" else ""
    start = ". It starts as the identity" if y.shape == x.shape and torch.equal(x, y) else ""
    size = " x ".join(map(str, x.shape))
    return f"64 filters over scikit-image's coffee photograph{apart}, {size}; the part as it starts, {mode}{start}"


def _panel(figure: Any, left: float, top: float, side: float, high: float) -> Any:
    axes = figure.add_axes((left / WIDTH, 1 - (top + side) / high, side / WIDTH, side / high))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _overview(figure: Any, slot: str, module: Any, x: Tensor, y: Tensor, place: Place) -> None:
    """The photograph, strengths before and after, what came in between, and what one cell of the output sees."""
    from matplotlib.colors import LogNorm

    top, big, high = place
    before, after = x[0].abs().mean(0).numpy(), y[0].abs().mean(0).numpy()
    shown: list[tuple[str, Any, dict[str, Any]]] = [
        ("photograph", square(256), {}),
        _strength("input", before),
        _strength("output", after),
    ]
    if slot == "attention":
        factor = _factor(x, y, 1)[0].numpy()
        low, end = np.percentile(factor, [0.5, 99.5])
        shown.append((f"factor a place, {low:.2g} to {end:.2g}", factor, {"cmap": "viridis", "vmin": low, "vmax": end}))
    elif y.shape == x.shape and slot != "conv":
        shown.append(_strength("output − input", (y - x)[0].abs().mean(0).numpy()))
    seen = _seen(module, x).numpy()
    if seen.max() > 0:
        seen, title = _zoomed((seen / seen.max()).clip(10.0**-DECADES))
        shown.append((title, seen, {"cmap": "magma", "norm": LogNorm(10.0**-DECADES, 1)}))
    for number, (title, image, look) in enumerate(shown):
        axes = _panel(figure, SIDE + number * big, top, big - 0.1, high)
        axes.imshow(image, interpolation="nearest", **look)
        axes.set_title(title, fontsize=9, color=THEME["ink"], pad=4)


def _strength(of: str, image: Any) -> tuple[str, Any, dict[str, Any]]:
    most = max(float(np.percentile(image, 99.7)), 1e-6)
    return f"mean |{of}|, to {most if most > 1e-6 else 0:.2g}", image, {"cmap": "magma", "vmin": 0, "vmax": most}


def _zoomed(seen: np.ndarray) -> tuple[np.ndarray, str]:
    """What a cell sees, cut to its neighbourhood where it sees no further."""
    row, column = (side // 2 for side in seen.shape)
    near = seen[row - NEAR : row + NEAR + 1, column - NEAR : column + NEAR + 1]
    if (near > seen.min()).sum() == (seen > seen.min()).sum():
        return near, f"one cell sees ({near.shape[0]} x {near.shape[1]} cut)"
    return seen, "one output cell sees"


def _factor(x: Tensor, y: Tensor, *axes: int) -> Tensor:
    """The number that takes x nearest to y, for each place (axis 1) or channel (axes 2, 3)."""
    return (x * y).sum(axes) / x.square().sum(axes).clamp(min=1e-12)


def _seen(module: Any, x: Tensor) -> Tensor:
    """How much each place of the input moves the cell in the middle of the output.  (1, C, H, W) -> (H, W)"""
    x = x.clone().requires_grad_()
    y = module(x.clone())
    cell = y[0, :, y.shape[2] // 2, y.shape[3] // 2]
    if not cell.requires_grad:
        return torch.zeros(x.shape[2:])
    (gradient,) = torch.autograd.grad((cell * numbers(len(cell))).sum(), x, allow_unused=True)
    return torch.zeros(x.shape[2:]) if gradient is None else gradient[0].abs().sum(0)


def _channels(figure: Any, x: Tensor, y: Tensor, place: Place, same: bool) -> None:
    """Six channels: in, out, and the difference where there is one. Blue is below 0; each says how far its red goes."""
    top, cell, high = place
    for column, channel in enumerate(CHANNELS):
        before, after = x[0, channel].numpy(), y[0, min(channel, y.shape[1] - 1)].numpy()
        rows = [("in", before), ("out", after), *([("out − in", after - before)] if same else [])]
        for row, (label, image) in enumerate(rows):
            most = max(float(np.percentile(np.abs(image), 99.5)), 1e-6)
            axes = _panel(figure, SIDE + column * cell, top + row * cell, cell - 0.06, high)
            axes.imshow(image, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
            if column == 0:
                axes.set_ylabel(label, color=THEME["ink"], fontsize=10.5)
            where = {"ha": "right", "va": "bottom", "transform": axes.transAxes, "fontsize": 7.5}
            box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0}
            axes.text(0.98, 0.02, f"±{most:.2g}" if most > 1e-6 else "0", bbox=box, **where)


def _strip(figure: Any, place: tuple[float, float], left: float, width: float) -> Any:
    return figure.add_axes((left, place[0], width, place[1]))


def _curve(figure: Any, module: Any, x: Tensor, y: Tensor, place: tuple[float, float]) -> None:
    """Value and slope on flat maps from -6 to 6, and how the numbers of the photograph lie before and after."""
    level = torch.linspace(-6, 6, 481).requires_grad_()
    flat = module(level[:, None, None, None] * torch.ones(1, x.shape[1], 5, 5))[:, :4, 2, 2]  # (N, 4 channels)
    slopes = [torch.autograd.grad(each.sum(), level, retain_graph=True)[0] for each in flat.unbind(1)]
    axes = [_strip(figure, place, left, 0.26) for left in (0.055, 0.39, 0.725)]
    alike = bool((flat - flat[:, :1]).abs().max() < 1e-6)
    for channel, colour in enumerate(PALETTE[: 1 if alike else 4]):
        for each, values in zip(axes, (flat[:, channel], slopes[channel]), strict=False):
            each.plot(level.detach().numpy(), values.detach().numpy(), color=colour, lw=1.8)
    whose = "" if alike else ", channels 0 to 3"
    for each, title in zip(axes, (f"output on a flat map{whose}", "slope", "share of all numbers"), strict=True):
        each.axhline(0, color=THEME["rule"], lw=1, zorder=0)
        each.set_title(title, **TITLE)
    for each in axes[:2]:
        each.axvline(0, color=THEME["rule"], lw=1, zorder=0)
        each.set_xlim(-6, 6)
    edges = np.linspace(-4, 4, 81)
    for values, colour, label in ((x, THEME["muted"], "in"), (y, PALETTE[0], "out")):
        share = np.histogram(values.numpy().ravel(), edges)[0] / values.numel()
        axes[2].stairs(share, edges, color=colour, label=label, lw=1.5)
    logarithmic(axes[2])
    axes[2].legend(frameon=False, fontsize=9, loc="upper right", handlelength=1.2)


def _factors(figure: Any, module: Any, x: Tensor, y: Tensor, place: tuple[float, float]) -> None:
    """The factor of each channel."""
    factor = _factor(x, y, 2, 3)[0].numpy()
    axes = _strip(figure, place, 0.075, 0.905)
    axes.vlines(range(len(factor)), factor.mean(), factor, color=THEME["rule"], lw=2)
    axes.plot(factor, "o", ms=4, color=PALETTE[0])
    axes.plot(CHANNELS, factor[list(CHANNELS)], "o", ms=5, color=PALETTE[1])
    axes.axhline(factor.mean(), color=THEME["rule"], lw=1, zorder=0)
    axes.set_xlim(-0.7, len(factor) - 0.3)
    axes.set_title("factor a channel, which takes its input nearest to its output; the six above in orange", **TITLE)
    if np.ptp(factor) < 0.02:
        axes.set_ylim(factor.mean() - 0.02, factor.mean() + 0.02)


def _moments(figure: Any, module: Any, x: Tensor, y: Tensor, place: tuple[float, float]) -> None:
    """Mean and deviation of each channel, before and after."""
    axes = [_strip(figure, place, left, 0.41) for left in (0.055, 0.56)]
    for values, colour, label in ((x, THEME["muted"], "in"), (y, PALETTE[0], "out")):
        moments = values.mean(dim=(0, 2, 3)), values.std(dim=(0, 2, 3))
        for each, moment in zip(axes, moments, strict=True):
            each.plot(moment.numpy(), "o", ms=3, color=colour, label=label)
    for each, title in zip(axes, ("mean a channel", "deviation a channel"), strict=True):
        each.axhline(0, color=THEME["rule"], lw=1, zorder=0)
        each.set_title(title, **TITLE)
    axes[0].legend(frameon=False, fontsize=9, loc="upper left", handlelength=1)
