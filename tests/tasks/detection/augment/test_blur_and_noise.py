import numpy as np
import pytest
from hypothesis import given, settings
from painting import painted, sample, seeds

from ablab.tasks.detection.augment import noise as noising
from ablab.tasks.detection.augment.blur import Blur
from ablab.tasks.detection.augment.noise import Noise


class Certain:
    """A generator whose first two draws are fixed; its bytes are a real generator's."""

    def __init__(self, *draws):
        self.draws, self.rng = draws, np.random.default_rng(0)

    def random(self, count):
        assert count == len(self.draws)
        return np.array(self.draws, float)

    def bytes(self, count):
        return self.rng.bytes(count)


@pytest.mark.parametrize("change", [Blur, Noise])
def test_with_probability_0_it_is_the_same_sample(change):
    scene = painted(40, 60, (5, 6, 20, 30))
    assert change(0.0)(scene, np.random.default_rng(0)) is scene


@settings(max_examples=20)
@given(seeds)
def test_the_same_generator_gives_the_same_bytes(seed):
    scene = painted(40, 60, (5, 6, 20, 30))
    for change in (Blur, Noise):
        one, two = (change(1.0)(scene, np.random.default_rng(seed)) for _ in range(2))
        assert one.image.tobytes() == two.image.tobytes()
        assert one.boxes is scene.boxes


def test_a_flat_image_has_nothing_to_blur():
    scene = sample(np.full((30, 40, 3), 77, np.uint8), [])
    assert (Blur(1.0)(scene, Certain(0, 1)).image == 77).all()


def test_a_blurred_point_is_a_gaussian():
    # Sigma 2: the centre of a point of mass 255 holds 255 / (2 pi sigma^2), a neighbour exp(-1/8) of that.
    scene = sample(np.zeros((31, 31, 3), np.uint8), [])
    scene.image[15, 15] = 255
    out = Blur(1.0)(scene, Certain(0, 1)).image[..., 0].astype(float)
    assert abs(out[15, 15] - 255 / (2 * np.pi * 4)) <= 1
    assert abs(out[15, 16] - 255 * np.exp(-1 / 8) / (2 * np.pi * 4)) <= 1


def test_no_strength_is_no_noise():
    scene = painted(40, 60, (5, 6, 20, 30))
    np.testing.assert_array_equal(Noise(1.0)(scene, Certain(0, 0)).image, scene.image)


def test_noise_is_gaussian():
    scene = sample(np.full((200, 200, 3), 128, np.uint8), [])
    added = Noise(1.0)(scene, Certain(0, 1)).image.astype(float) - 128
    sigma = noising.MOST
    assert abs(added.mean()) < 0.3
    assert abs(added.std() / sigma - 1) < 0.02
    for quantile, within in ((1, 0.6827), (2, 0.9545)):  # of a normal distribution
        assert abs((np.abs(added) <= quantile * sigma).mean() - within) < 0.02
    a, b = added[:, :-1].ravel(), added[:, 1:].ravel()
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.02  # no pixel knows of its neighbour


def test_noise_stops_at_black_and_white():
    for level in (0, 255):
        out = Noise(1.0)(sample(np.full((50, 50, 3), level, np.uint8), []), Certain(0, 1)).image
        assert 0.4 < (out == level).mean() < 0.6  # the half that would go beyond stays
