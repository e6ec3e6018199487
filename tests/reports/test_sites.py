import pytest

from ablab.reports.sites import becomes


@pytest.mark.parametrize(
    ("op", "new", "drift", "text"),
    [
        ("replace", "frelu", None, "frelu"),
        ("insert", "cbam", None, "+ cbam"),
        ("wrap", "residual", None, "residual(Conv2d)"),
        ("remove", "Identity", None, "nothing"),
        ("convert", "repvgg", 3e-7, "repvgg, output as before"),
        ("convert", "gn", 0.1234, "gn, output 12.3% off"),
    ],
)
def test_a_site_in_a_few_words(op, new, drift, text):
    assert becomes({"op": op, "old": "Conv2d", "new": new, "drift": drift}) == text


def test_a_record_of_before_there_was_a_drift():
    assert becomes({"op": "replace", "old": "SiLU", "new": "frelu"}) == "frelu"
