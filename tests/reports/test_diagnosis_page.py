"""The page of a diagnosis, made of real readings: complete, safe, and whole where readings are missing."""

import copy
import json
import shutil
from html.parser import HTMLParser

import pytest

from ablab.reports import canvas, diagnosis
from ablab.reports.diagnosis import page as drawn

VOID = {"meta", "img", "br", "link"}
CHAPTERS = ["errors", "data", "network", "training"]
HOSTILE = "</style><script>alert(1)</script>"


class Page(HTMLParser):
    """Tags, attributes and the text of every section; every element must be closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self._open, self._section = [], [], {}, [], ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag == "section":
            self._section = dict(attrs)["id"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self._open.pop() == tag
        if tag == "section":
            self._section = ""

    def handle_data(self, data):
        self.text[self._section] = self.text.get(self._section, "") + data

    def values(self, *names):
        return [value for name, value in self.attributes if name in names]


@pytest.fixture(scope="module")
def folder(diagnosed_run):
    return diagnosed_run


@pytest.fixture(scope="module")
def document(folder):
    return json.loads((folder / "diagnosis.json").read_text())


@pytest.fixture(scope="module")
def parsed(document, folder):
    return Page(diagnosis.write(document, folder).read_text("utf-8"))


def test_findings_and_proposals_stand_first_then_the_chapters(parsed):
    assert [*parsed.text] == ["", "findings", "proposals", *CHAPTERS, "run"]


def test_the_headline_is_the_worst_finding_and_the_scores(parsed, document):
    assert document["findings"][0]["sentence"] in parsed.text[""]
    assert "0.412" in parsed.text[""]
    assert "0.731" in parsed.text[""]


def test_every_finding_has_its_bar_its_numbers_and_a_link_to_its_chapter(parsed, document):
    for found in document["findings"]:
        assert found["sentence"] in parsed.text["findings"]
        assert f"severity {found['severity']:.2f}" in parsed.text["findings"]
        assert f"width: {100 * found['severity']:.0f}%" in parsed.values("style")
        assert f"#{found['chapter']}" in parsed.values("href")
        assert all(name in parsed.text["findings"] for name in found["evidence"])


def test_a_proposal_says_bound_and_price_and_is_ready_to_copy(parsed):
    said = parsed.text["proposals"]
    assert "at most +0.081 AP50" in said
    assert "FLOPs +140%, latency +83%, training +110%" in said
    assert "train.image_size: [192, 256]" in said
    assert "set: {optimizer.lr: 0.005}" in said
    assert "- {op: insert, after: backbone.out, part: cbam}" in said
    assert "Label it: suspects.csv." in said


def test_the_chapters_hold_the_readings(parsed, document):
    numbers = {name: document["chapters"][name]["numbers"] for name in CHAPTERS}
    for cost in numbers["errors"]["errors"]["costs"][:8]:
        assert f"{cost['ap50']:+.3f}".replace("-", "−") in parsed.text["errors"]
        assert cost["kind"] in parsed.text["errors"]
    for said in ("by class", "by size", "by aspect", "by crowding", "by position", "recall at precision 0.8"):
        assert said in parsed.text["errors"]
    first = numbers["data"]["suspicion"][0]["ranked"][0]
    for said in (first["image"], f"{first['suspicion']:.3f}", "How the anchors fit", "its file holds the same"):
        assert said in parsed.text["data"]
    for said in ("output.1", "15 × 15", "act#2", "coarse", "nothing was timed on a GPU"):
        assert said in parsed.text["network"]
    for said in ("Steepest", "objectness", "Luck against arms", "How large a learning rate"):
        assert said in parsed.text["training"]


def test_a_class_without_labels_is_marked(parsed):
    assert "alarm" in parsed.values("class")


def test_every_picture_is_inside_and_every_drawing_can_be_read_aloud(parsed, document):
    assert parsed.tags.count("img") == len(document["pictures"]) > 5
    labels = parsed.values("aria-label")
    assert all(labels)
    assert len(labels) == parsed.tags.count("svg") == 15


def test_nothing_is_fetched_nothing_runs_and_what_data_says_stays_text(parsed):
    assert all(
        value.startswith(("#", "data:image/webp;base64,")) for value in parsed.values("src", "href", "xlink:href")
    )
    assert not {"script", "link", "iframe", "form", "b>", "i>"} & set(parsed.tags)
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in parsed.attributes
    for section in ("", "findings", "errors", "data"):
        assert HOSTILE in parsed.text[section]
    assert "attention: a <i>try</i>" in parsed.text["proposals"]


def test_ids_are_unique(parsed):
    found = parsed.values("id")
    assert len(found) == len(set(found))


def test_hostile_names_everywhere_stay_text(document, folder, monkeypatch):
    monkeypatch.setattr(canvas, "svg", lambda figure, name: "<svg></svg>")

    def spoiled(value):
        if isinstance(value, dict):
            return {key: each if key in ("chapter", "file") else spoiled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [spoiled(each) for each in value]
        return HOSTILE if isinstance(value, str) else value

    found = Page(diagnosis.as_page(spoiled(copy.deepcopy(document)), folder))
    assert "script" not in found.tags
    assert all(HOSTILE in found.text[section] for section in ("", "findings", "proposals", *CHAPTERS))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_any_reading_may_be_missing(document, chapter):
    """Each field down to the third level taken out, made null, and made something else."""
    numbers = document["chapters"][chapter]["numbers"]
    for path in paths(numbers, 3):
        for value in (None, "text", [[]], {"a": [3]}):
            blocks = drawn._blocks({}, chapter, replaced(numbers, path, value))
            assert blocks


def paths(value, depth):
    """Paths of keys; of a list the first place stands for all."""
    inner = value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
    for key, each in inner if depth else ():
        yield (key,)
        yield from ((key, *rest) for rest in paths(each, depth - 1))


def replaced(value, path, new):
    made = copy.copy(value)
    made[path[0]] = new if len(path) == 1 else replaced(value[path[0]], path[1:], new)
    return made


@pytest.fixture(autouse=True)
def _quick(request, monkeypatch):
    """Where only crashes are looked for, nothing is drawn: matplotlib would take minutes."""
    if request.node.originalname == "test_any_reading_may_be_missing":
        for module in (drawn.errors, drawn.data, drawn.network, drawn.training):
            for name in ("bars", "sizes", "lines", "reliability", "columns", "_rates"):
                monkeypatch.setattr(module, name, lambda *args, **kwargs: canvas.Drawing("", "drawn"), raising=False)


def test_nothing_at_all_is_still_a_page(tmp_path):
    found = Page(diagnosis.as_page({}, tmp_path))
    assert [*found.text] == ["", "findings"]
    assert "Nothing was found that calls for a change." in found.text[""]


def test_a_picture_that_is_gone_or_elsewhere_is_not_shown(document, folder, tmp_path):
    rows = [
        {"chapter": "data", "title": "t", "caption": "", "file": file} for file in ("pictures/no.png", "../secret.png")
    ]
    place = tmp_path / "diagnosis"
    place.mkdir()
    shutil.copy(folder / document["pictures"][0]["file"], tmp_path / "secret.png")
    found = Page(diagnosis.as_page({"pictures": rows}, place))
    assert "img" not in found.tags
    assert found.text["data"].count("is missing") == 2
