"""Tables of single things for a terminal: a plan, scores, COCO's figures, a data set's defects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from ablab.reports.prospects import design_lines
from ablab.reports.sites import becomes

HEADLINE = ("AP", "AP50", "AP75", "precision", "recall", "F1")
SITES_SHOWN = 4
EXAMPLES = 3  # places of a kind of defect
COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


def plan_tables(plan: Mapping[str, Any]) -> list[Table | Text]:
    """What `ablab plan` prints: cost and time an arm, the sites of each edit, and what the seeds can detect."""
    shares = {arm["arm"]: arm["weights_loaded"] for arm in plan["arms"] if arm["weights_loaded"] is not None}
    columns = ("parameters", "GFLOPs", "latency ms", "step ms", "min a run", "MB", *(("loaded",) if shares else ()))
    costs = _table("arm", *columns)
    for arm in plan["arms"]:
        share = [f"{shares[arm['arm']]:.1%}" if arm["arm"] in shares else "-"] if shares else []
        costs.add_row(
            arm["arm"],
            f"{arm['parameters']:,}",
            f"{arm['flops'] / 1e9:.2f}",
            f"{arm['latency_ms']:.1f} ± {arm['latency_iqr_ms'] / 2:.1f}",
            f"{arm['step_ms']:.0f}",
            f"{arm['run_seconds'] / 60:.1f}",
            f"{arm['memory_mb']:,.0f}" if arm.get("memory_mb") else "-",
            *share,
        )
    lines: list[Table | Text] = [costs]
    for arm in plan["arms"]:
        if arm["differences"]:
            lines.append(Text(f"{arm['arm']}: {'; '.join(arm['differences'])}", style="bold"))
        if arm["sites"]:
            lines.append(_sites(arm))
        lines += [Text(f"{arm['arm']}: {note}", style="yellow") for note in arm["notes"]]
    lines += [Text(note, style="yellow") for note in plan["notes"]]
    return [*lines, *design_lines(plan), *map(Text, _prospects(plan))]


def _sites(arm: Mapping[str, Any]) -> Table:
    table = _table(f"{len(arm['sites'])} sites", "was", "becomes", "shape", "parameters")
    for each in arm["sites"][:SITES_SHOWN]:
        site = each if isinstance(each, Mapping) else each.__dict__
        shapes = dict.fromkeys("x".join(map(str, site[key])) for key in ("input_shape", "output_shape"))
        table.add_row(site["name"], site["old"], becomes(site), " -> ".join(shapes), f"{site['parameters']:+,}")
    if len(arm["sites"]) > SITES_SHOWN:
        table.add_row(f"and {len(arm['sites']) - SITES_SHOWN} more", "", "", "--json lists all", "")
    return table


def _prospects(plan: Mapping[str, Any]) -> list[str]:
    found, runs = plan["detectable"], len(plan["arms"]) * len(plan["seeds"])
    least = (plan.get("looks") or [{"runs": runs, "hours": plan["hours"]}])[0]
    many, unit = (60, "minutes") if plan["hours"] * 60 >= 2 else (3600, "seconds")
    taken = _range(f"{least['hours'] * many:.0f}", f"{plan['hours'] * many:.0f}")
    lines = [f"{_range(str(least['runs']), str(runs))} runs, {plan['jobs']} at a time: about {taken} {unit}"]
    if plan.get("disk_mb"):
        lines.append(
            f"about {_size(plan['disk_mb'])} of disk, of {_size(plan['free_disk_mb'])} that are free; MB: memory of a "
            "run at its peak"
        )
    if plan.get("looks"):
        looks = ", ".join(f"{look['seeds']} seeds (|t| > {look['boundary']:.2f})" for look in plan["looks"])
        lines.append(
            f"the fewest where every arm is decided at the first look, the most where none is; looks at {looks}"
        )
    if plan["max_hours"] and plan["hours"] > plan["max_hours"]:
        lines.append(
            f"warning: that is more than max_hours = {plan['max_hours']}; some runs will be left for a second call"
        )
    if found["one"] is None:
        return [*lines, "one seed detects nothing: no spread is known; 5 or more give a verdict"]
    if found["comparisons"] > 1 and plan["design"]["name"] == "one-at-a-time" and not plan.get("looks"):
        lines.append(
            f"an arm's |t| has to pass {found['critical']['holm']:.2f} among all (Bonferroni's, by its own noise), "
            f"or {found['critical']['dunnett']:.2f} by judge.method: dunnett (assumes equal seed noise in every arm)"
        )
    return lines + (["fewer than 5 seeds: a screening"] if found["seeds"] < 5 else [])


def _size(mb: float) -> str:
    return f"{mb / 1024:,.1f} GB" if mb >= 1024 else f"{mb:,.0f} MB"


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def score_table(scores: Mapping[str, Mapping[str, float]]) -> Table:
    """Headline metrics, one column a split, then per-class AP."""
    table = _table("metric", *scores)
    names = next(iter(scores.values()))
    for name in [*(n for n in HEADLINE if n in names), *(n for n in names if n.startswith("AP/"))]:
        table.add_row(name, *(_figure(found.get(name)) for found in scores.values()))
    return table


def rate_table(named: Mapping[str, float | None], broke: float | None) -> Table:
    """Named learning rates of a range test, and where the loss broke away."""
    table = _table("learning rate", "value")
    for name, rate in {**named, "broke away at": broke}.items():
        table.add_row(name, "-" if rate is None else f"{rate:.2g}")
    return table


def figures_table(figures: Mapping[str, float]) -> Table:
    """COCO's figures, one row each."""
    table = _table("figure", "value")
    for name, value in figures.items():
        table.add_row(name, _figure(value))
    return table


def defect_summary(defects: Sequence[Mapping[str, str]]) -> Table:
    """Kinds of defect, one row each: how grave, how many, and the first places."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for defect in defects:
        kinds.setdefault((defect["severity"], defect["kind"]), []).append(defect["where"])
    table = _table("", "defect", "count", "where")
    for (severity, kind), places in kinds.items():
        names = list(dict.fromkeys(places))
        shown = ", ".join(names[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")
        table.add_row(Text(severity, COLOURS[severity]), Text(kind), f"{len(places):,}", Text(shown))
    return table


def defect_table(defects: Sequence[Mapping[str, str]], most: int | None = None) -> list[Table | Text]:
    """Defects of a data set, one row each, at most `most` of a kind, and a line about those that are not shown."""
    shown, times = [], Counter[str]()
    for defect in defects:
        times[defect["kind"]] += 1
        if most is None or times[defect["kind"]] <= most:
            shown.append(defect)
    table = _table("defect", "where", "what")
    for defect in shown:
        table.add_row(*(Text(defect[key]) for key in ("kind", "where", "detail")))
    left = len(defects) - len(shown)
    return [table, Text(f"{left:,} more of these kinds: --all shows them, --json lists them")] if left else [table]


def class_table(rows: Sequence[Mapping[str, Any]], splits: Sequence[str]) -> Table:
    """Classes of a data set, one row each: boxes, the images that have them, and the median size in every split.

    Sizes are left out where more than four splits want the place.
    """
    sizes = len(splits) <= 4
    table = _table("class", *splits)
    table.caption = "boxes in images" + ", median width x height in pixels" * sizes
    for row in rows:
        table.add_row(Text(row["class"]), *(_census(row[split], sizes) for split in splits))
    return table


def _census(found: Mapping[str, Any], sizes: bool) -> str:
    if not found["boxes"]:
        return "-"
    size = f", {found['size'][0]:.0f} x {found['size'][1]:.0f}" if sizes else ""
    return f"{found['boxes']:,} in {found['images']:,}{size}"


def _figure(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.4f}"


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(first, overflow="fold")
    for name in others:
        left = name in {"was", "becomes", "defect", "where", "what", "shape"}
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    return table
