"""Each promise of the sampler slot is broken on purpose once."""

from dataclasses import dataclass

import numpy as np
import pytest
from breaking import assert_breaks_only

from ablab.errors import ContractError
from ablab.registry import Entry
from ablab.surgery import contract


@dataclass
class Half:
    """A sound one: every second image, shuffled."""

    length: int = 30
    offset: int = 0

    def __len__(self):
        return self.length

    def draw(self, rng):
        return rng.permutation(30)[: self.length] * 2 + self.offset


class Beyond(Half):
    def draw(self, rng):
        return super().draw(rng) + 2


class Fractions(Half):
    def draw(self, rng):
        return super().draw(rng) * 1.0


class Uneven(Half):
    def draw(self, rng):
        return super().draw(rng)[rng.integers(3) :]


class Private(Half):
    def draw(self, rng):
        return np.random.default_rng().permutation(super().draw(rng))


class Frozen(Half):
    def draw(self, rng):
        return np.arange(30)


def entry(kind, **args):
    return Entry("sampler", "broken", lambda: lambda counts: kind(**args))


def test_a_sound_sampler_passes():
    contract.check(Entry("sampler", "sound", lambda offset=0: lambda counts: Half(offset=offset)))


@pytest.mark.parametrize(
    ("kind", "promise", "words"),
    [
        (Beyond, "indices in range", "it drew 2 to 60 of 60 images"),
        (Fractions, "indices in range", "float64"),
        (Uneven, "every epoch as long as declared", "its epochs have [28, 29, 30] samples, and its len is 30"),
        (Private, "equal generators draw alike", "equal generators drew unlike epochs"),
        (Frozen, "equal generators draw alike", "two epochs came in one order"),
    ],
)
def test_the_broken_promise_is_named_and_no_other(kind, promise, words):
    assert_breaks_only(entry(kind), promise, words)


def test_an_argument_that_does_nothing_is_named():
    with pytest.raises(ContractError, match=r"every argument counts.*'idle' changes nothing"):
        contract.check(Entry("sampler", "broken", lambda idle=1: lambda counts: Half()))
