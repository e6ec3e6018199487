r"""The verdicts as a LaTeX table, ready for a paper: `\input{report.tex}` after `\usepackage{booktabs}`."""

from __future__ import annotations

from collections.abc import Sequence

from ablab.reports import method, numerals, sentences
from ablab.reports.view import Arm, View, mean

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",  # after a row's end it would open an argument
    "]": "{]}",
    "−": "$-$",
    "±": r"$\pm$",
    "–": "--",
}


def as_latex(view: View) -> str:
    """A `table` with one row an arm: verdict, effect, simultaneous interval, p (Holm), pairs, mean score, parameters.

    The caption says what the intervals cover, so that the table can be read without the text around it.
    """
    costly = any(arm.cost("parameters") is not None for arm in view.arms)
    head = [
        "arm",
        "verdict",
        f"effect on {view.metric}",
        f"{method.level(view)} interval",
        f"$p$ ({view.correction})",
        "$n$",
    ]
    head += [f"mean {view.metric}", *(["parameters"] if costly else [])]
    names = [cell if "$" in cell else escape(cell) for cell in head]
    lines = [
        rf"% {comment(view)}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption(view)}}}",
        rf"\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}",
        r"\toprule",
        rf"{' & '.join(names)} \\",
        r"\midrule",
        *[rf"{' & '.join(_row(view, arm, costly))} \\" for arm in view.arms],
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text without meaning to LaTeX; a line break becomes a space."""
    return "".join(SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


def comment(view: View) -> str:
    """Which study this is, on one line."""
    words = (f"study {view.name}", view.fingerprint and f"fingerprint {view.fingerprint}", view.version)
    return " ".join(", ".join(word for word in words if word).split())


def caption(view: View) -> str:
    """What the table shows and what its intervals cover, escaped."""
    return escape(
        f"{view.metric}{f' on {view.split}' if view.split else ''}, {sentences.asked_seeds(view)}. "
        f"{method.coverage(view)} Smallest interesting effect: ±{view.smallest_interesting:g}."
        + (f" This is a {sentences.screening(view)}." if view.label else "")
    )


def _row(view: View, arm: Arm, costly: bool) -> Sequence[str]:
    verdict, cells = arm.verdict, [arm.name]
    if verdict is None:
        cells += ["(baseline)" if arm.kind == "baseline" else numerals.NOTHING, *[""] * 4]
    else:
        bounds = numerals.interval(verdict.simultaneous)
        cells += [sentences.decided(view, arm), numerals.signed(verdict.effect), bounds]
        cells += [numerals.p_value(verdict.p_adjusted), str(verdict.n)]
    cells.append(numerals.score(mean(list(view.judged_scores(arm).values()))))
    return [escape(cell) for cell in [*cells, *([numerals.amount(arm.cost("parameters"))] if costly else [])]]
