"""The task with each head: facts, one step, predictions, and refusals before anything trains."""

import pytest
import torch

from ablab.config import parse
from ablab.errors import ConfigError
from ablab.measure.seeding import forked
from ablab.tasks.detection.recipe import DetectionRecipe
from ablab.tasks.detection.task import Detection

FREE = {"head": "anchor-free", "bins": 8}
DATA = {"path": "photo-digits", "size": 96, "scenes": [6, 2, 2], "classes": 3}


def task(model=None, facts=None, **recipe):
    recipe = {"data": DATA, "train": {"image_size": 96, "batch": 4}, "model": model or {}, **recipe}
    return Detection(parse(DetectionRecipe, recipe, "test"), facts)


@pytest.mark.parametrize("model", [{}, FREE], ids=["anchor", "anchor-free"])
def test_a_step_and_its_predictions(model):
    subject = task(model)
    splits = subject.data(("test", 0))
    with forked("test", 0):
        network = subject.build()
    batch = subject.collate([splits.train[0, i] for i in range(4)])
    step = subject.step(network, batch)
    step.loss.backward()
    assert step.loss.item() == pytest.approx(sum(part.item() for part in step.parts.values()), rel=1e-5)
    assert "distribution" in step.parts if model else "objectness" in step.parts
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    network.eval()
    with torch.no_grad():
        predictions = subject.predict(network, batch)
    assert len(predictions) == 4
    for found in predictions:
        assert ((found.boxes >= 0) & (found.boxes <= 96)).all()
        assert len(found) <= 100


def test_an_anchor_free_head_has_no_anchors_in_its_facts_and_is_rebuilt_from_them():
    facts = task(FREE).facts()
    assert set(facts) == {"classes", "note"}
    rebuilt = task(FREE, facts).build()
    assert rebuilt.head.classes == 3
    assert [name for name in rebuilt.state_dict() if "anchor" in name] == []
    assert len(task().facts()["anchors"]) == 3


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"loss": {"distribution": "dfl"}}, "loss.distribution would do nothing: the head is 'anchor'"),
        ({"model": FREE, "loss": {"balance": [1, 1, 1]}}, "loss.balance would do nothing: the head is 'anchor-free'"),
        ({"model": FREE, "anchors": "refit"}, "'refit' would do nothing: the head is anchor-free"),
    ],
)
def test_a_field_that_the_head_has_no_use_for_is_refused_before_the_data_is_read(recipe, words):
    with pytest.raises(ConfigError, match=words):
        task(**recipe)


@pytest.mark.parametrize("loss", [{"label_smoothing": 0.1}, {"classification": "focal"}, {"classification_gain": 1.0}])
def test_class_loss_settings_without_a_class_loss_are_refused(loss):
    one = task(loss=loss, data=DATA | {"classes": 1})
    batch = one.collate([one.data(("test", 0)).train[0, 0]])
    with pytest.raises(ConfigError, match="with one class the anchor head has no class loss"):
        one.step(one.build(), batch)
