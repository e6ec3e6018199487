"""The page in a real browser, driven through the DevTools protocol over a pipe. Skipped where there is no Chromium."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import served

CHROME = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROME is None, reason="no chromium or google-chrome on PATH")
SECONDS = 120


class Browser:
    """A headless Chromium with one page. Commands go to its file descriptor 3 and answers come from 4, each ended by 0.

    The protocol: https://chromedevtools.github.io/devtools-protocol/
    """

    def __init__(self, profile: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"]
        flags += ["--disable-dev-shm-usage", f"--user-data-dir={profile}", "about:blank"]
        # The shell puts the pipes where Chromium looks for them.
        script = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, CHROME or "", *flags],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._count, self._rest, self.events = 0, b"", list[dict[str, Any]]()
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._in], [], [], SECONDS)[0], "Chromium does not answer"
            data = os.read(self._in, 1 << 20)
            assert data, "Chromium ended"
            self._rest += data
        text, _, self._rest = self._rest.partition(b"\0")
        document: dict[str, Any] = json.loads(text)
        return document

    def value(self, expression: str) -> Any:
        """What an expression is worth on the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        end = time.monotonic() + SECONDS
        while not self.value(expression):
            assert time.monotonic() < end, (expression, self.value("document.body.innerText"), self.complaints())
            time.sleep(0.1)

    def complaints(self) -> list[str]:
        """Errors of scripts and of the content policy; answers with an error status are none."""
        return [
            json.dumps(each)
            for each in self.events
            if each.get("method") == "Runtime.exceptionThrown"
            or (each.get("method") == "Log.entryAdded" and _serious(each["params"]["entry"]))
        ]

    def press(self, key: str, code: int) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)


def _serious(entry: dict[str, Any]) -> bool:
    return bool(entry["level"] == "error" and entry["source"] != "network")


@pytest.fixture(scope="module")
def server() -> Iterator[served.Server]:
    with served.serving(bytes=2_000_000) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()


def visit(browser: Browser, server: served.Server) -> None:
    browser.events.clear()
    browser.call("Page.navigate", url=server.url)
    browser.until(
        "document.readyState === 'complete' && document.querySelector('#name').textContent.includes('bright')"
    )


def give(browser: Browser, path: Path, said: str) -> None:
    """Choose a file, as the dialog would."""
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    browser.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node)
    browser.until(f"document.querySelector('#status').textContent.includes({json.dumps(said)})")


ROWS = "[...document.querySelectorAll('#rows tr')].map(row => [...row.children].map(cell => cell.textContent))"
PIXEL = "[...document.querySelector('#canvas').getContext('2d').getImageData(75, 50, 1, 1).data]"


def test_an_image_is_looked_at_and_drawn(browser: Browser, server: served.Server, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(served.encoded((102, 102, 102), (120, 160)))
    visit(browser, server)
    give(browser, tmp_path / "a.png", "2 found")
    assert browser.value(ROWS) == [["<b>dark</b>", "0.600", "0 0 160 120"], ["bright", "0.400", "0 0 160 120"]]
    assert browser.value("document.querySelector('#rows b')") is None, "a class name is no markup"
    assert browser.value("[canvas.width, canvas.height]") == [160, 120]
    assert browser.value(PIXEL) == [102, 102, 102, 255]
    corner = browser.value("[...canvas.getContext('2d').getImageData(0, 100, 1, 1).data]")
    assert corner != [102, 102, 102, 255], "a box is drawn"
    assert browser.complaints() == []


def test_the_slider_works_by_keyboard(browser: Browser, server: served.Server, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(served.encoded((102, 102, 102), (120, 160)))
    visit(browser, server)
    give(browser, tmp_path / "a.png", "2 found")
    assert browser.value("document.querySelector('#shown').textContent") == "as chosen on validation"
    browser.value("document.activeElement.blur(), document.querySelector('#file').focus()")
    browser.press("Tab", 9)
    assert browser.value("document.activeElement.id") == "least"
    browser.press("End", 35)
    browser.until("document.querySelector('#shown').textContent === '1.00'")
    assert browser.value(ROWS) == []
    browser.press("Home", 36)
    browser.until("document.querySelector('#shown').textContent === '0.05'")
    assert len(browser.value(ROWS)) == 2
    browser.press("Tab", 9)
    assert browser.value("document.activeElement.id") == "own"


def test_an_image_is_dropped(browser: Browser, server: served.Server) -> None:
    visit(browser, server)
    browser.value("""(() => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 40, height: 30 });
        canvas.getContext('2d').fillRect(0, 0, 40, 30);
        return new Promise(resolve => canvas.toBlob(blob => {
            const data = new DataTransfer();
            data.items.add(new File([blob], 'a.png', { type: 'image/png' }));
            document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
            resolve();
        }));
    })()""")
    browser.until("document.querySelector('#status').textContent.includes('1 found')")
    assert browser.value(ROWS) == [["<b>dark</b>", "1.000", "0 0 40 30"]]


def test_what_is_refused_is_said(browser: Browser, server: served.Server, tmp_path: Path) -> None:
    visit(browser, server)
    (tmp_path / "a.png").write_text("<svg/>")
    give(browser, tmp_path / "a.png", "no image that can be read")
    (tmp_path / "large.png").write_bytes(bytes(2_000_001))
    give(browser, tmp_path / "large.png", "larger than 2 MB")
    assert browser.value("document.querySelector('#status').classList.contains('bad')")


def test_it_fits_a_phone(browser: Browser, server: served.Server, tmp_path: Path) -> None:
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.call("Emulation.setDeviceMetricsOverride", **phone)
    try:
        visit(browser, server)
        (tmp_path / "wide.png").write_bytes(served.encoded((102, 102, 102), (300, 3000)))
        give(browser, tmp_path / "wide.png", "2 found")
        assert browser.value("document.documentElement.scrollWidth") <= 360
        heights = "['#zone', '#least', '#own'].map(each => document.querySelector(each).getBoundingClientRect().height)"
        assert min(browser.value(heights)) >= 44, "a finger is 44 pixels wide"
        assert browser.value("canvas.width") == 2000
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")


def test_nothing_is_fetched_from_elsewhere(browser: Browser, server: served.Server) -> None:
    visit(browser, server)
    asked = [
        each["params"]["request"]["url"] for each in browser.events if each.get("method") == "Network.requestWillBeSent"
    ]
    assert asked
    assert all(url.startswith((server.url, "data:", "blob:")) for url in asked)
    assert browser.complaints() == []
