"""How it was decided and what each interval covers, in words for a reader who was not there."""

from __future__ import annotations

from ablab.reports import evidence, numerals, sentences
from ablab.reports.view import View


def level(view: View) -> str:
    """The level of the intervals: `95%`."""
    return f"{100 * (1 - view.alpha):g}%"


def coverage(view: View) -> str:
    """What the interval in the verdict table covers, in one sentence."""
    where = f"on these same {view.split} images" if view.split else "on these same data"
    over = "arms and looks" if view.looking else "arms"
    return (
        f"Intervals are {level(view)} simultaneous ({_intervals(view)}, over all {over}) and cover new seeds {where}, "
        "not new images."
    )


def _intervals(view: View) -> str:
    return "Bonferroni" if view.correction == "Holm" else view.correction


def paragraphs(view: View) -> list[str]:
    """How it was decided, one paragraph each."""
    return [_training(view), _effect(view), _words(view), _limits(view)]


def _training(view: View) -> str:
    if view.folder is None:
        pairs = (
            "Scores under one seed are taken as a pair; whether they share their luck is for those who trained to say."
            if view.paired
            else "Seeds are not common to the arms, so that nothing is paired."
        )
        return f"ablab did not train these networks: it judged the scores that it was given. {pairs}"
    return (
        f"Every arm was trained once under each of {sentences.asked_seeds(view)}. Under one seed all arms see the "
        "same order of images and the same augmentation, and the weights that a change does not touch start from the "
        "same values. An a/a control is the baseline again under streams of its own."
    )


def _effect(view: View) -> str:
    better = "higher" if view.direction == "max" else "lower"
    metric, where = view.metric, f" on the {view.split} split" if view.split else ""
    effect = f"mean over seeds of {metric}(arm) − {metric}(what it is compared with)"
    test = "two-sided paired t-test over seeds"
    if not view.paired:
        effect, test = f"difference of the means of {metric}, arm − what it is compared with", "two-sided Welch t-test"
    if view.looking:
        return (
            f"The effect is the {effect}{where}; {better} is better. It speaks of new trainings, judged on these same "
            f"images. {looks(view)}"
        )
    if view.correction == "Dunnett":
        test += ", with a noise that is assumed to be equal in every arm"
    return (
        f"The effect is the {effect}{where}; {better} is better. It speaks of new trainings, judged on these same "
        f"images. p comes from the {test}, and {view.correction}'s correction over all comparisons decides at alpha = "
        f"{view.alpha:g}. The interval is {_intervals(view)}'s: all {level(view)} intervals of the verdict table hold "
        "together."
    )


def looks(view: View) -> str:
    """The rule of a study that looked before all seeds were in."""
    at, bounds = view.looking["at"], view.looking.get("boundaries", ())
    said = f" ({numerals.listing([f'{bound:.2f}' for bound in bounds])})" if bounds else ""
    return (
        f"Looks after {numerals.listing([str(n) for n in at])} seeds were declared before the first run. An arm is "
        f"decided at the first look where its |t| passes that look's boundary{said}, which keeps alpha = "
        f"{view.alpha:g} for all looks and arms together. After an early stop the interval is the boundary's, wider "
        "than Student's; there is no p-value, since the plain one does not know of the looks."
    )


def _words(view: View) -> str:
    margin = f"±{view.smallest_interesting:g} {view.metric}"
    narrow, when = f"{100 * (1 - 2 * view.alpha):g}%", " before the first run" if view.folder else ""
    passes = "a look says so" if view.looking else f"{view.correction}'s p is below {view.alpha:g}"
    return (
        f"An arm helps or hurts where {passes}. It is equivalent where it does "
        f"neither and its {narrow} interval lies inside {margin}, which was declared the smallest interesting effect"
        f"{when}; this is said of each arm alone unless the row says “for all arms at once”. Otherwise it is "
        "undecided: the study was too small to tell, which is no proof of no effect."
    )


def _limits(view: View) -> str:
    return (
        "Adding seeds to a closed study voids alpha; the seeds that a fresh study would need are a range because the "
        "spread between seeds is itself estimated. Everything on this page beside the verdict table is descriptive: it "
        "was not corrected for how many figures there are, so that the best of them looks better than it is."
    )


def noise(view: View) -> str:
    """The baseline's noise floor in words; empty where it is not known."""
    floor = evidence.noise(view)
    if floor is None:
        return ""
    return (
        f"Over {sentences.seeds(floor.n)} the baseline's {view.metric} has a standard deviation of "
        f"{floor.sd:.4f} (with so few runs itself known only to {floor.low:.4f} to {floor.high:.4f}, {level(view)}). "
        f"Two single runs of the baseline, nothing changed, differ by more than {floor.typical:.4f} every second time "
        f"and by more than {floor.large:.4f} with probability {view.alpha:g}. A difference between two single runs "
        "that is no larger than that shows nothing."
    )


def power(view: View) -> str:
    """What the columns of smallest detectable effects mean."""
    text = (
        "With as many seeds and as much noise as were measured, a fresh study would find an effect of the size in the "
        "last columns four times in five, a smaller one less often. So “undecided” is no evidence against an effect of "
        "that size or smaller."
    )
    return f"{text} {survivors(view)}".strip()


def survivors(view: View) -> str:
    """A warning where runs diverged: figures of those that finished flatter the arm. Empty where none did."""
    arms = [arm.name for arm in view.arms if arm.diverged()]
    if not arms:
        return ""
    return (
        f"Only runs that finished count here. {numerals.listing(arms)} also diverged, so what is left looks better "
        "than the arm is."
    )


def unseen(view: View) -> list[str]:
    """Arms without an interval over images, and why; those of one reason in one sentence."""
    why: dict[str, list[str]] = {}
    for arm in view.compared:
        if arm.population and arm.population.refused:
            why.setdefault(arm.population.refused, []).append(arm.name)
    return [f"{numerals.listing(arms)}: no interval over images. {reason}." for reason, arms in why.items()]


def shared(view: View) -> list[str]:
    """Whose training was done once for several arms, a sentence each; their time of training counts it."""
    takers: dict[str, list[str]] = {}
    for arm in view.arms:
        for trainer in sorted({run.record.trained_by for run in arm.runs.values()} - {""}):
            takers.setdefault(trainer, []).append(arm.name)
    return [
        f"{numerals.listing(arms)}: trained once with {trainer}, as the training is the same, and counted for each."
        for trainer, arms in takers.items()
    ]


def chances(count: int, view: View) -> str:
    """How many of so many pointwise intervals miss zero by luck alone."""
    expected = numerals.score(count * view.alpha).rstrip("0").rstrip(".")
    return (
        f"Descriptive: the intervals are pointwise ({level(view)} each) and not corrected. Of {count} such intervals "
        f"about {expected} would miss zero by luck alone if no change had any effect; only {view.metric} decides. "
        f"{survivors(view)}"
    ).strip()
