"""The page in a real browser: at desk and phone width, light and dark. Skipped where there is no Chromium."""

import html
import json
import re
import shutil
import subprocess

import designed
import pytest

from ablab import reports

CHROME = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROME is None, reason="no chromium or google-chrome on PATH")
WIDTHS = (1280, 390)
DARK = {"light": "1", "dark": "0"}  # of Blink's preferredColorScheme
DESIGNS = {"factorial": ("factorial", 3), "looks": ("one-at-a-time", 4, {"max": 12, "looks": [5, 8, 12]})}
LARGEST = 10_000_000  # bytes
CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3

# Each frame holds the page as it stands, under its own content policy; the script runs outside of it.
LOOK = """
const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
const contrast = (one, other) => {
  const [a, b] = [light(rgb(one)), light(rgb(other))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
};
const look = frame => {
  const page = frame.contentDocument, view = frame.contentWindow, width = page.documentElement.clientWidth;
  page.querySelectorAll("details").forEach(each => { each.open = true; });
  const every = [...page.body.querySelectorAll("*")].filter(each => !each.closest("svg"));
  const paper = view.getComputedStyle(page.documentElement).backgroundColor;
  const texts = every.filter(each => [...each.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
  return {
    width, scroll: page.documentElement.scrollWidth, paper,
    outside: every.filter(each => !each.closest(".scroll") && each.getBoundingClientRect().right > width + 1)
      .map(each => each.outerHTML.slice(0, 90)),
    tables: [...page.querySelectorAll("table")].length,
    loose: [...page.querySelectorAll("table")].filter(each => !each.closest(".scroll")).length,
    figures: [...page.querySelectorAll("svg")].map(each => each.getBoundingClientRect().width),
    pictures: [...page.images].map(each => each.naturalWidth),
    faint: texts.map(each => [contrast(view.getComputedStyle(each).color, paper), each.outerHTML.slice(0, 90)])
      .filter(([ratio]) => ratio < CONTRAST),
    drawn: [...page.querySelectorAll("svg text")].map(each => contrast(view.getComputedStyle(each).fill, paper))
      .reduce((a, b) => Math.min(a, b), 99),
    small: Math.min(...texts.map(each => parseFloat(view.getComputedStyle(each).fontSize))),
    fetched: view.performance.getEntriesByType("resource").map(each => each.name).filter(n => !n.startsWith("data:")),
  };
};
const frames = [...document.querySelectorAll("iframe")];
window.onload = () => { document.getElementById("found").textContent = JSON.stringify(frames.map(look)); };
"""


def seen(pages, place, scheme):
    """What a browser makes of every page at every width: {(page, width): what was measured}."""
    keys = [(name, width) for name in pages for width in WIDTHS]
    frames = "".join(
        f'<iframe width="{width}" height="900" srcdoc="{html.escape(pages[name])}"></iframe>' for name, width in keys
    )
    script = LOOK.replace("CONTRAST", str(CONTRAST))
    outer = place / f"{scheme}.html"
    outer.write_text(f'<!doctype html><meta charset="utf-8">{frames}<pre id="found"></pre><script>{script}</script>')
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={place / scheme}"]
    options += [f"--blink-settings=preferredColorScheme={DARK[scheme]}", "--virtual-time-budget=20000", "--dump-dom"]
    run = subprocess.run([CHROME, *options, outer.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="found">(.+?)</pre>', run.stdout, re.DOTALL)
    assert found, run.stderr[-2000:]
    return dict(zip(keys, json.loads(html.unescape(found[1])), strict=True))


@pytest.fixture(scope="module")
def pages(page, tmp_path_factory):
    """The golden study's page and those of other designs."""
    place = tmp_path_factory.mktemp("designed")
    made = {name: designed.write(place / name, *asked) for name, asked in DESIGNS.items()}
    return {"golden": page} | {name: reports.as_page(reports.read(folder)) for name, folder in made.items()}


@pytest.fixture(scope="module", params=[*DARK])
def schemed(request, pages, tmp_path_factory):
    return request.param, seen(pages, tmp_path_factory.mktemp("browser"), request.param)


def test_nothing_overflows_and_tables_scroll_in_themselves(schemed):
    for (name, width), found in schemed[1].items():
        assert found["width"] == width
        assert found["scroll"] == width, name
        assert found["outside"] == [], name
        assert found["tables"] >= 4
        assert found["loose"] == 0, name


def test_every_figure_and_picture_is_drawn(schemed):
    for (name, width), found in schemed[1].items():
        assert all(100 < drawn <= width for drawn in found["figures"])
        assert len(found["figures"]) == {"golden": 39, "factorial": 6, "looks": 2}[name]
        assert found["pictures"] == [640] * (4 if name == "golden" else 0)


def test_text_is_legible_on_its_paper(schemed):
    scheme, every = schemed
    for found in every.values():
        ground = sum(map(int, re.findall(r"\d+", found["paper"])[:3]))
        assert (ground < 200) == (scheme == "dark")
        assert found["faint"] == []
        assert found["drawn"] > CONTRAST
        assert found["small"] >= 10


def test_nothing_is_fetched(schemed, pages):
    assert all(found["fetched"] == [] for found in schemed[1].values())
    assert all(len(page.encode()) < LARGEST for page in pages.values())
