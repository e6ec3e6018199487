"""The chapter "network" of a detector that is not trained, and of one that is broken on purpose."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from ablab.contracts import Step
from ablab.diagnose.network.chapter import first_batches, read_network
from ablab.engine.events import Silent
from ablab.measure.seeding import forked
from ablab.records import plain_json


class Net(nn.Module):
    """Strides 2 and 4, a map at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 6, 3, 2, 1)
        self.act = nn.ReLU()
        self.two = nn.Conv2d(6, 6, 3, 2, 1)
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.two(self.act(self.one(x))))


class Task:
    """Finds nothing in particular; its objects are 4 to 40 pixels wide."""

    def __init__(self, sizes=((4, 4), (40, 10))):
        self.sizes = np.array(sizes, float).reshape(-1, 2)

    def step(self, model, batch):
        return Step(model(batch["images"].float() / 255).square().mean(), {})

    def targets(self):
        return self.sizes

    def surest(self, model, output):
        return output.max()

    def collate(self, samples):
        return {"images": torch.stack(samples)}


class Samples(list):
    def __getitem__(self, key):
        return super().__getitem__(key[1])


@pytest.fixture
def batches():
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return list(first_batches(Task(), Samples(images), 2, 2))


def network() -> Net:
    with forked("test"):
        return Net()


def test_batches_are_the_first_samples_and_no_more(batches):
    assert [len(batch["images"]) for batch in batches] == [2, 2]


def test_the_fields_are_those_of_the_formula_and_held_against_the_objects(batches):
    chapter = read_network(Task(), network(), batches, Silent())
    (field,) = chapter.numbers["receptive"]
    assert (field["width"], field["stride"]) == (1 + 2 + 2 * 2, 4)  # 1 + sum (k - 1) * stride before
    assert chapter.numbers["objects"][2] == [0.5, 22.0]
    assert "field too small" in [finding.fault for finding in chapter.findings]  # 7 pixels, half of the objects have 40
    assert chapter.notes == ()
    assert json.loads(json.dumps(plain_json(chapter.numbers))) == plain_json(chapter.numbers)


def test_every_reading_is_there_and_pictures_are_of_inner_places(batches):
    chapter = read_network(Task(), network(), batches, Silent())
    assert set(chapter.numbers) == {
        "receptive", "effective", "sight", "objects", "activity", "scales", "unused", "timing"
    }  # fmt: skip
    titles = [panel.title for panel in chapter.panels]
    assert "feature maps: one" in titles
    assert "feature maps: two" in titles
    assert not any("last" in title for title in titles)  # that is the output itself
    assert all(panel.png.startswith(b"\x89PNG") for panel in chapter.panels)


def test_a_dead_layer_comes_before_what_follows_from_it(batches):
    model = network()
    nn.init.constant_(model.one.bias, -1000)
    chapter = read_network(Task(), model, batches, Silent())
    worst = max(chapter.findings, key=lambda finding: finding.severity)
    assert worst.fault == "dead layer"
    assert "act (relu)" in worst.sentence


def test_what_cannot_be_read_is_a_note_and_the_rest_is_read(batches):
    class Flat(Net):
        def forward(self, x):
            return super().forward(x).mean((2, 3))  # no map comes out

    with forked("test"):
        model = Flat()
    chapter = read_network(Task(), model, batches, Silent())
    assert any(note.startswith("fields could not be read") for note in chapter.notes)
    assert "activity" in chapter.numbers


def test_without_objects_there_is_nothing_to_hold_fields_against(batches):
    chapter = read_network(Task(()), network(), batches, Silent())
    assert "receptive" in chapter.numbers
    assert "sight" not in chapter.numbers
