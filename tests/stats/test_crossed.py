"""Seeds crossed with images: the formula by hand, limiting cases, and coverage of both effects in a simulation."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from ablab.errors import ConfigError
from ablab.stats import Population, compare, image_weights, interval, population


def generator(key):
    return np.random.Generator(np.random.Philox(key))


def test_the_three_intervals_by_hand():
    # V_s = 2 / 2; replicates' means 1 2 4.5 vary by 3.25; within seeds 1 and 7, mean 4; V_x = (4 - 3.25) * 2 / 2
    found = population([1.0, 3.0], [[0.0, 2.0], [1.0, 3.0], [2.0, 7.0]], 11)
    widen = 12 / 10
    t_seeds, t_images = reference.t.ppf(0.975, [1, 10])
    half = math.sqrt(t_seeds**2 * 1.0 + t_images**2 * widen * (3.25 - 0.75))
    assert found.seeds == pytest.approx((2 - t_seeds, 2 + t_seeds))
    over_images = t_images * math.sqrt(widen * 3.25)
    assert found.images == pytest.approx((2 - over_images, 2 + over_images))
    assert found.both == pytest.approx((2 - half, 2 + half))
    assert (found.groups, found.refused) == (11, "")


def test_seeds_are_the_paired_t():
    d = [0.01, 0.03, -0.02, 0.04]
    found = population(d, generator(0).normal(size=(50, 4)), 20, alpha=0.1)
    assert found.seeds == pytest.approx(tuple(map(float, interval(compare(d), 0.1))))


def test_images_without_luck_add_nothing_and_seeds_without_luck_leave_the_images():
    d = np.array([0.01, 0.03, -0.02])
    fixed = population(d, np.tile(d, (5, 1)), 30)
    assert fixed.both == pytest.approx(fixed.seeds)
    assert fixed.images == pytest.approx((d.mean(), d.mean()))
    shared = 0.02 + generator(1).normal(size=(40, 1)) * np.ones(3)  # every seed feels the images alike
    only = population([0.02] * 3, shared, 30)
    assert only.seeds == pytest.approx((0.02, 0.02))
    assert only.both == pytest.approx(only.images)


def test_what_seeds_already_hold_is_not_counted_twice():
    """Image noise that is each seed's own is in sd(d) already: all of V_i is V_x, but for the draw."""
    own = generator(2).normal(size=(20_000, 4))
    found = population([1.0, 2.0, 3.0, 4.0], own, 1000)
    width = found.seeds[1] - found.seeds[0]
    assert width <= found.both[1] - found.both[0] < 1.01 * width


def test_the_spread_of_a_mean_is_its_standard_error():
    """Dirichlet weights alone are (G - 1) / (G + 1) too sure of a variance: 18% at ten groups."""
    x = generator(3).normal(size=12)
    drawn = image_weights(np.arange(12), 40_000, generator(4)) @ x / 12
    found = population([x.mean()], drawn[:, None], 12)
    wanted = reference.ttest_1samp(x, 0).confidence_interval(0.95)
    assert found.images == pytest.approx(tuple(wanted), rel=0.02)


def test_groups_of_unlike_size_are_worth_fewer():
    """Kish's effective number: ten groups of 1 and ten of 3 images are worth (10 + 30)^2 / (10 + 90) = 16."""
    d, drawn = [0.1, 0.4, 0.2], generator(7).normal(size=(50, 3))
    uneven = population(d, drawn, [1] * 10 + [3] * 10)
    assert uneven.groups == 20
    assert uneven.images == pytest.approx(population(d, drawn, 16).images)
    assert uneven.both == pytest.approx(population(d, drawn, 16).both)
    assert population(d, drawn, [4] * 20) == population(d, drawn, 20)


def test_few_groups_are_refused_with_the_reason():
    found = population([0.1, 0.2], np.zeros((5, 2)), 9)
    assert "9 groups" in found.refused
    assert found.images == found.both == (-math.inf, math.inf)
    assert all(map(math.isfinite, found.seeds))
    assert population([0.1, 0.2], np.zeros((5, 2)), 10).refused == ""


def test_one_seed_says_something_of_images_only():
    found = population([0.1], generator(5).normal(0.1, 0.01, size=(100, 1)), 50)
    assert found.seeds == found.both == (-math.inf, math.inf)
    assert 0.06 < found.images[0] < 0.1 < found.images[1] < 0.14


def test_a_record_survives_json():
    for groups in (5, 50):
        found = population([0.1, 0.4], generator(6).normal(size=(10, 2)), groups)
        plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
        assert set(plain) == {"seeds", "images", "both", "groups", "refused"}
        assert Population.from_dict(plain) == found
    with pytest.raises(ConfigError, match="not a record"):
        Population.from_dict({"seeds": [0, 1]})


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match=r"got \(3,\) and \(5, 2\)"):
        population([1, 2, 3], np.zeros((5, 2)), 20)
    with pytest.raises(ConfigError, match="B >= 2"):
        population([1, 2], np.zeros((1, 2)), 20)
    with pytest.raises(ConfigError, match="not finite"):
        population([1, math.nan], np.zeros((5, 2)), 20)
    with pytest.raises(ConfigError, match="no images"):
        image_weights([], 3, generator(0))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=9), st.integers(1, 5))
def test_a_group_is_drawn_whole(labels, replicates):
    weights = image_weights(labels, replicates, generator(7))
    assert weights.shape == (replicates, len(labels))
    assert (weights > 0).all()
    assert weights.mean(axis=1) == pytest.approx(np.ones(replicates))
    for label in set(labels):
        rows = weights[:, [each == label for each in labels]]
        assert (rows == rows[:, :1]).all()


def test_weights_are_dirichlet():
    weights = image_weights(np.arange(8), 20_000, generator(8))
    assert reference.kstest(weights[:, 3] / 8, reference.beta(1, 7).cdf).pvalue > 1e-3
    assert np.corrcoef(weights[:, 0], weights[:, 1])[0, 1] == pytest.approx(-1 / 7, abs=0.03)


@pytest.mark.parametrize(("groups", "n"), [(10, 3), (40, 5)])
def test_each_interval_covers_what_it_speaks_of(groups, n):
    """y = image + seed + own: each truth is zero on average and known; 95% intervals over 400 studies, 3 errors."""
    rng, studies = generator(9), 400
    hits = np.zeros(3)
    for _ in range(studies):
        image, seed = rng.normal(size=groups), 0.3 * rng.normal(size=n)
        y = image[:, None] + seed + rng.normal(size=(groups, n))
        found = population(y.mean(axis=0), image_weights(np.arange(groups), 300, rng) @ y / groups, groups)
        truths = (image.mean(), seed.mean(), 0.0)
        ranges = (found.seeds, found.images, found.both)
        hits += [low < truth < high for truth, (low, high) in zip(truths, ranges, strict=True)]
    assert (hits / studies > 0.95 - 3 * (0.05 * 0.95 / studies) ** 0.5).all()
    assert hits[2] < studies  # wide enough is not without bounds
