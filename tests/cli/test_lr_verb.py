"""`ablab lr`: a picture and a document, from a short training that leaves nothing else."""

import json

from test_cli import TINY, ablab


def test_a_range_is_tried_drawn_and_written_down(tmp_path):
    done = ablab("lr", "--data", "photo-digits", *TINY, "--steps", 20, "--folder", tmp_path / "lr", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert sorted(path.name for path in (tmp_path / "lr").iterdir()) == ["lr.json", "lr.png"]
    assert (tmp_path / "lr" / "lr.png").read_bytes().startswith(b"\x89PNG")
    curve = json.loads((tmp_path / "lr" / "lr.json").read_text())
    assert len(curve["rates"]) == len(curve["losses"]) == len(curve["smoothed"]) <= 20
    assert curve["rates"][0] == 1e-6
    assert document["recipe"] > 0
    assert document["reasons"]


def test_a_range_upside_down_is_the_users_mistake(tmp_path):
    done = ablab("lr", "--data", "photo-digits", *TINY, "--low", 1, "--high", 0.1, cwd=tmp_path)
    assert done.returncode == 2
    assert "0 < low < high" in done.stderr
    assert not list(tmp_path.iterdir())
