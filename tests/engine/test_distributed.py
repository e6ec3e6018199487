"""Teams: two gloo processes against one, and what happens when one of them fails."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import teamwork
from hypothesis import given
from hypothesis import strategies as st
from processes import gone, started
from teamwork import asked

from ablab.engine.distributed import ALONE, Team, check, follows, under_torchrun
from ablab.engine.events import Silent
from ablab.errors import ConfigError, DataError, RunError
from ablab.recipe import TrainRecipe
from ablab.study.executors.local import forking
from ablab.study.executors.ranks import together


def two(network: str, folder: Path | None = None, **options: Any) -> Any:
    recipe = asked(2, **options)
    return together(teamwork.train, (recipe, network, folder), recipe.train, Silent())


def one(network: str, **options: Any) -> Any:
    return teamwork.train(asked(1, **options), network, None, Silent())


def furthest(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    assert set(first) == set(second)
    return max(float(abs(first[name].astype(float) - second[name].astype(float)).max()) for name in first)


@given(count=st.integers(1, 40), size=st.integers(1, 5), least=st.integers(1, 2))
def test_every_sample_is_somebodys_and_the_weighted_mean_is_the_batchs(count: int, size: int, least: int) -> None:
    ranks = [Team(rank, size, least) for rank in range(size)]
    batch = [math.sin(i) for i in range(count)]
    shares = [team.share(batch) for team in ranks]
    counted = [team.weight(count) for team in ranks]
    assert all(shares)
    assert all(len(share) >= min(least, count) for share in shares)
    assert sorted(x for share, weight in zip(shares, counted, strict=True) if weight for x in share) == sorted(batch)
    mean = sum(weight * sum(share) / len(share) for share, weight in zip(shares, counted, strict=True)) / size
    assert mean == pytest.approx(sum(batch) / count)


def test_a_team_of_one_does_nothing() -> None:
    assert ALONE.share([1, 2]) == [1, 2]
    assert ALONE.weight(7) == 1.0
    assert ALONE.told({"a": 1}) == {"a": 1}
    assert ALONE.gather("x") == ["x"]
    ALONE.leave()


def test_collectives() -> None:
    found = together(teamwork.collectives, (), TrainRecipe(devices=2, batch=4, device="cpu"), Silent())
    assert math.isnan(found["told"].pop("nan"))
    assert found == {
        "told": {"AP": 0.25, "names": ["ä"]},
        "gathered": ["rank 0", "rank 1"],
        "average": [0.5, 2.0],
        "shares": [[0, 2, 4], [0, 2], [0]],
    }


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    """36 samples in batches of 8, two a step: shares of 4 and 4, at an epoch's end of 2 and 2, and a group of one."""
    options = {"accumulate": 2, "clip_norm": 1.0, "validate_every": 1}
    alone, team = one("plain", **options), two("plain", tmp_path, **options)
    assert furthest(alone["weights"], team["weights"]) < 1e-6
    assert furthest(alone["weights"], {n: w * 0 for n, w in alone["weights"].items()}) > 0.1
    assert team["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    assert team["accuracy"] == alone["accuracy"]
    assert team["steps"] == alone["steps"] == 6
    assert team["hash"] != alone["hash"]
    assert team["environment"]["devices"] == "2"
    assert furthest(team["weights"], teamwork.weights(tmp_path / "1.safetensors")) == 0


@pytest.mark.parametrize("batch", [8, 7])
def test_with_synced_norms_two_processes_train_as_one_does(batch: int) -> None:
    """Batch norm over shares of 4 and 4, or 4 and 3; its running statistics too. Without, it is another training."""
    options = {"batch": batch, "epochs": 1}
    alone, team = one("batch_normed", **options), two("batch_normed", sync_norm=True, **options)
    assert furthest(alone["weights"], team["weights"]) < 1e-5
    apart = two("batch_normed", **options)
    assert furthest(alone["weights"], apart["weights"]) > 1e-3


def test_uneven_shares_and_late_unfreezing() -> None:
    """Batches of 7 are shared 4 to 3, the last one of an epoch, 36 = 5 * 7 + 1, is left out; a layer joins late."""
    options = {"batch": 7, "epochs": 3, "freeze": ["0.*"], "unfreeze": {2: ["0.*"]}}
    alone, team = one("plain", **options), two("plain", **options)
    assert furthest(alone["weights"], team["weights"]) < 1e-6
    frozen = {name: tensor.numpy() for name, tensor in teamwork.plain().state_dict().items()}
    assert abs(alone["weights"]["0.weight"] - frozen["0.weight"]).max() > 1e-4


def test_a_killed_rank_ends_the_run_which_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """Batch norm, dropout, momentum, EMA; rank 1 dies after three steps, another team goes on from the snapshot."""
    options = {"ema": {"decay": 0.9, "tau": 3}, "checkpoint": "last_ema", "epochs": 3}
    whole, again = (two("normed", tmp_path / name, **options) for name in ("whole", "again"))
    assert furthest(whole["weights"], again["weights"]) == 0
    assert whole["hash"] == again["hash"]

    recipe, folder = asked(2, **options), tmp_path / "cut"
    folder.mkdir()
    with pytest.raises(RunError, match=r"rank 1: its process was killed \(exit code -9\)"):
        together(teamwork.killed_in_training, (recipe, folder, 3), recipe.train, Silent())
    said = Said()
    resumed = together(teamwork.train, (recipe, "normed", folder), recipe.train, said)
    assert any(text.startswith("goes on from step") for text in said.texts)
    assert furthest(whole["weights"], resumed["weights"]) == 0
    assert whole["hash"] == resumed["hash"]


class Said(Silent):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def say(self, text: str) -> None:
        self.texts.append(text)


@pytest.mark.parametrize(
    ("work", "error", "message"),
    [
        (teamwork.mistake, DataError, "^image-7.png is no image$"),
        (teamwork.bug, RunError, "^rank 1: ZeroDivisionError: one by zero$"),
        (teamwork.killed, RunError, r"^rank 1: its process was killed \(exit code -9\)$"),
    ],
)
def test_the_first_error_comes_out_and_ends_all(work: Any, error: type[Exception], message: str) -> None:
    recipe = asked(2)
    with pytest.raises(error, match=message):
        together(work, (recipe,), recipe.train, Silent())


def test_ranks_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    parent = forking().Process(target=teamwork.parent, args=(tmp_path,), daemon=False)
    parent.start()
    ranks = [started(tmp_path / str(rank)) for rank in range(2)]
    parent.kill()
    parent.join()
    assert all(map(gone, ranks))


def test_more_processes_than_samples_or_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"devices is 4, but a batch has 3 samples: raise train\.batch or lower"):
        check(TrainRecipe(devices=4, batch=3, device="cpu"))
    monkeypatch.setattr("ablab.engine.distributed._cores", lambda: 4)
    assert check(TrainRecipe(devices=2, batch=8, threads=2, device="cpu")) == ""
    assert check(TrainRecipe(devices=1, batch=8, threads=64, device="cpu")) == ""
    assert "4 processes of 2 threads want 8 cores, and 4 are here" in check(
        TrainRecipe(devices=4, batch=8, threads=2, device="cpu")
    )


def test_torchruns_environment() -> None:
    made = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    assert under_torchrun(made)
    assert follows(made)
    assert not follows(made | {"RANK": "0"})
    assert not under_torchrun(made | {"WORLD_SIZE": "1"})
    assert not under_torchrun({"RANK": "1"})
