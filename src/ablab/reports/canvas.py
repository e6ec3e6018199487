"""Where figures are drawn: matplotlib without pyplot's global state, saved as SVG that can stand in a page with others.

Text stays text (it can be read aloud, searched and copied), ids are unique in the page, nothing depends on the date,
and the neutral colours are CSS variables, so that a figure follows the page's light or dark theme.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from typing import Any

from ablab.reports.view import Arm, View

THEME = {"ink": "#1d2731", "muted": "#66727e", "rule": "#d3d9df", "band": "#edf1f4", "paper": "#fefefe"}
# Okabe and Ito's colours (2008), distinct under the common kinds of colour blindness; their yellow is too faint here.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
SMALL, FONT = 10.5, 11.5  # px; a figure is drawn at 1 px a point
LARGEST = 1.2  # a page may stretch a figure by so much

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib; only measures text, the page's CSS sets the face
    "font.size": FONT,
    "text.parse_math": False,  # a name may hold a dollar
    "figure.facecolor": "none",  # the page is the paper
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": THEME["ink"],
    "axes.edgecolor": THEME["rule"],
    "axes.labelcolor": THEME["muted"],
    "axes.labelsize": SMALL,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": THEME["rule"],
    "ytick.color": THEME["rule"],
    "xtick.labelcolor": THEME["muted"],
    "ytick.labelcolor": THEME["muted"],
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "svg.fonttype": "none",
    "svg.hashsalt": "ablab",
    "path.simplify": True,
    "lines.solid_capstyle": "round",
}


@dataclass(frozen=True)
class Drawing:
    """One SVG, with a sentence for those who cannot see it. `title` stands above it, `note` below."""

    svg: str
    alt: str
    title: str = ""
    note: str = ""


def colour(view: View, arm: Arm) -> str:
    """An arm's colour, the same in every figure: ink for the baseline, grey for controls, the palette for changes."""
    if arm.kind == "baseline":
        return THEME["ink"]
    if arm.kind == "control":
        return THEME["muted"]
    changes = dict.fromkeys(each.name for each in (*view.effects, *view.arms) if each.kind in ("change", "cell"))
    return PALETTE[list(changes).index(arm.name) % len(PALETTE)]


def blank(width: float, height: float, margins: tuple[float, float, float, float]) -> tuple[Any, Any]:
    """A figure of so many px with one pair of axes inside `margins` (left, right, top, bottom), in px."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    left, right, top, bottom = margins
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    return figure, figure.add_axes(box)


def styled() -> Any:
    """The context in which every figure is drawn and saved."""
    import matplotlib

    defaults: dict[Any, Any] = dict(matplotlib.rcParamsDefault)
    return matplotlib.rc_context(defaults | {"backend": "agg"} | STYLE)


def svg(figure: Any, name: str) -> str:
    """A figure as an SVG element; `name` is unique in the page. The bytes depend on the figure and the name alone."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    prefix = "f" + hashlib.sha256(name.encode()).hexdigest()[:8]
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'((?:xlink:)?href=")#', rf"\1#{prefix}-", text).replace("url(#", f"url(#{prefix}-")
    head, _, body = text.partition(">")
    width = LARGEST * figure.get_figwidth() * 72
    head = re.sub(r' (width|height)="[^"]*"', "", head) + f' style="max-width: {width:g}px"'
    text = f"{head}>{body}"
    for role, value in THEME.items():
        text = text.replace(value, f"var(--{role})")
    for number, value in enumerate(PALETTE):
        text = text.replace(value, f"var(--arm-{number})")
    return text.strip()


def short(name: str, most: int) -> str:
    """A name that fits: cut in the middle where it is longer than `most` letters."""
    return name if len(name) <= most else f"{name[: most - 6]}…{name[-5:]}"
