"""The slot `sampler`: which images make an epoch.

sampler(counts) -> contracts.Sampling      counts (images, classes): how many objects of each class an image has
"""

from ablab.parts.sampler.oversample import Oversample
from ablab.parts.sampler.shuffle import Shuffle
from ablab.parts.sampler.undersample import Undersample
from ablab.parts.sampler.weighted import Weighted

__all__ = ["Oversample", "Shuffle", "Undersample", "Weighted"]
