"""Trap 16: the seed never reaches the loader's workers, so every "seed" has the same augmentation."""

import hashlib
from itertools import product
from typing import Any

from tiny import Tiny, recipe

from ablab.engine.loading import BatchHash, KeyedSampler, load


def batches(seed: int, workers: int) -> list[dict[str, Any]]:
    task = Tiny(recipe(), count=20)
    key = ("study", seed)
    return list(load(task.data(key).train, KeyedSampler(20, key, 8, epochs=2), task.collate, workers=workers))


def digests(made: list[dict[str, Any]]) -> list[str]:
    return [
        hashlib.sha256(batch["images"].numpy().tobytes() + str(batch["ids"]).encode()).hexdigest() for batch in made
    ]


def test_every_seed_has_batches_of_its_own_whatever_the_workers() -> None:
    runs = {(seed, workers): batches(seed, workers) for seed, workers in product((0, 1, 2), (0, 1, 2))}
    whole = {key: digests(made) for key, made in runs.items()}
    assert len({tuple(whole[seed, 0]) for seed in (0, 1, 2)}) == 3
    for seed in (0, 1, 2):
        assert whole[seed, 0] == whole[seed, 1] == whole[seed, 2]
        assert len(set(whole[seed, 0])) == 6  # three batches in each of two epochs, no two alike

    recorded = {}
    for key, made in runs.items():
        running = BatchHash()
        for batch in made:
            running.update(batch)
        recorded[key] = running.hexdigest()
    assert len(set(recorded.values())) == 3
    assert all(recorded[seed, workers] == recorded[seed, 0] for seed, workers in recorded)


def test_one_image_is_augmented_anew_each_epoch_and_each_seed() -> None:
    """The order aside: the very pixels of one image differ between epochs, and between seeds."""
    seen = set()
    for seed in (0, 1):
        for batch in batches(seed, workers=2):
            seen |= {
                image.numpy().tobytes()
                for image, name in zip(batch["images"], batch["ids"], strict=True)
                if name == "train-0"
            }
    assert len(seen) == 4
