"""Which findings the reading of data gives.

Causes that spoil a result have a severity from 0.8 on; what is a matter of degree grows with it.

    class without examples    a class that train has no label of
    test images in train      train has images that validation or test is judged on
    labels misnamed,          the surest detections disagree with the labels more often than they do on clean ones
    misplaced, missing
    objects too small         objects smaller than a cell of the finest map
    anchors misfit            objects that no anchor reaches
    rare class                a class with a small part of the labels that the commonest one has
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablab.findings import Finding
from ablab.tasks.detection.diagnosis.agreement import Agreement
from ablab.tasks.detection.diagnosis.anchors_fit import AnchorFit
from ablab.tasks.detection.diagnosis.balance import Balance
from ablab.tasks.detection.diagnosis.data import DataReading
from ablab.tasks.detection.diagnosis.leaks import Leaks
from ablab.tasks.detection.diagnosis.reach import FEW_PIXELS, Reach

# (answer, the share that clean labels may get, what is wrong). On photo-digits, seeds 100 and 101, labels without that
# fault have at most 0.9%, 1.0% and 3.6%; with a tenth of the labels faulty it is 6.7% and 9.8%, 9.5% and 12%.
DOUBTS = (
    ("misnamed", 0.025, "another class"),
    ("misplaced", 0.03, "another place"),
    ("unlabelled", 0.07, "an object where no label is"),
)
FAULT_OF = {"misnamed": "labels misnamed", "misplaced": "labels misplaced", "unlabelled": "labels missing"}
TOO_SMALL = 0.1  # of the objects below the finest stride: as many as a proposed input size may leave there
MISFIT = 0.9  # recall of the anchors; YOLOv5 refits below 0.98, and a few odd shapes are no fault
RARE = 10.0  # times as many labels of the commonest class
CAUSE = 0.8  # severity from which a fault spoils the result


def data_findings(
    read: DataReading, leaked: Leaks | None = None, agreements: Sequence[Agreement] = ()
) -> tuple[Finding, ...]:
    """What the readings of data find, in no order. Agreements of a detector that is not good enough say nothing."""
    balances = {split: each.balance for split, each in read.splits.items()}
    found = [*_absent(balances), *_rare(balances["train"]), *_doubts([a for a in agreements if a.trusted])]
    if leaked is not None:
        found += _leaked(leaked)
    found += _small(read.splits["train"].reach)
    if read.anchors is not None:
        found += _misfit(read.anchors)
    return tuple(found)


def _absent(balances: Mapping[str, Balance]) -> list[Finding]:
    """One finding for all classes that train lacks; the worse where they are asked for elsewhere."""
    absent = balances["train"].absent
    if not absent:
        return []
    wanted = {
        split: sum(count for name, count in zip(of.classes, of.counts, strict=True) if name in absent)
        for split, of in balances.items()
        if split != "train"
    }
    labels = sum(wanted.values())
    names = ", ".join(f"'{name}'" for name in absent[:5]) + (" and others" if len(absent) > 5 else "")
    asked = f", yet {labels:,} labels of other splits ask for it" if labels else "; no other split has one either"
    return [
        Finding(
            "class without examples",
            1.0 if labels else 0.5,
            (("classes without examples", len(absent)), ("labels in other splits", labels)),
            f"Train has no example of {names}{asked}: it cannot be learned.",
        )
    ]


def _rare(of: Balance) -> list[Finding]:
    some = {name: count for name, count in zip(of.classes, of.counts, strict=True) if count}
    if not some:
        return []
    rarest, most = min(some, key=lambda name: some[name]), max(some.values())
    times = most / some[rarest]
    if times < RARE:
        return []
    return [
        Finding(
            "rare class",
            min(0.5, 0.2 + 0.01 * times),
            (("labels of the rarest class", some[rarest]), ("of the commonest", most), ("imbalance", times)),
            f"Train has {some[rarest]:,} labels of '{rarest}', a {times:.0f}th of the commonest class's {most:,}.",
        )
    ]


def _leaked(read: Leaks) -> list[Finding]:
    """The split with the largest share of its images in train."""
    shares = {
        split: len(of.in_train) / of.images for split, of in read.splits.items() if of.in_train and split != "train"
    }
    if not shares:
        return []
    worst = max(shares, key=lambda split: (shares[split], split))
    count = sum(len(of.in_train) for of in read.splits.values())
    evidence = tuple((f"share of {split} in train", share) for split, share in shares.items())
    return [
        Finding(
            "test images in train",
            min(1.0, 0.9 + shares[worst]),
            (*evidence, ("images", count)),
            f"{shares[worst]:.1%} of {worst}'s images are in train as well ({count:,} images of all splits): its "
            "scores are of images that the network was shown with their answers.",
        )
    ]


def _doubts(read: Sequence[Agreement]) -> list[Finding]:
    """One finding an answer, by the split where it is surest."""
    if not read:
        return []
    found = []
    for answer, usual, says in DOUBTS:
        worst = max(read, key=lambda each: each.at_least[answer])
        share, least = worst.shares[answer], worst.at_least[answer]
        if not least > usual:
            continue
        found.append(
            Finding(
                FAULT_OF[answer],
                min(1.0, CAUSE + share),
                (
                    ("share of the surest detections", share),
                    ("at least", least),
                    ("usual at most", usual),
                    ("detections asked", worst.asked),
                ),
                f"{share:.1%} of the {worst.asked:,} surest detections on {worst.split} see {says} (at least "
                f"{least:.1%}; on clean labels at most about {usual:.0%}): so many labels are suspect.",
            )
        )
    return found


def _small(read: Reach) -> list[Finding]:
    if not read.objects or read.below_stride < TOO_SMALL:
        return []
    few = dict(read.below)[FEW_PIXELS]
    median = dict(read.quantiles)[0.5]
    height, width = read.image_size
    return [
        Finding(
            "objects too small",
            min(1.0, 0.5 + 0.7 * read.below_stride),
            (
                ("share below the stride", read.below_stride),
                ("stride, pixels", read.stride),
                (f"share below {FEW_PIXELS:g} pixels", few),
                ("median side, pixels", median),
            ),
            f"{read.below_stride:.0%} of train's objects are smaller than {read.stride} pixels at the input of "
            f"{height} x {width}, the finest cell; the median is {median:.1f}, and {few:.0%} have less than "
            f"{FEW_PIXELS:g}.",
        )
    ]


def _misfit(read: AnchorFit) -> list[Finding]:
    if not read.objects or read.recall >= MISFIT:
        return []
    return [
        Finding(
            "anchors misfit",
            min(1.0, 0.6 + 0.4 * (1 - read.recall)),
            (("share of objects within reach", read.recall), ("mean best IoU", read.mean_best_iou)),
            f"The anchors reach {read.recall:.1%} of train's {read.objects:,} objects, and overlap them by "
            f"{read.mean_best_iou:.2f} in the mean: what none reaches is never learned.",
        )
    ]
