"""The slot `wrapper`: a part around a module, which it is given as `inner` and calls.

What the module was called with goes on to it. Its weights stand under `inner`: `stem.weight` becomes
`stem.inner.weight`.
"""

from ablab.parts.wrapper.layer_scale import LayerScale
from ablab.parts.wrapper.parametrization import SpectralNorm, WeightNorm
from ablab.parts.wrapper.residual import Residual
from ablab.parts.wrapper.stochastic_skip import StochasticSkip

__all__ = ["LayerScale", "Residual", "SpectralNorm", "StochasticSkip", "WeightNorm"]
