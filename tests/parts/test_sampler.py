import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ablab import registry, testing
from ablab.errors import ConfigError, DataError
from ablab.parts.sampler import Oversample, Shuffle, Undersample, Weighted
from ablab.parts.sampler.rates import Rates

CHECKS = [check for name in registry.names("sampler") for check in testing.checks("sampler", name)]

# Ten images: class 0 in nine, class 1 in four, class 2 in one (with class 0), class 3 in none; one is empty.
TEN = np.zeros((10, 4), int)
TEN[:9, 0] = 7
TEN[2:6, 1] = 1
TEN[0, 2] = 3


def draws(sampling, epochs=400):
    """How often each image comes in each epoch.  -> (epochs, images)"""
    made = [sampling.draw(np.random.default_rng(seed)) for seed in range(epochs)]
    assert all(len(epoch) == len(sampling) for epoch in made)
    return np.stack([np.bincount(epoch, minlength=10) for epoch in made])


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_every_sampler_keeps_the_contract(check):
    check()


def test_the_slot():
    assert registry.names("sampler") == ["oversample", "shuffle", "undersample", "weighted"]


def test_shuffle_is_every_image_once():
    sampling = Shuffle()(TEN)
    assert len(sampling) == 10
    assert (draws(sampling, 20) == 1).all()


def test_shuffle_has_no_favourite_place():
    """Each image stands first in a tenth of the epochs: chi-squared with 9 degrees of freedom, 27.9 at 0.1%."""
    first = [Shuffle()(TEN).draw(np.random.default_rng(seed))[0] for seed in range(2000)]
    assert ((np.bincount(first, minlength=10) - 200) ** 2 / 200).sum() < 27.9


def test_oversample_hand_computed():
    # Shares 0.9, 0.4, 0.1; at a threshold of 0.4 the factors are 1, 1 and sqrt(0.4 / 0.1) = 2.
    sampling = Oversample(threshold=0.4)(TEN)
    assert len(sampling) == 11
    np.testing.assert_array_equal(draws(sampling, 20), np.tile([2, 1, 1, 1, 1, 1, 1, 1, 1, 1], (20, 1)))


def test_oversample_draws_the_fractions():
    # At 0.625 = 0.4 * 1.25^2: class 1 has the factor 1.25, class 2 has 2.5; 2.5 + 4 * 1.25 + 5 = 12.5, rounded down.
    sampling = Oversample(threshold=0.625)(TEN)
    assert len(sampling) == 12
    seen = draws(sampling)
    assert (seen[:, 6:] == 1).all()
    assert (seen[:, 1] == 1).all()
    assert set(np.unique(seen[:, 0])) == {2, 3}
    assert set(np.unique(seen[:, 2:6])) == {1, 2}
    # The fractions 0.5 and four times 0.25 sum to 1.5, of which one is drawn: 2/3 of each.
    np.testing.assert_allclose(seen.mean(axis=0), [2 + 1 / 3, 1, *[1 + 1 / 6] * 4, 1, 1, 1, 1], atol=0.07)


def test_undersample_hand_computed():
    # At most 2 x 1 images of a class: one of class 2, which is one of class 0 too; 2 of the four of class 1, which are
    # two more of class 0; so none of those with class 0 alone. The empty image stays.
    sampling = Undersample(ratio=2)(TEN)
    seen = draws(sampling)
    assert len(sampling) == 4
    assert (seen[:, [0, 9]] == 1).all()
    assert (seen[:, 2:6].sum(axis=1) == 2).all()
    assert (seen[:, [1, 6, 7, 8]] == 0).all()
    np.testing.assert_allclose(seen[:, 2:6].mean(axis=0), 0.5, atol=0.08)


def test_undersample_leaves_the_rest_where_it_balances():
    # Classes apart: 6, 3 and 1 images. At a ratio of 3, class 0 keeps 3 of its 6.
    apart = np.zeros((10, 3), int)
    apart[:6, 0] = apart[6:9, 1] = apart[9:, 2] = 1
    seen = draws(Undersample(ratio=3)(apart))
    assert (seen[:, :6].sum(axis=1) == 3).all()
    assert (seen[:, 6:] == 1).all()
    assert seen[:, :6].mean(axis=0) == pytest.approx([0.5] * 6, abs=0.08)


def test_weighted_hand_computed():
    # 1 / share: 10/9, 2.5, 10; the empty image weighs 1.
    most = Weighted()(TEN).weights
    raw = np.array([10, 10 / 9, *[2.5] * 4, *[10 / 9] * 3, 1])
    np.testing.assert_allclose(most, raw / raw.sum())
    mean = Weighted(over="mean")(TEN).weights
    raw = np.array([(10 / 9 + 10) / 2, 10 / 9, *[(10 / 9 + 2.5) / 2] * 4, *[10 / 9] * 3, 1])
    np.testing.assert_allclose(mean, raw / raw.sum())
    np.testing.assert_allclose(Weighted(power=0)(TEN).weights, 0.1)


def test_weighted_draws_by_weight():
    sampling = Weighted(power=0.5)(TEN)
    seen = draws(sampling, 2000).sum(axis=0)
    expected = 20000 * sampling.weights
    assert ((seen - expected) ** 2 / expected).sum() < 27.9  # chi-squared, 9 degrees of freedom, 0.1%


@pytest.mark.parametrize("sampler", [Oversample(0.5), Undersample(1), Weighted()])
def test_a_rare_class_is_seen_more_of(sampler):
    """A statement about what a sampler is for: the share of samples that hold the rarest class rises."""
    rng = np.random.default_rng(0)
    counts = (rng.random((500, 3)) < [0.8, 0.3, 0.05]).astype(int)
    shown = np.concatenate([sampler(counts).draw(np.random.default_rng(seed)) for seed in range(20)])
    before, after = (counts > 0).mean(axis=0), (counts[shown] > 0).mean(axis=0)
    assert after[2] > 2 * before[2]
    assert after[2] / after[0] > 2 * before[2] / before[0]


@given(arrays.arrays(float, st.integers(1, 60), elements=st.floats(0, 4)), st.integers(0, 2**32 - 1))
def test_rates_are_kept_to_one_sample(rates, seed):
    sampling = Rates(rates)
    drawn = sampling.draw(np.random.default_rng(seed))
    seen = np.bincount(drawn, minlength=len(rates))
    assert len(drawn) == len(sampling) == int(rates.sum() + 1e-6)
    assert (seen >= np.floor(rates)).all()
    assert (seen <= np.floor(rates) + 1).all()
    assert (seen[rates == np.floor(rates)] == rates[rates == np.floor(rates)]).all()


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        (Oversample(0.1), "would repeat no image: the rarest class is in 10.0% of the images"),
        (Undersample(9), "would leave out no image: the classes are in 10.0% to 100.0% of the images"),
    ],
)
def test_a_sampler_that_does_nothing_says_so(sampler, words):
    """Otherwise the treatment would be the baseline (trap 1)."""
    with pytest.raises(ConfigError, match=words):
        sampler(TEN)


@pytest.mark.parametrize("name", ["oversample", "undersample", "weighted"])
def test_nothing_annotated_is_nothing_to_balance(name):
    with pytest.raises(DataError, match="no image of the training split has an object"):
        registry.make(name, "sampler")(np.zeros((5, 2), int))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("oversample", {"threshold": 0}),
        ("oversample", {"threshold": 2}),
        ("undersample", {"ratio": 0.5}),
        ("weighted", {"power": -1}),
        ("weighted", {"over": "least"}),
        ("weighted", {"pwer": 1}),
    ],
)
def test_a_wrong_argument_is_refused(name, args):
    with pytest.raises(ConfigError, match=next(iter(args))):
        registry.make(name, "sampler", **args)
