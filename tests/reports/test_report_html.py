import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ablab import reports
from ablab.reports.view import Arm, Run

SECTIONS = [
    "verdicts",
    "findings",
    "effects",
    "intervals",
    "noise",
    "parts",
    "cost",
    "score-shift",
    "precision-recall",
    "training",
    "pictures",
    "metrics",
    "test",
    "compared",
    "method",
    "warnings",
    "reproduce",
]
VOID = {"meta", "img", "br", "link"}
HOSTILE = "</style><script>alert('$1$')</script>\"><img src=http://evil/x onerror=alert(1)>"


class Page(HTMLParser):
    """Tags, attributes, the text of every section, and whether every element is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.ids = [], [], []
        self.text = {}
        self._open, self._section = [], ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag == "section":
            self._section = dict(attrs)["id"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag == "section":
            self._section = ""

    def handle_data(self, data):
        self.text[self._section] = self.text.get(self._section, "") + data


@pytest.fixture(scope="module")
def parsed(page):
    return Page(page)


def sources(parsed):
    names = ("src", "href", "xlink:href", "srcset", "action", "data", "poster", "background")
    return [value for name, value in parsed.attributes if name in names]


def test_every_section_is_there_in_order(parsed):
    assert [name for name in parsed.ids if name in SECTIONS] == SECTIONS
    assert parsed.tags.count("section") == len(SECTIONS)


def test_nothing_is_fetched_and_nothing_runs(page, parsed):
    assert sources(parsed)
    assert all(value.startswith(("#", "data:image/webp;base64,")) for value in sources(parsed))
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & set(parsed.tags)
    assert "@import" not in page
    assert "url(" not in page.replace("url(#", "")
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in parsed.attributes
    assert [name for name, _ in parsed.attributes if name.startswith("on")] == []


def test_ids_are_unique(parsed):
    assert len(parsed.ids) == len(set(parsed.ids))


def test_what_was_found_stands_in_words_and_numbers(parsed):
    assert "+0.032 AP, 95% simultaneous interval [+0.028, +0.036], p < 0.001 (Holm)" in parsed.text["findings"]
    for word in ("helps", "hurts", "equivalent", "undecided", "a fresh study would need 12 to 84 seeds"):
        assert word in parsed.text["verdicts"], word
    assert "0.000†" in parsed.text["effects"]
    assert "16.9 (+43%)" in parsed.text["cost"]
    assert "0.581 at 0.5" in parsed.text["score-shift"]
    assert "Platelets" in parsed.text["metrics"]
    assert "0.533 ± 0.006" in parsed.text["test"]
    assert "Scored once, when the study closed (2025-11-23)" in parsed.text["test"]
    assert "F.silu in neck.fuse" in parsed.text["compared"]
    assert "anchors refitted" in parsed.text["compared"]
    assert "Holm's correction" in parsed.text["method"]
    assert "No space left on device" in parsed.text["warnings"]
    assert "5f0c2d9a71b3e846" in parsed.text["reproduce"]
    assert "b47c40a90e1d22c03" in parsed.text["reproduce"]


def test_every_drawing_can_be_read_aloud(parsed):
    labels = [value for name, value in parsed.attributes if name == "aria-label"]
    assert len(labels) == parsed.tags.count("svg") == 32 + 7  # six panels by class and size, the intervals' figure
    assert all(labels)
    assert parsed.tags.count("img") == 4


def test_hostile_text_stays_text(study):
    without_curves(study)
    for name in ("study.json", "verdicts.json", "plan.json"):
        text = (study / name).read_text()
        (study / name).write_text(text.replace('"frelu"', json.dumps(HOSTILE)))
    document = json.loads((study / "study.json").read_text())
    document["name"] = HOSTILE
    document["arms"][1] |= {"because": HOSTILE, "diff": [HOSTILE]}
    document["baseline"]["data"]["path"] = HOSTILE
    (study / "study.json").write_text(json.dumps(document))
    for path in study.glob("runs/frelu/*/record.json"):
        record = json.loads(path.read_text())
        record["key"]["arm"] = HOSTILE
        path.write_text(json.dumps(record))
    rows = [{"arm": HOSTILE, "kind": HOSTILE, "title": HOSTILE, "caption": HOSTILE, "file": "frelu-fixed-0.png"}]
    (study / "panels" / "panels.json").write_text(json.dumps(rows))
    page = reports.as_page(reports.read(study))
    hostile = Page(page)
    assert "script" not in hostile.tags
    assert hostile.tags.count("img") == 1
    assert all(value.startswith(("#", "data:image/webp;base64,")) for value in sources(hostile))
    assert [name for name, _ in hostile.attributes if name.startswith("on")] == []
    for section in ("findings", "verdicts", "pictures", "compared", "reproduce"):
        assert HOSTILE in hostile.text[section], section


def test_a_study_under_way_says_what_is_missing(study):
    for name in ("plan.json", "verdicts.json", "final.json", "panels/panels.json"):
        (study / name).unlink()
    for file in [*study.glob("runs/*/*/curves.*"), *study.glob("runs/*/4-*/record.json")]:
        file.unlink()
    found = Page(reports.as_page(reports.read(study))).text
    assert not {"score-shift", "precision-recall", "training", "pictures", "test", "intervals"} & set(found)
    assert "No verdicts yet" in found[""]
    assert "What may be concluded" not in found["verdicts"]
    assert "26 of 35 runs are done, 2 failed or diverged, 7 are still to come" in found["warnings"]
    assert "baseline seed 4" in found["warnings"]


def test_a_screening_is_labelled_at_the_top_and_explained(study):
    without_curves(study)
    document = json.loads((study / "verdicts.json").read_text())
    (study / "verdicts.json").write_text(json.dumps(document | {"label": "screening"}))
    found = Page(reports.as_page(reports.read(study))).text
    assert "screening" in found[""]
    assert "confirm with five fresh seeds or more" in found["verdicts"]


def test_nothing_has_run_yet(study):
    for file in study.glob("runs/*/*/record.json"):
        file.unlink()
    for name in ("verdicts.json", "final.json"):
        (study / name).unlink()
    found = Page(reports.as_page(reports.read(study))).text
    assert "0 of 35 runs are done, 35 are still to come" in found[""]
    assert not {"effects", "noise", "parts", "metrics"} & set(found)


def without_curves(study):
    """The same study with fewer figures, which are slow to draw."""
    for file in study.glob("runs/*/*/curves.*"):
        file.unlink()


def test_verdicts_of_a_study_that_goes_on_are_no_result(study):
    without_curves(study)
    next((study / "runs" / "eca").glob("4-*/record.json")).unlink()
    found = Page(reports.as_page(reports.read(study))).text
    assert "Not finished, so nothing is decided: 32 of 35 runs are done" in found[""]
    assert "What may be concluded" not in found["verdicts"]


def test_scores_from_elsewhere_make_a_page_without_what_nobody_knows(golden):
    arms = tuple(
        Arm(arm.name, arm.kind, runs={s: Run(_bare(run.record)) for s, run in arm.done().items()}, verdict=arm.verdict)
        for arm in golden.arms
    )
    view = reports.View(
        name="scores.csv",
        metric="AP",
        direction="max",
        smallest_interesting=0.01,
        arms=arms,
        seeds=golden.seeds,
        source="scores.csv",
        judged=True,
    )
    found = Page(reports.as_page(view)).text
    assert list(found) == ["", "verdicts", "findings", "effects", "noise", "method"]
    assert "ablab did not train these networks" in found["method"]
    assert "before the first run" not in found["method"]
    assert "on these same data, this baseline scores better with frelu" in found["verdicts"]
    for draw in (reports.as_markdown, reports.as_latex, reports.as_document):
        assert draw(view)


def _bare(record):
    return replace(record, scores={"": {"AP": record.scores["validation"]["AP"]}}, cost={}, settings={}, environment={})
