"""RESULTS.md keeps one section a benchmark."""

import importlib.util
from pathlib import Path

FILE = Path(__file__).parents[2] / "benchmarks" / "results.py"


def test_a_section_is_replaced_in_place_and_others_are_kept(tmp_path):
    spec = importlib.util.spec_from_file_location("benchmark_results", FILE)
    results = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(results)
    path = tmp_path / "RESULTS.md"
    for section, text in [("one", "old\n### inner"), ("two", "kept"), ("one", "new")]:
        results.write(section, text, path)
    lines = path.read_text().splitlines()
    assert [line for line in lines if line.startswith("#")] == ["# Results", "## one", "## two"]
    assert "new" in lines
    assert "old" not in lines
    assert lines.index("new") < lines.index("kept")
    assert sum(" at commit " in line for line in lines) == 2
