"""An arm that prunes: trained as the baseline, cut, fine-tuned, scored, and the same network wherever it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tiny_study import TINY, tiny

from ablab.config import override
from ablab.engine import snapshot
from ablab.engine.events import Silent
from ablab.errors import ConfigError
from ablab.export.deploy import deploy
from ablab.export.deployed import Deployed
from ablab.measure import flops, parameters
from ablab.predict.network import open_run
from ablab.records import RunKey, RunRecord, read_history, read_json, read_record, read_records
from ablab.study import after, single, spec
from ablab.study import run as running
from ablab.study.design import Arm, arms, run_fingerprint
from ablab.study.restore import restore
from ablab.study.steps import tuning
from ablab.study.train import train

SMALL: dict[str, Any] = TINY["baseline"] | {
    "model": {"width": 0.05, "depth": 0.1},
    "train": TINY["baseline"]["train"] | {"epochs": 2},
}
CHANGES = [
    {"name": "pruned", "because": "fewer channels", "after": ["prune/0.3"]},
    {
        "name": "both",
        "because": "and fewer bits",
        "after": ["prune/0.30", "export/onnx-int8"],
        "set": {"prune.tune": 1.0},
    },
]
JUDGE = spec.Judge(metric="AP50")
KEY = RunKey("tiny", "pruned", 0, "0123456789abcdef")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of pruning and int8, run."""
    folder = tmp_path_factory.mktemp("pruned") / "tiny"
    running.run(tiny(baseline=SMALL, changes=CHANGES[1:], controls=[], seeds=1), folder, jobs=1, display=Silent())
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that prunes and does not export."""
    folder = tmp_path_factory.mktemp("whole")
    record = train(pruning(), KEY, folder, JUDGE, Silent())
    assert record.status == "done"
    return folder / KEY.folder


def pruning() -> Arm:
    return arms(tiny(baseline=SMALL, changes=CHANGES[:1], controls=[]))[1]


def found(folder: Path) -> dict[str, RunRecord]:
    return {record.key.arm: record for record in read_records(folder)}


def test_it_is_trained_as_the_baseline_and_then_fine_tuned(finished: Path) -> None:
    records = found(finished)
    assert {record.status for record in records.values()} == {"done"}
    assert len({record.batch_hash for record in records.values()}) == 1
    base, both = (read_history(finished / records[name].key.folder / "curves.csv") for name in ("baseline", "both"))
    assert both["epoch"] == [1, 2, 3, 4]  # prune.tune 1.0 of two epochs
    assert both["loss"][:2] == base["loss"]
    assert max(both["lr"][2:]) == pytest.approx(0.1 * max(base["lr"]))
    assert records["both"].cost["train_seconds"] == pytest.approx(sum(both["seconds"]), rel=1e-3)


def test_its_cost_is_that_of_the_pruned_network_in_the_plan_and_in_the_record(finished: Path) -> None:
    planned = {row["arm"]: row for row in read_json(finished / "plan.json")["arms"]}
    for name, record in found(finished).items():
        row, (task, model, _, _) = planned[name], restore(finished / record.key.folder)
        assert record.cost["parameters"] == row["parameters"] == parameters(model)
        assert record.cost["flops"] == row["flops"] == flops(model, task.example())
    assert planned["both"]["parameters"] < 0.7 * planned["baseline"]["parameters"]
    assert planned["both"]["steps"] == planned["baseline"]["steps"]  # the fine-tune's; the training is the baseline's
    assert planned["both"]["differences"][-2:] == [
        "after training: prune/0.3 and 2 epochs of fine-tuning at 0.1 of the rate",
        "after training: export/onnx-int8",
    ]


def test_what_was_scored_is_what_is_restored_predicted_and_exported(
    finished: Path, whole: Path, tmp_path: Path
) -> None:
    for place in (finished / found(finished)["both"].key.folder, whole):
        again, _ = single.evaluate(place, "validation", None, Silent())
        known = {m: v for m, v in read_record(place / "record.json").scores["validation"].items() if v is not None}
        assert {metric: again[metric] for metric in known} == pytest.approx(known)
    network = restore(whole)[1]
    saved = load_file(whole / "weights.safetensors")
    assert all(np.array_equal(tensor, saved[name]) for name, tensor in network.state_dict().items())
    images = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3), np.uint8)
    boxes, scores = deploy(network, images, "onnx", tmp_path, 1)(images)
    with torch.inference_mode():
        expected = Deployed(network)(torch.from_numpy(images))
    np.testing.assert_allclose(boxes, expected[0], rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(scores, expected[1], rtol=1e-3, atol=1e-5)
    runner: Any = open_run(whole, {"train.precision": "fp32"}).runner
    np.testing.assert_allclose(runner(images)[0], expected[0], rtol=1e-3, atol=1e-2)


def test_a_run_that_exported_is_predicted_with_what_it_exported(finished: Path) -> None:
    place = finished / found(finished)["both"].key.folder
    _, model, arm, _ = restore(place)
    opened = open_run(place)
    assert opened.name == f"{place} in onnx-int8"
    images = np.random.default_rng(0).integers(0, 255, (1, 64, 64, 3), np.uint8)
    standin: Any = after.reopened(arm, model, place)
    np.testing.assert_array_equal(opened.runner(images)[1], standin.runner(images)[1])
    with pytest.raises(ConfigError, match=r"'train\.precision' would do nothing: .* in onnx-int8"):
        open_run(place, {"train.precision": "bf16"})


class Stopping(Silent):
    """Interrupts the second training, the fine-tune, when so many steps of it are done."""

    def __init__(self, at: int = 0) -> None:
        self.at, self.trainings = at, 0
        self.said: list[str] = []

    def begin(self, name: str, total: int) -> None:
        self.trainings += name == "train"

    def advance(self, done: int, values: Any) -> None:
        if self.trainings == 2 and "loss" in values and done == self.at:
            raise KeyboardInterrupt

    def say(self, text: str) -> None:
        self.said.append(text)


def test_a_fine_tune_that_was_cut_off_goes_on_to_the_same_bytes(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "SNAPSHOT_SECONDS", 0.0)
    place = tmp_path / KEY.folder
    with pytest.raises(KeyboardInterrupt):
        train(pruning(), KEY, tmp_path, JUDGE, Stopping(at=2))
    assert (place / "snapshot-tune.safetensors").exists()
    told = Stopping()
    train(pruning(), KEY, tmp_path, JUDGE, told)
    # two epochs of three steps; a third of two epochs, rounded, is one: the step that was done last is in no snapshot
    assert [line for line in told.said if line.startswith("goes on")] == [
        "goes on from step 6 of 6",
        "goes on from step 1 of 3",
    ]
    for name in ("weights.safetensors", "run.json", "curves.json"):
        assert (place / name).read_bytes() == (whole / name).read_bytes(), name
    assert not list(place.glob("snapshot*"))


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (["prune/0"], r"'prune/0': expected a share of the channels, above 0 and at most 0\.9"),
        (["prune/0.95"], "at most 0.9"),
        (["prune/nan"], "at most 0.9"),
        (["prune/much"], "as in prune/0.3"),
        (["prun/0.3"], "unknown step 'prun/0.3'; did you mean 'prune/0.3'"),
        (["export/int8", "prune/0.3"], r"cannot be pruned any more; write \[prune/0\.3, export/int8\]"),
        (["prune/0.3", "prune/0.5"], "one prune and one export at most"),
    ],
)
def test_steps_that_make_no_sense_are_refused(steps: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tiny(changes=[{"name": "odd", "after": steps}])


def test_settings_of_a_fine_tune_want_one() -> None:
    with pytest.raises(ConfigError, match=r"arm 'odd': prune would do nothing.*after: \[prune/0\.3\]"):
        arms(tiny(changes=[{"name": "odd", "set": {"prune.rate": 0.5}}], controls=[]))
    with pytest.raises(ConfigError, match=r"--set prune\.rate would do nothing: this training prunes nothing"):
        single.train(None, {"prune.rate": 0.5}, 0, None, [], Silent())


def test_prune_and_export_combine_in_their_order() -> None:
    changes = [{"name": "int8", "after": ["export/int8"]}, {"name": "small", "after": ["prune/0.3"]}]
    assert arms(tiny(changes=changes, design="stack", controls=[]))[-1].after == ("prune/0.3", "export/int8")
    twice = [{"name": "much", "after": ["prune/0.5"]}, changes[1]]
    with pytest.raises(ConfigError, match=r"they prune the trained network twice, by prune/0\.5 and prune/0\.3"):
        arms(tiny(changes=twice, design="stack", controls=[]))


def test_the_fine_tune_is_the_recipe_shorter_and_gentler() -> None:
    recipe = override(
        tiny().baseline,
        {
            "train.epochs": 10,
            "train.freeze": ["backbone.*"],
            "train.unfreeze": {8: ["backbone.*"]},
            "train.ema": None,
            "train.swa": {"share": 0.5},
            "train.checkpoint": "swa",
            "prune.tune": 0.25,
        },
    )
    made = tuning(recipe)
    assert (made.train.epochs, made.optimizer.lr) == (2, pytest.approx(2e-4))
    assert (made.train.freeze, made.train.unfreeze, made.train.swa, made.train.checkpoint) == ([], {}, None, "last")
    assert override(made, {"train": recipe.train, "optimizer": recipe.optimizer}) == recipe


def test_only_arms_that_prune_are_named_by_the_fine_tune() -> None:
    def prints(tune: float) -> list[str]:
        study = tiny(changes=CHANGES[:1], controls=[], baseline=SMALL | {"prune": {"tune": tune}})
        return [run_fingerprint(arm, 0, "data", "", "1") for arm in arms(study)]

    (base, pruned), (same, other) = prints(0.5), prints(0.6)
    assert base == same
    assert pruned != other
