"""A card that runs out of memory, played on the CPU: a task that refuses batches above a size."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Net, Tiny, fresh, recipe
from told import Told
from torch import nn

from ablab.config import override
from ablab.engine.evaluate import evaluate
from ablab.engine.fit import Fitted, fit
from ablab.engine.pieces import Beginning, as_kept, division, halved
from ablab.engine.snapshot import Snapshots
from ablab.engine.training import Training
from ablab.errors import RunError


class Small(Tiny):
    """Holds `most` images at a time, from its step `begins` on."""

    def __init__(self, given: Any, most: int, begins: int = 0, count: int = 36) -> None:
        super().__init__(given, count)
        self.most, self.begins, self.steps = most, begins, 0

    def step(self, model: nn.Module, batch: dict[str, Any]) -> Any:
        self.steps += 1
        self.hold(batch)
        return super().step(model, batch)

    def predict(self, model: nn.Module, batch: dict[str, Any]) -> list[int]:
        self.hold(batch)
        return super().predict(model, batch)

    def hold(self, batch: dict[str, Any]) -> None:
        if len(batch["ids"]) > self.most and self.steps >= self.begins:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has ...")


def trained(task: Tiny, model: nn.Module | None = None, **options: Any) -> Fitted:
    key = ("study", 0)
    return fit(task, model or fresh(), task.data(key), task.recipe, key=key, **options)


def same(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "accumulates already": ({"accumulate": 2}, {}),
    "validated": ({"validate_every": 1, "checkpoint": "best_ema"}, {}),
    "frozen": ({"freeze": ["0.*", "1.*"], "unfreeze": {2: ["*"]}}, {}),
    "averaged": ({"epochs": 4, "ema": None, "checkpoint": "swa", "swa": {"share": 0.5}}, {}),
}


@pytest.mark.parametrize("begins", [0, 7])
@pytest.mark.parametrize("case", CASES)
def test_it_ends_with_the_bits_of_the_smaller_batch_whenever_the_memory_ran_out(case: str, begins: int) -> None:
    settings, changes = CASES[case]
    given = override(recipe(**settings), changes)
    several = settings.get("accumulate", 1)
    plain = Tiny(override(given, {"train.batch": 2, "train.accumulate": 4 * several}))
    events = Told()
    found = trained(Small(given, most=3, begins=begins), events=events, metric="accuracy")
    expected = trained(plain, metric="accuracy")
    assert same(found.model, expected.model)
    assert found.batch_hash == expected.batch_hash
    assert (found.steps, found.epoch) == (expected.steps, expected.epoch)
    assert [row["loss"] for row in found.curves] == [row["loss"] for row in expected.curves]
    assert all(p.requires_grad for p in found.model.parameters())
    assert found.notes[-1] == (
        f"the card's memory does not hold batches of 8: trained in batches of 2 with train.accumulate {4 * several}, "
        f"so a step still has {8 * several} images; batch norm saw 2 at a time, which another arm's may not have"
    )
    assert not expected.notes
    assert any("beginning again with batches of 4" in line for line in events.said)


def test_where_nothing_is_left_to_divide_it_fails_and_names_the_last_size() -> None:
    with pytest.raises(RunError, match="out of memory with batches of 2 images"):
        trained(Small(recipe(), most=1))


def test_a_batch_that_was_never_too_large_is_not_divided() -> None:
    events = Told()
    fitted = trained(Small(recipe(), most=8), events=events)
    assert not fitted.notes
    assert not any("beginning again" in line for line in events.said)


@pytest.mark.parametrize(("batch", "sizes"), [(16, [8, 4, 2]), (12, [6, 3]), (9, [3]), (7, []), (2, []), (1, [])])
def test_pieces_divide_the_batch(batch: int, sizes: list[int]) -> None:
    train, found = recipe(batch=batch, accumulate=3).train, []
    while smaller := halved(train):
        train = smaller
        assert train.batch * train.accumulate == 3 * batch
        found.append(train.batch)
    assert found == sizes


def test_every_process_of_a_team_keeps_two_images() -> None:
    smaller = halved(recipe(batch=16, devices=3).train)
    assert smaller
    assert smaller.batch == 8
    assert halved(smaller) is None  # 4 images are less than two for each of three


def test_a_network_without_batch_norm_has_nothing_else_to_be_told() -> None:
    asked = recipe(batch=8).train
    divided = halved(asked)
    assert divided
    assert "batch norm" not in division(asked, divided, nn.Linear(2, 2))
    assert "batch norm saw 4" in division(asked, divided, Net())
    assert division(asked, asked, Net()) == ""


def test_the_beginning_is_whole() -> None:
    model = fresh()
    model[0].weight.requires_grad_(False)
    beginning = Beginning(model)
    with torch.no_grad():
        for tensor in (*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())):
            tensor.add_(1)
    model.requires_grad_(True)
    beginning.restore(model)
    assert same(model, fresh())
    assert not next(model.parameters()).requires_grad
    assert all(p.requires_grad for p in list(model.parameters())[1:])


def test_a_killed_training_goes_on_in_the_pieces_of_its_snapshot(tmp_path: Path) -> None:
    given = recipe()
    divided = halved(given.train)
    assert divided
    task = Tiny(given.model_copy(update={"train": divided}))
    key = ("study", 0)
    training = Training(task, fresh(), task.data(key), task.recipe, key, "", "max")
    path = tmp_path / "snapshot.safetensors"
    tensors, plain = training.state()
    Snapshots(path, "run").write(training.about(), tensors, plain | {"elapsed": 0.0})
    assert as_kept(given.train, Snapshots(path, "run")) == divided
    assert as_kept(given.train, Snapshots(path, "another")) == given.train
    assert as_kept(given.train, None) == given.train
    events = Told()
    found = trained(Tiny(given), events=events, snapshots=Snapshots(path, "run"))
    assert any(line.startswith("goes on from step 0") for line in events.said), events.said
    assert same(found.model, trained(task).model)
    path.write_bytes(b"damaged")
    assert as_kept(given.train, Snapshots(path, "run")) == given.train


def test_an_evaluation_halves_what_it_predicts_at_a_time_and_finds_the_same() -> None:
    given, events = recipe(), Told()
    samples = Tiny(given).data(("study", 0)).validation
    found = evaluate(Small(given, most=3), fresh(), samples, given, events=events)
    expected = evaluate(Tiny(given), fresh(), samples, given)
    assert found["right"].tolist() == expected["right"].tolist()
    assert [line.rpartition("; ")[2] for line in events.said] == [
        "beginning again with 4 at a time",
        "beginning again with 2 at a time",
    ]
    model = fresh().train()
    with pytest.raises(RunError, match="batches of 1 images"):
        evaluate(Small(given, most=0), model, samples, given)
    assert model.training
