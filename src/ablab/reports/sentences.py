"""What the reports say in words: what may be concluded, a finding an arm, what is missing."""

from __future__ import annotations

import math
import statistics

from ablab import stats
from ablab.reports import crowds, numerals
from ablab.reports.view import Arm, View
from ablab.stats import MOST_SEEDS, Verdict

VERBS = {
    "helps": "helps",
    "hurts": "hurts",
    "equivalent": "is equivalent to the baseline",
    "undecided": "is undecided",
}


def overview(view: View) -> str:
    """The study in one sentence, or two where it is not finished: a look at half of the data is no result."""
    if not view.judged:
        return f"No verdicts yet. {progress(view)}"
    if view.waiting():
        stands = "what a look decided stands" if view.looking else "so nothing is decided"
        so_far = _counts(view)
        return f"Not finished, {stands}: {progress(view)} So far, {so_far[0].lower()}{so_far[1:]}"
    return _counts(view)


def _counts(view: View) -> str:
    changes = [arm for arm in view.questions if arm.kind == "change"]
    counts = {word: sum(_decided(arm) == word for arm in changes) for word in VERBS}
    parts = [
        f"{count} {verb if count == 1 else plural}"
        for (word, verb), plural in zip(
            VERBS.items(), ("help", "hurt", "are equivalent to the baseline", "are undecided"), strict=True
        )
        if (count := counts[word])
    ]
    if len(changes) == 1:
        return f"The one change {numerals.listing([VERBS[w] for w in VERBS if counts[w]])}."
    return f"Of {len(changes)} changes, {numerals.listing(parts)}." if parts else progress(view)


def conclusion(view: View) -> str:
    """The one sentence of what may be concluded; empty before the verdicts are final."""
    changes = [arm for arm in view.questions if arm.kind == "change" and arm.verdict]
    if not view.judged or view.waiting() or not changes:
        return ""
    named = {word: [arm for arm in changes if _decided(arm) == word] for word in VERBS}
    parts = [
        f"{words} {numerals.listing(crowds.some([f'{_named(view, arm)} ({_size(view, arm)})' for arm in named[word]]))}"
        for word, words in (("helps", "scores better with"), ("hurts", "scores worse with"))
        if named[word]
    ]
    if named["equivalent"]:
        arms = numerals.listing(crowds.some([_named(view, arm) for arm in named["equivalent"]]))
        parts.append(f"scores about the same with {arms} (within ±{view.smallest_interesting:g})")
    unknown = numerals.listing(crowds.some([_named(view, arm) for arm in named["undecided"]]))
    undecided = f"nothing may be concluded about {unknown}, not even that there is no effect"
    if not parts:
        return f"{undecided[0].upper()}{undecided[1:]}."
    where = f"judged on these same {view.split} images" if view.folder else "on these same data"
    over = ", averaged over the arms with and without the other changes" if view.effects else ""
    text = f"Trained again under new seeds and {where}{over}, this baseline {numerals.listing(parts)}"
    return f"{text}{f'; {undecided}' if unknown else ''}."


def against(view: View, arm: Arm) -> str:
    """What an arm was compared with, where that is not the baseline; else empty."""
    return arm.verdict.against if arm.verdict and arm.verdict.against != view.baseline.name else ""


def _named(view: View, arm: Arm) -> str:
    other = "" if view.effects else against(view, arm)
    return f"{arm.name} than with {other}" if other else arm.name


def _size(view: View, arm: Arm) -> str:
    """How much, from the simultaneous interval: `+0.012 to +0.050 AP`, or that this is not known."""
    low, high = arm.verdict.simultaneous if arm.verdict else (math.nan, math.nan)
    if not low * high > 0:
        return "by how much is open"
    return f"{numerals.signed(low)} to {numerals.signed(high)} {view.metric}"


def reach(view: View, arm: Arm) -> str:
    """Whether a decided arm's effect holds for new images, too; empty where nothing was decided or nothing is known."""
    verdict, found = arm.verdict, arm.population
    if verdict is None or found is None or verdict.verdict not in ("helps", "hurts"):
        return ""
    if found.refused:
        return f"Whether it holds on new images is not known: {found.refused}."
    bounds = f"{numerals.interval(found.both)} ({100 * (1 - view.alpha):g}%, this arm alone)"
    if found.both[0] <= 0 <= found.both[1]:
        return f"That it holds on new images, too, is not shown: there the interval is {bounds}."
    return f"On new images from the same source, too: {bounds}."


def curse(view: View) -> str:
    """What choosing the best does to its effect, where nothing was confirmed; empty where nothing was chosen.

    The best of K useless arms shows E[max of K normals] / sqrt(n) of an arm's own sd (`stats.expected_bias`): what it
    does not share with the others under a seed, sd(d) / sqrt(2). A factorial's contrasts share nothing.
    """
    judged = [arm.verdict for arm in view.questions if arm.verdict and arm.verdict.n > 1]
    helping = [verdict for verdict in judged if verdict.verdict == "helps"]
    if view.confirm or len(judged) < 2 or not helping:
        return ""
    winner = max(helping, key=lambda verdict: abs(verdict.effect))
    own = statistics.median(verdict.sd for verdict in judged) / math.sqrt(1 if view.effects else 2)
    by_luck = stats.expected_bias(len(judged), winner.n) * own
    return (
        f"Whoever picks the best of these {len(judged)} picks its luck as well: the best of as many useless ones would "
        f"be expected to show about {by_luck:.4f} {view.metric}. Its size is confirmed by fresh seeds only"
        f"{' (ablab run --confirm)' if view.folder else ''}."
    )


def finding(view: View, arm: Arm) -> str:
    """What was found for an arm, to stand after its name: `helps: +0.031 AP, 95% simultaneous interval ...`."""
    verdict = arm.verdict
    if verdict is None:
        return "has no verdict yet."
    if verdict.n == 0:
        return f"{VERBS[verdict.verdict]}: no seed has a score for it and for the baseline."
    text = f"{verb(view, arm)}: {numerals.signed(verdict.effect)} {view.metric}{_evidence(view, verdict)}"
    said = qualifiers(view, verdict)
    text += f" ({'; '.join(said)})" if said else ""
    need = needed(verdict)
    text += f". {need[0].upper()}{need[1:]}." if need else "."
    text += f" {beyond}" if (beyond := reach(view, arm)) else ""
    return text + (_alarm(arm, verdict) if arm.kind == "control" else "")


def verb(view: View, arm: Arm) -> str:
    """What an arm does: `helps`, `is equivalent to the baseline`, `hurts, compared with full`."""
    other, word = against(view, arm), _decided(arm)
    if not other:
        return VERBS[word]
    return f"is equivalent to {other}" if word == "equivalent" else f"{VERBS[word]}, compared with {other}"


def decided(view: View, arm: Arm) -> str:
    """The verdict's word and its qualifiers, for a table's cell: `helps; by at least 0.01`."""
    return "; ".join([_decided(arm), *(qualifiers(view, arm.verdict) if arm.verdict else [])])


def _evidence(view: View, verdict: Verdict) -> str:
    level = f"{100 * (1 - view.alpha):g}%"
    if verdict.n < 2:
        return ", from one seed, which has no interval"
    p = f", p {_equals(verdict.p_adjusted)} ({view.correction})" if numerals.known(verdict.p_adjusted) else ""
    text = f", {level} simultaneous interval {numerals.interval(verdict.simultaneous)}{p}"
    if verdict.verdict == "equivalent":
        inside = f"{100 * (1 - 2 * view.alpha):g}% interval {numerals.interval(verdict.equivalence)}"
        text = f", {inside} inside ±{view.smallest_interesting:g}"
    return text


def _equals(p: float) -> str:
    text = numerals.p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _alarm(arm: Arm, verdict: Verdict) -> str:
    if arm.name != "a/a":
        return f" It is a control: {arm.because}."
    if verdict.verdict in ("helps", "hurts"):
        return " That is a false alarm: nothing was changed here, so read the other rows with care."
    return " Nothing was changed here, and nothing was found."


def qualifiers(view: View, verdict: Verdict) -> list[str]:
    """The verdict's qualifiers but those that the report says elsewhere: the control's kind and the study's label."""
    return [q for q in verdict.qualifiers if q != "control" and not (view.label and q.startswith(view.label))]


def needed(verdict: Verdict | None) -> str:
    """What would decide an undecided arm: `a fresh study would need 7 to 21 seeds`; empty where none is needed."""
    if verdict is None or verdict.fresh_seeds is None:
        return ""
    low, high = verdict.fresh_seeds
    if low >= MOST_SEEDS:
        return f"a fresh study would need {MOST_SEEDS} seeds or more"
    if high >= MOST_SEEDS:
        return f"a fresh study would need {low} seeds or more"
    return f"a fresh study would need {low} to {high} seeds" if low < high else f"a fresh study would need {low} seeds"


def progress(view: View) -> str:
    """How many runs are done, and what is still to come."""
    expected = len(view.expected())
    done = sum(len(set(arm.done()) & set(view.seeds)) for arm in view.arms)
    text = f"{done} of {expected} runs are done"
    troubled, waiting = len(view.troubled()), len(view.waiting())
    text += f", {troubled} failed or diverged" if troubled else ""
    text += f", {waiting} {'is' if waiting == 1 else 'are'} still to come" if waiting else ""
    return text + "."


def notes(view: View) -> list[str]:
    """What stands under a verdict table: what undecided arms need, the label, trouble, warnings."""
    said = crowds.some(
        [f"{arm.name} is undecided: {needed(arm.verdict)}" for arm in view.questions if needed(arm.verdict)]
    )
    if view.label:
        said.append(screening(view))
    if view.judged and (view.troubled() or view.waiting()):
        said.append(progress(view))
    said += crowds.some(
        [f"{arm.name}, seed {seed}: {record.status}: {record.error}" for arm, seed, record in view.troubled()]
    )
    return said + [f"warning: {warning}" for warning in crowds.some(view.warnings)]


def screening(view: View) -> str:
    """Why a study carries its label: too few seeds have a score on both sides."""
    pairs = max((arm.verdict.n for arm in view.questions if arm.verdict and arm.verdict.n), default=len(view.seeds))
    count = seeds(min(pairs, len(view.seeds)))
    return f"{view.label}: {count} can show large effects only; confirm with five fresh seeds or more"


def seeds(count: int) -> str:
    """`one seed`, `5 seeds`."""
    return "one seed" if count == 1 else f"{count} seeds"


def asked_seeds(view: View) -> str:
    """`5 seeds`, or `up to 12 seeds` where looks may stop an arm."""
    return f"{'up to ' if view.looking else ''}{seeds(len(view.seeds))}"


def _decided(arm: Arm) -> str:
    return arm.verdict.verdict if arm.verdict else ""


def spread(values: dict[int, float]) -> str:
    """Scores over seeds as `0.512 ± 0.004`, mean and standard deviation; one seed has no spread."""
    numbers = list(values.values())
    if not numbers:
        return numerals.NOTHING
    mean = math.fsum(numbers) / len(numbers)
    if len(numbers) == 1:
        return numerals.score(mean)
    sd = math.sqrt(math.fsum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1))
    return f"{numerals.score(mean)} ± {sd:.3f}"


def environments(view: View) -> list[str]:
    """Every environment that runs were made in, once each: `torch 2.14.1, python 3.11.9`."""
    found = [run.record.environment for arm in view.arms for run in arm.runs.values() if run.record.environment]
    return list(dict.fromkeys(", ".join(f"{name} {value}" for name, value in sorted(e.items())) for e in found))
