import json

from ablab import reports


def test_every_table_has_as_many_cells_in_every_row(golden):
    sizes: list[set[int]] = [set()]
    for line in reports.as_markdown(golden).splitlines():
        if line.startswith("|"):
            sizes[-1].add(line.replace("\\|", "").count("|"))
        elif sizes[-1]:
            sizes.append(set())
    assert len(sizes) == 7
    assert all(len(size) == 1 for size in sizes[:-1])


def test_names_and_reasons_are_text(study):
    document = json.loads((study / "study.json").read_text())
    document["arms"][1]["because"] = "<img src=x> | **bold** [link](http://x)\n# head"
    (study / "study.json").write_text(json.dumps(document))
    text = reports.as_markdown(reports.read(study))
    assert "\\<img src=x\\> \\| \\*\\*bold\\*\\* \\[link\\](http://x) \\# head" in text


def test_a_study_under_way_says_so(study):
    for name in ("verdicts.json", "final.json"):
        (study / name).unlink()
    text = reports.as_markdown(reports.read(study))
    assert "No verdicts yet. 33 of 35 runs are done" in text
    assert "test split" not in text
