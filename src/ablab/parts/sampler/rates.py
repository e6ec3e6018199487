"""Samples by how often an epoch should show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ROUNDING = 1e-6  # a sum that is less below a whole number is that number


@dataclass(frozen=True)
class Rates:
    """A `contracts.Sampling` that shows sample i `rates[i]` times an epoch on average: its floor, and now and then one
    more.

    The length is the rates' sum, rounded down, in every epoch: the fractions are drawn systematically (Madow 1949),
    among samples of equal rate in random order, so that these too come in the same number each epoch but for one.
    """

    rates: np.ndarray  # (images,), none negative

    def __len__(self) -> int:
        return int(self.rates.sum() + ROUNDING)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        order = rng.permutation(len(self.rates))
        order = order[np.argsort(self.rates[order], kind="stable")]
        whole = np.floor(self.rates[order]).astype(np.int64)
        edges = np.cumsum(self.rates[order] - whole)  # the fractions end to end; a comb of step 1 is laid over them
        extra = len(self) - int(whole.sum())
        if extra:
            teeth = np.ceil(edges * min(extra / edges[-1], 1) - rng.random()).astype(np.int64)
            teeth[-1] = extra  # whatever the last bits of the sum
            whole += np.diff(teeth, prepend=0)
        return rng.permutation(np.repeat(order, whole))
