import itertools
import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import Images, Tiny, recipe

from ablab.engine.loading import BatchHash, KeyedSampler, in_order, load
from ablab.errors import ContractError, DataError
from ablab.streams import stream


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 3))
def test_every_epoch_holds_every_sample_once_but_a_lone_last_one(length: int, batch: int, epochs: int) -> None:
    sampler = KeyedSampler(length, ("study", 0), batch, epochs)
    batches = list(sampler)
    assert len(batches) == len(sampler) == epochs * len(sampler.sizes)
    lone = batch > 1 and length > 1 and length % batch == 1
    for epoch in range(epochs):
        mine = batches[epoch * len(sampler.sizes) : (epoch + 1) * len(sampler.sizes)]
        assert all(e == epoch for one in mine for e, _ in one)
        seen = [index for one in mine for _, index in one]
        assert len(set(seen)) == len(seen) == length - lone
        assert not lone or min(map(len, mine)) > 1


def test_order_depends_on_key_and_epoch_alone() -> None:
    def indices(*key: str | int) -> list[list[int]]:
        sampler = KeyedSampler(50, key, 50, 2)
        return [[index for _, index in batch] for batch in sampler]

    assert indices("s", 0) == indices("s", 0)
    first, second = indices("s", 0)
    assert first != second
    assert indices("s", 1)[0] != first
    assert indices("t", 0)[0] != first


def test_in_order_leaves_nothing_out() -> None:
    assert in_order(5, 2) == [[(0, 0), (0, 1)], [(0, 2), (0, 3)], [(0, 4)]]
    assert in_order(0, 2) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_sample_comes_out_with_its_type(workers: int) -> None:
    class Broken(Images):
        def __getitem__(self, key: tuple[int, int]) -> dict[str, object]:
            raise DataError("a.jpg is truncated")

    stream = load(Broken("x", 4), in_order(4, 2), Tiny(recipe()).collate, workers=workers)
    with pytest.raises(DataError, match=r"a\.jpg is truncated"), closing(stream):
        next(stream)
    assert multiprocessing.active_children() == []


def test_closing_early_ends_the_workers_and_keeps_threads() -> None:
    before = torch.get_num_threads()
    for workers in (0, 2):
        stream = load(Images("x", 40), in_order(40, 2), Tiny(recipe()).collate, workers=workers)
        next(stream)
        stream.close()
        with pytest.raises(StopIteration):
            next(stream)
    assert multiprocessing.active_children() == []
    assert torch.get_num_threads() == before


def test_threads_that_torch_starts_later_have_the_trainings_number() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        list(load(Images("x", 4), in_order(4, 2), Tiny(recipe()).collate))
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)


def test_no_draw_from_the_global_generator() -> None:
    before = torch.get_rng_state()
    for workers in (0, 2):
        list(load(Images("x", 4), in_order(4, 2), Tiny(recipe()).collate, workers=workers))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(sys.platform != "linux", reason="forked workers")
def test_opencv_is_calmed_in_the_workers() -> None:
    import cv2

    class Threads(Images):
        def __getitem__(self, key: tuple[int, int]) -> tuple[int, int]:
            return cv2.getNumThreads(), torch.get_num_threads()

    assert list(load(Threads("x", 2), in_order(2, 2), lambda s: {"n": s}, workers=1)) == [{"n": [(1, 1), (1, 1)]}]


def test_hash_sees_pixels_ids_and_every_tensor() -> None:
    def digest(pixel: int = 0, name: str = "a", box: float = 1.0) -> str:
        images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
        images[1, 2, 3, 3] = pixel
        made = BatchHash()
        made.update({"images": images, "ids": [name, "b"], "boxes": torch.tensor([box]), "truth": object()})
        return made.hexdigest()

    assert digest() == digest()
    assert len({digest(), digest(pixel=1), digest(name="c"), digest(box=2.0)}) == 4
    assert len(digest()) == 16


def test_hash_takes_any_dtype_and_layout() -> None:
    def digest(value: torch.Tensor) -> str:
        made = BatchHash()
        made.update({"ids": [], "x": value})
        return made.hexdigest()

    odd = [torch.zeros(0, 4), torch.tensor(True), torch.ones(2, dtype=torch.bfloat16), torch.zeros(4, 0)]
    assert len({digest(value) for value in odd}) == 4
    rows = torch.arange(6).view(2, 3)
    assert digest(rows) == digest(rows.t().contiguous().t())


@pytest.mark.parametrize("length", [0, 1, 3])
def test_hash_takes_values_of_any_stride(length: int) -> None:
    """With at most one box torch keeps the stride of such a slice, and calls it dense."""
    column = torch.arange(8).reshape(4, 2)[:length, 1]
    assert column.stride() == (2,)
    hashes = [BatchHash(), BatchHash()]
    for hashed, tensor in zip(hashes, (column, column.clone(memory_format=torch.contiguous_format)), strict=True):
        hashed.update({"ids": ["a"], "classes": tensor})
    assert len({each.hexdigest() for each in hashes}) == 1


def test_hash_of_large_images_sees_every_image_and_channel() -> None:
    """Only a sample of 16 KB is hashed; a change of a whole channel of one image must still show."""

    def digest(images: torch.Tensor) -> str:
        made = BatchHash()
        made.update({"ids": [], "images": images})
        return made.hexdigest()

    empty = torch.zeros(8, 320, 320, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
    seen = {digest(empty)}
    for image, channel in itertools.product(range(8), range(3)):
        changed = empty.clone()
        changed[image, channel] += 1
        seen.add(digest(changed))
    assert len(seen) == 1 + 8 * 3


@given(st.integers(1, 30), st.integers(1, 7), st.integers(1, 3), st.data())
def test_batches_from_any_one_on_are_the_rest_of_them_all(
    length: int, batch: int, epochs: int, data: st.DataObject
) -> None:
    whole = KeyedSampler(length, ("t", 0), batch, epochs)
    start = data.draw(st.integers(0, len(whole)))
    rest = KeyedSampler(length, ("t", 0), batch, epochs, start=start)
    assert list(rest) == list(whole)[start:]
    assert [len(one) for one in whole] == list(whole.sizes) * epochs


class Picks:
    def __init__(self, picks: list[int]) -> None:
        self.picks = np.array(picks, dtype=np.int64)

    def __len__(self) -> int:
        return 4

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return rng.permutation(self.picks)


def test_a_sampling_draws_from_the_epochs_stream() -> None:
    made = list(KeyedSampler(9, ("t", 1), 3, 2, Picks([0, 0, 7, 8])))
    assert [len(one) for one in made] == [3, 3]  # of four, the lone last one is left out
    for epoch, one in enumerate(made):
        drawn = stream("order", "t", 1, epoch).permutation([0, 0, 7, 8])
        assert one == [(epoch, index) for index in drawn[:3]]


@pytest.mark.parametrize("picks", [[0, 1, 2], [0, 1, 2, 9], [0, 1, 2, -1]])
def test_a_sampling_that_breaks_its_word_is_named(picks: list[int]) -> None:
    with pytest.raises(ContractError, match=r"Picks\.draw gave .*; expected 4 from 0 to 8"):
        list(KeyedSampler(9, ("t", 1), 3, 1, Picks(picks)))


@given(st.lists(st.sampled_from([(32, 64), (64, 32), (64, 64)]), max_size=25), st.integers(1, 6))
def test_no_two_shapes_share_a_batch_and_nothing_is_left_out(shapes: list[tuple[int, int]], batch: int) -> None:
    made = in_order(len(shapes), batch, shapes)
    assert sorted(index for one in made for _, index in one) == list(range(len(shapes)))
    assert all(len({shapes[index] for _, index in one}) == 1 and len(one) <= batch for one in made)
    assert len(made) == sum(-(-shapes.count(shape) // batch) for shape in set(shapes))


def test_a_chain_of_hashes_goes_on_from_its_state() -> None:
    batches = [{"ids": [str(i)], "x": torch.tensor([i])} for i in range(4)]
    whole, first = BatchHash(), BatchHash()
    for batch in batches:
        whole.update(batch)
    for batch in batches[:2]:
        first.update(batch)
    second = BatchHash(first.state)
    for batch in batches[2:]:
        second.update(batch)
    assert second.hexdigest() == whole.hexdigest() != first.hexdigest()
