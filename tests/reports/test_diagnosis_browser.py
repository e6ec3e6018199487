"""The page of a diagnosis in a real browser: at desk and phone width, light and dark."""

import json

import pytest
from test_report_browser import CHROME, CONTRAST, DARK, LARGEST, seen

from ablab.reports import diagnosis

pytestmark = pytest.mark.skipif(CHROME is None, reason="no chromium or google-chrome on PATH")


@pytest.fixture(scope="module")
def page(diagnosed_run):
    return diagnosis.as_page(json.loads((diagnosed_run / "diagnosis.json").read_text()), diagnosed_run)


@pytest.mark.parametrize("scheme", [*DARK])
def test_the_page_fits_is_legible_and_fetches_nothing(page, scheme, tmp_path):
    for (_, width), found in seen({"diagnosis": page}, tmp_path, scheme).items():
        assert found["width"] == found["scroll"] == width
        assert found["outside"] == []
        assert found["tables"] > 15
        assert found["loose"] == 0
        assert all(100 < drawn <= width for drawn in found["figures"])
        assert all(found["pictures"])
        assert found["faint"] == []
        assert found["drawn"] > CONTRAST
        assert found["small"] >= 10
        assert found["fetched"] == []


def test_the_page_is_small_enough_to_send(page):
    assert len(page.encode()) < LARGEST
