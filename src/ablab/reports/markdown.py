"""The report as Markdown, for a pull request, a wiki or a notebook."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ablab.reports import crowds, grids, method, numerals, sentences
from ablab.reports.view import Arm, View, day, mean

SPANS = (
    "Over seeds: trained again, judged on these same images. Over images: these very networks, new images from the "
    "same source. Over both: trained again and judged on new images. Each interval is for one arm alone."
)


def as_markdown(view: View) -> str:
    """The report: headlines, verdicts, scores, cost, test split, what was compared, how it was decided."""
    parts = [
        [f"# {_plain(view.name)}", "", _plain(sentences.overview(view)), ""],
        [_plain(sentences.conclusion(view)), ""] if sentences.conclusion(view) else [],
        [f"- **{_plain(arm.name)}** {_plain(sentences.finding(view, arm))}" for arm in view.questions],
        _section("Verdicts", [*_verdicts(view), "", _plain(method.coverage(view)), ""]),
        [f"- {_plain(note)}" for note in sentences.notes(view)],
        _section(f"{view.metric} of every seed{f', {view.split} split' if view.split else ''}", _scores(view)),
        _section("What each interval covers", _grid(found, SPANS, *method.unseen(view)))
        if (found := grids.spans(view))
        else [],
        _section("Noise, and what this study could see", _noise(view, found))
        if (found := grids.resolutions(view))
        else [],
        _section("Cost", _cost(view)) if any(arm.cost("parameters") is not None for arm in view.arms) else [],
        _section(f"The {view.final_split} split", _final(view)) if view.final_split else [],
        _section("What was compared", _compared(view)) if any(arm.diff for arm in view.compared) else [],
        _section("How it was decided", [line for text in method.paragraphs(view) for line in (_plain(text), "")][:-1]),
        _section("Reproduce", _reproduce(view)) if view.folder else [],
    ]
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"## {_plain(title)}", "", *lines]


def _plain(text: str) -> str:
    """Text without meaning to Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table; the first column is left-aligned, the others right-aligned."""
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _grid(grid: grids.Grid, *said: str) -> list[str]:
    rows = [[_plain(cell) for cell in (name, *cells)] for name, cells in grid.rows]
    return [line for text in said if text for line in (_plain(text), "")] + _table(list(map(_plain, grid.head)), rows)


def _noise(view: View, grid: grids.Grid) -> list[str]:
    return _grid(grid, method.noise(view), method.power(view))


def _verdicts(view: View) -> list[str]:
    rows = []
    for arm in view.questions:
        verdict = arm.verdict
        if verdict is None:
            rows.append([_plain(arm.name), *[numerals.NOTHING] * 5])
            continue
        said = "; ".join([f"**{verdict.verdict}**", *map(_plain, sentences.qualifiers(view, verdict))])
        effect, bounds = numerals.signed(verdict.effect), numerals.interval(verdict.simultaneous)
        rows.append([_plain(arm.name), said, effect, bounds, numerals.p_value(verdict.p_adjusted), str(verdict.n)])
    level = f"{100 * (1 - view.alpha):g}% simultaneous interval"
    return _table(
        ["arm", "verdict", f"effect on {_plain(view.metric)}", level, f"p ({view.correction})", "seeds"], rows
    )


def _scores(view: View) -> list[str]:
    if len(view.seeds) > crowds.SEEDS:
        return _grid(grids.seed_scores(view))
    rows = []
    for arm in view.arms:
        scores = view.judged_scores(arm)
        cells = [numerals.score(scores.get(seed)) + (" †" if seed in arm.lost else "") for seed in view.seeds]
        rows.append([_plain(arm.name), *cells, numerals.score(mean(list(scores.values())))])
    lines = _table(["arm", *[f"seed {seed}" for seed in view.seeds], "mean"], rows)
    if any(arm.diverged() for arm in view.arms):
        lines += ["", f"† diverged: the score declared for that, {numerals.score(view.on_divergence)}"]
    return lines


def _cost(view: View) -> list[str]:
    base = view.baseline
    rows = [
        [
            _plain(arm.name),
            _against(numerals.amount(arm.cost("parameters")), arm, base, "parameters"),
            _against(numerals.amount(arm.cost("flops")), arm, base, "flops"),
            _against(numerals.milliseconds(arm.cost("latency_ms")), arm, base, "latency_ms"),
            _against(numerals.duration(arm.cost("train_seconds")), arm, base, "train_seconds"),
        ]
        for arm in view.arms
    ]
    said = [line for text in method.shared(view) for line in ("", _plain(text))]
    return [*_table(["arm", "parameters", "FLOPs", "latency, ms", "training"], rows), *said]


def _against(text: str, arm: Arm, base: Arm, name: str) -> str:
    """A figure with its change against the baseline: `1.95 M (+4.1%)`."""
    change = numerals.change(arm.cost(name), base.cost(name))
    return f"{text} ({change})" if arm is not base and change else text


def _final(view: View) -> list[str]:
    """Rows are metrics, columns arms. Figures of one class or one fixed threshold are left to the other formats."""
    known = [
        name
        for name in view.metrics(view.final_split)
        if any(view.scores(a, name, view.final_split) for a in view.arms)
    ]
    metrics = [(name, name) for name in known if not set("/@") & set(name)]
    when = f" ({day(view.final_read)})" if view.final_read else ""
    seeds = "seeds that finished" if view.troubled() else "seeds"
    text = f"Scored once, when the study closed{when}. Mean ± standard deviation over {seeds}; descriptive."
    return _grid(grids.scores(view, metrics, view.final_split), text)


def _compared(view: View) -> list[str]:
    lines = []
    for arm in view.compared:
        because = f" ({_plain(arm.because)})" if arm.because else ""
        lines.append(f"- **{_plain(arm.name)}**{because}")
        lines += [f"  - {_plain(line)}" for line in arm.diff]
        lines += [f"  - not reached: {_plain(call)}" for call in arm.plan.get("unreached", ())]
    return lines


def _reproduce(view: View) -> list[str]:
    hashes = {run.record.batch_hash for run in view.baseline.done().values()} - {""}
    lines = [
        f"- study {_plain(view.name)}, fingerprint {view.fingerprint}, ablab {view.version}, {day(view.created)}",
        f"- seeds {crowds.numbers(view.seeds)}; design {view.design}",
    ]
    environments = sentences.environments(view)
    lines += [f"- environment: {_plain(environment)}" for environment in environments]
    return lines + ([f"- batches of the baseline: {', '.join(crowds.some(sorted(hashes)))}"] if hashes else [])
