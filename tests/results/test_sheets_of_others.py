"""CSV files as people and trackers write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablab.errors import ConfigError, DataError
from ablab.results.labels import Source
from ablab.results.reading import read_files
from ablab.results.result import Reading
from ablab.results.runs import Columns
from ablab.results.sheets import read_sheet
from ablab.results.table import Table, score, seed

SCORES = "arm,seed,score\nbaseline,0,0.5\nbaseline,1,0.52\nfrelu,0,0.53\nfrelu,1,0.54\n"
TABLE = {"baseline": {0: 0.5, 1: 0.52}, "frelu": {0: 0.53, 1: 0.54}}


def read(tmp_path: Path, text: str | bytes, name: str = "scores.csv", *, paired: bool = True, **asked) -> Reading:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_files([Source(path)], Columns(**asked), paired=paired)


@pytest.mark.parametrize(
    "text",
    [
        SCORES,
        SCORES.encode("utf-8-sig"),
        SCORES.replace(",", ";"),
        SCORES.replace(",", "\t"),
        SCORES.replace("\n", "\r\n"),
        SCORES.replace("\n", "\n\n") + "\n",
        SCORES.replace("arm,seed", " arm , seed ").replace("frelu", '"frelu"').replace(",1,", ",1.0,"),
        "score,seed,arm\n0.54,1,frelu\n0.53,0,frelu\n0.52,1,baseline\n0.5,0,baseline\n",
        "arm,seed,notes,score\n"
        + '"a, b"'.join(["baseline,0,", ",0.5\n"])
        + SCORES.split("\n", 2)[2].replace(",0.5", ",,0.5"),
    ],
)
def test_every_way_of_writing_it_down_reads_alike(tmp_path: Path, text: str | bytes) -> None:
    assert read(tmp_path, text).table() == TABLE


def test_columns_have_any_name(tmp_path: Path) -> None:
    text = SCORES.replace("arm,seed,score", "model,run,map50")
    found = read(tmp_path, text, arm="model", seed="run", metric="map50")
    assert found.table() == TABLE
    assert found.metric == "map50"
    assert read(tmp_path, text, arm="model", seed="run").metric == "map50"  # the only column of numbers that is left


@pytest.mark.parametrize(
    ("text", "asked", "words"),
    [
        ("", {}, "is empty; expected a table with the columns arm, seed and score"),
        ("arm,seed,score\n", {}, "has a head and no rows"),
        (SCORES.replace("0.54", "0,54"), {}, "row 5 has 4 cells, the head has 3"),
        (SCORES.replace(",", ";").replace("0.54", "0,54"), {}, "row 5: the score is '0,54'; a decimal comma"),
        (SCORES.replace("0.54", "54%"), {}, "write a fraction"),
        (SCORES.replace("0.54", "1_0"), {}, "expected a number"),
        (SCORES.replace("0.54", "good"), {}, "row 5: the score is 'good'"),
        (SCORES.replace("frelu,1,", "frelu,one,"), {}, "row 5: the seed is 'one'; expected a whole number"),
        (SCORES.replace("frelu,1,", "frelu,1.5,"), {}, "the seed is '1.5'"),
        (SCORES.replace("frelu,1,", ",1,"), {}, "row 5: the cell of the arm is empty"),
        (SCORES + "frelu,1,0.55\n", {}, "1 of 4 runs stand there more than once .such as 'frelu' seed 1"),
        (
            SCORES.replace("arm,", "model,"),
            {},
            "no column tells the arm; name it as --arm.*with the columns model, seed",
        ),
        (SCORES.replace("seed,", "run,"), {}, "no column tells the seed; name it as --seed, or ask for --unpaired"),
        (SCORES, {"metric": "scor"}, "unknown column for the score 'scor' in .*did you mean 'score'"),
        (SCORES, {"arm": "modell"}, "unknown column for the arm 'modell'"),
        (SCORES.replace("seed,score", "score,score"), {"seed": "arm"}, "two columns are called 'score'"),
        ("arm,seed,AP,AP50\nb,0,1,2\n", {}, "which column is the score\\? .*: AP, AP50"),
        ("arm,seed,note\nb,0,x\n", {}, "which column is the score\\? .*: none"),
        (b"\xff\xfea\x00r\x00m\x00", {}, "of no kind that is known"),
        ("arm,seed,score\nü,0,1\n".encode("latin-1"), {}, "no text in UTF-8"),
        ('arm,seed,score\nb,0,"1\n', {}, "is a quote left open"),
        ("[1, 2]", {}, "holds JSON.*--truth"),
        (b"PK\x03\x04\0\0", {}, "expected a CSV file"),
    ],
)
def test_what_cannot_be_read_is_said_where_and_what_to_do(tmp_path: Path, text, asked, words: str) -> None:
    with pytest.raises((DataError, ConfigError), match=words):
        read(tmp_path, text, **asked)


def test_cells() -> None:
    assert [score(text, "") for text in ("0.5", "-1e-3", "", "None", "N/A", "inf")] == [
        0.5,
        -1e-3,
        None,
        None,
        None,
        float("inf"),
    ]
    assert score("NaN", "") != score("NaN", "")
    assert [seed(text, "") for text in ("3", "-3", "3.0", "007")] == [3, -3, 3, 7]


def test_a_run_without_a_score_says_why(tmp_path: Path) -> None:
    found = read(tmp_path, SCORES.replace("0.54", "nan").replace("0.53", ""))
    assert found.table()["frelu"] == {0: None, 1: None}
    assert [each.missing for each in found.results if each.missing] == ["it has no score", "its score is nan"]


def test_arms_stand_in_the_order_of_their_names(tmp_path: Path) -> None:
    rows = [f"v{number},0,0.{number}" for number in (10, 2, 1)]
    assert list(read(tmp_path, "arm,seed,score\n" + "\n".join(rows)).table()) == ["v1", "v2", "v10"]


def test_without_seeds_runs_are_counted_for_an_unpaired_test(tmp_path: Path) -> None:
    text = "arm,score\nbaseline,0.5\nbaseline,0.52\nfrelu,0.53\nfrelu,0.54\nfrelu,0.55\n"
    assert read(tmp_path, text, paired=False).table() == {
        "baseline": {0: 0.5, 1: 0.52},
        "frelu": {0: 0.53, 1: 0.54, 2: 0.55},
    }


def test_a_file_an_arm(tmp_path: Path) -> None:
    for arm, scores in TABLE.items():
        rows = "".join(f"{seed},{value}\n" for seed, value in scores.items())
        (tmp_path / f"{arm}.csv").write_text("seed,AP\n" + rows)
    found = read_files([Source(tmp_path / "baseline.csv"), Source(tmp_path / "frelu.csv")], Columns())
    assert found.table() == TABLE
    assert found.metric == "AP"


# Weights & Biases

RUNS = (
    '"Name","State","Notes","User","Tags","Created","Runtime","Sweep","activation","lr","seed","val/AP","_step"\n'
    '"warm-sun-1","finished","","u","","2026-01-01","60","","baseline","0.01","0","0.5","99"\n'
    '"warm-sun-2","finished","","u","","2026-01-01","60","","baseline","0.01","1","0.52","99"\n'
    '"warm-sun-3","finished","","u","","2026-01-01","60","","frelu","0.01","0","0.53","99"\n'
    '"warm-sun-4","crashed","","u","","2026-01-01","60","","frelu","0.01","1","0.9","12"\n'
)


def test_wandbs_table_of_runs_by_its_configuration(tmp_path: Path) -> None:
    found = read(tmp_path, RUNS, arm="activation", metric="val/AP")
    assert found.table() == {"baseline": {0: 0.5, 1: 0.52}, "frelu": {0: 0.53, 1: None}}
    assert found.results[-1].missing == "the run is crashed"


CHART = (
    '"Step","frelu-seed1 - val/AP","frelu-seed1 - val/AP__MIN","frelu-seed1 - val/AP__MAX",'
    '"frelu-seed1 - _step","baseline-seed1 - val/AP","baseline-seed1 - val/AP__MIN","baseline-seed1 - val/AP__MAX"\n'
    '"0","0.1","0.1","0.1","0","0.2","0.2","0.2"\n'
    '"10","0.6","0.6","0.6","10","0.4","0.4","0.4"\n'
    '"20","0.5","0.5","0.5","20","","",""\n'
)


def test_wandbs_chart_by_the_names_of_its_runs(tmp_path: Path) -> None:
    found = read(tmp_path, CHART)
    assert found.table() == {"baseline": {1: 0.4}, "frelu": {1: 0.5}}
    assert found.metric == "val/AP"
    assert found.warnings == ("the runs end at unlike steps, from 10 to 20: not all were trained equally long",)


def test_the_max_over_steps_is_a_choice_and_said(tmp_path: Path) -> None:
    found = read(tmp_path, CHART, take="max")
    assert found.table()["frelu"] == {1: 0.6}
    assert "a choice made on the data that judge" in found.warnings[0]
    assert read(tmp_path, CHART, take="min").table()["frelu"] == {1: 0.1}


def test_a_chart_whose_runs_tell_nothing_or_that_has_two_metrics_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"the run 'warm-sun-1' does not tell its arm and seed.*Export the table of runs"
    ):
        read(tmp_path, CHART.replace("frelu-seed1", "warm-sun-1"))
    with pytest.raises(DataError, match=r"a chart of one metric.*got the metrics AP50, val/AP"):
        read(tmp_path, CHART.replace("frelu-seed1 - val/AP", "frelu-seed1 - AP50"))


def test_a_history_a_run(tmp_path: Path) -> None:
    """`run.history().to_csv()`, with an index and cells that were not logged at a step."""
    for name, last in (("baseline-seed0", 0.5), ("frelu-seed0", 0.53)):
        rows = f",_step,_timestamp,val/AP\n0,0,1.5,0.1\n1,1,2.5,\n2,2,3.5,{last}\n3,3,4.5,\n"
        (tmp_path / f"{name}.csv").write_text(rows)
    files = [Source(tmp_path / "baseline-seed0.csv"), Source(tmp_path / "frelu-seed0.csv")]
    assert read_files(files, Columns(metric="val/AP")).table() == {"baseline": {0: 0.5}, "frelu": {0: 0.53}}
    assert read_files(files, Columns(metric="val/AP")).warnings == ()


def test_one_step_twice_is_refused(tmp_path: Path) -> None:
    text = "arm,seed,epoch,score\nb,0,1,0.1\nb,0,1,0.2\nb,0,2,0.3\n"
    with pytest.raises(DataError, match=r"row 3: 'b' seed 0 has step 1 a second time"):
        read(tmp_path, text)
    with pytest.raises(DataError, match="the step is 'x'"):
        read(tmp_path, text.replace("b,0,1,0.2", "b,0,x,0.2"))


# Optuna and MLflow, exported

TRIALS = (
    ",number,value,datetime_start,params_activation,params_lr,params_seed,user_attrs_AP50,state\n"
    "0,0,0.5,2026-01-01,baseline,0.01,0,0.7,COMPLETE\n"
    "1,1,0.52,2026-01-01,baseline,0.02,1,0.71,COMPLETE\n"
    "2,2,0.53,2026-01-01,frelu,0.01,0,0.72,COMPLETE\n"
    "3,3,0.2,2026-01-01,frelu,0.02,1,0.73,PRUNED\n"
)


def test_optunas_trials(tmp_path: Path) -> None:
    found = read(tmp_path, TRIALS, arm="activation")
    assert found.table() == {"baseline": {0: 0.5, 1: 0.52}, "frelu": {0: 0.53, 1: None}}
    assert found.results[-1].missing == "the run is PRUNED"
    assert found.warnings == ()  # lr is a block: it varies with the seed, alike in both arms
    assert read(tmp_path, TRIALS, arm="params_activation", metric="AP50").table()["baseline"] == {0: 0.7, 1: 0.71}


def test_a_setting_that_is_not_alike_under_a_seed_is_said(tmp_path: Path) -> None:
    found = read(tmp_path, TRIALS.replace("frelu,0.01", "frelu,0.03"), arm="activation")
    assert "differ in more than the arm" in found.warnings[0]
    assert "(lr)" in found.warnings[0]


def test_several_objectives_want_a_name(tmp_path: Path) -> None:
    text = TRIALS.replace("value", "values_AP").replace("datetime_start", "values_ms").replace("2026-01-01", "3")
    assert read(tmp_path, text, arm="activation", metric="AP").metric == "AP"
    with pytest.raises(DataError, match="which column is the score"):
        read(tmp_path, text, arm="activation")


MLFLOW = (
    "run_id,experiment_id,status,artifact_uri,metrics.val/AP,metrics.AP,params.arm,params.seed,params.AP,tags.mlflow.user\n"
    "a1,0,FINISHED,x,0.5,0.6,baseline,0,,u\na2,0,FINISHED,x,0.52,0.6,baseline,1,,u\n"
    "a3,0,FINISHED,x,0.53,0.6,frelu,0,,u\na4,0,FAILED,x,0.9,0.6,frelu,1,,u\n"
)


def test_mlflows_runs(tmp_path: Path) -> None:
    found = read(tmp_path, MLFLOW, metric="val/AP")
    assert found.table() == {"baseline": {0: 0.5, 1: 0.52}, "frelu": {0: 0.53, 1: None}}
    with pytest.raises(DataError, match=r"'AP' may be params.AP or metrics.AP"):
        read(tmp_path, MLFLOW, metric="AP")


def test_the_kinds_are_told_apart_by_their_heads(tmp_path: Path) -> None:
    def kind(text: str) -> Table:
        (tmp_path / "x.csv").write_text(text)
        return read_sheet(tmp_path / "x.csv")

    kinds = {kind(text).kind for text in (SCORES, RUNS, CHART, TRIALS, MLFLOW)}
    assert kinds == {"table of scores", "W&B table of runs", "W&B chart", "Optuna study", "MLflow runs"}
