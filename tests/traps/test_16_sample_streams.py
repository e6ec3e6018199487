"""Trap 16, at the level of samples: the seed reaches every draw, and nothing but its key does."""

import hashlib
import multiprocessing

import cv2
import numpy as np
import pytest

from ablab.tasks.detection.boxes import Annotation
from ablab.tasks.detection.recipe import AugmentRecipe
from ablab.tasks.detection.samples import DetectionSamples


@pytest.fixture
def split(tmp_path):
    """A function of (study, seed) that gives a fresh sample set."""
    noise, none, annotations = np.random.default_rng(0), np.zeros(1, bool), []
    for n in range(6):
        path = tmp_path / f"{n}.png"
        cv2.imwrite(str(path), noise.integers(0, 256, (48, 64, 3), np.uint8))
        boxes, labels = np.array([[5, 5, 40, 40.0]]), np.array([n])
        annotations.append(Annotation(f"image-{n}", path, 64, 48, boxes, labels, none, none))
    return lambda *key: DetectionSamples(annotations, (64, 64), AugmentRecipe(degrees=5), key)


def bytes_of(samples, epoch, indices=range(6)):
    made = [samples[epoch, index] for index in indices]
    return [hashlib.sha256(s.image.tobytes() + s.boxes.tobytes() + s.labels.tobytes()).hexdigest() for s in made]


def test_every_part_of_the_key_counts(split):
    first = bytes_of(split("study", 0), 0)
    assert len(set(first)) == 6
    assert bytes_of(split("study", 0), 0) == first
    for key, epoch in ((("study", 1), 0), (("other", 0), 0), (("study", 0), 1)):
        assert not set(bytes_of(split(*key), epoch)) & set(first)


def test_neither_order_nor_history_counts(split):
    samples = split("study", 0)
    forward = bytes_of(samples, 2)
    bytes_of(samples, 0)
    assert bytes_of(samples, 2, reversed(range(6))) == forward[::-1]


def test_any_number_of_processes_gives_the_same(split):
    whole = bytes_of(split("study", 0), 1)
    samples, fork = split("study", 0), multiprocessing.get_context("fork")
    receiving, sending = fork.Pipe(duplex=False)
    workers = [
        fork.Process(target=lambda n=n: sending.send((n, bytes_of(samples, 1, range(n, 6, 2))))) for n in range(2)
    ]
    parts = {}
    for worker in workers:
        worker.start()
        assert receiving.poll(60), "a forked reader has not answered"
        n, part = receiving.recv()
        worker.join()
        parts[n] = part
    assert [parts[index % 2][index // 2] for index in range(6)] == whole
