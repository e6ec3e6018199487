"""Whether a change may be left out: two one-sided tests (Schuirmann 1987), read off an interval.

Both tests reject at `alpha` exactly where the 1 - 2 alpha interval lies inside +-margin. A claim about all K arms at
once is made at alpha / K.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ablab.stats.paired import Array, Comparison, interval


def equivalence_interval(comparison: Comparison, alpha: float) -> tuple[Array, Array]:
    """The 1 - 2 alpha interval: 90% at alpha 0.05."""
    return interval(comparison, 2 * alpha)


def equivalent(comparison: Comparison, margin: float, alpha: float) -> NDArray[np.bool_]:
    """Whether the effect is shown to be smaller than `margin` (> 0, in the metric's units) in both directions."""
    low, high = equivalence_interval(comparison, alpha)
    return (low > -margin) & (high < margin)
