"""Early stopping: when validation has not become better for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablab.recipe import EarlyStoppingRecipe


class Stopping:
    """Counts validations in a row that were not better than the best by more than `least` (as in Keras).

    The best moves only where it is beaten by more than `least`, so many small steps count as one large one.
    """

    def __init__(self, recipe: EarlyStoppingRecipe, metric: str, direction: str) -> None:
        self.recipe, self.metric, self.direction = recipe, metric, direction
        self.best, self.best_epoch, self.waited = float("-inf"), 0, 0
        self.reason = ""

    def watch(self, epoch: int, quality: float) -> bool:
        """Take a validation, of which more is better; whether to stop. `reason` then says why."""
        if quality > self.best + self.recipe.least or not self.best_epoch:
            self.best, self.best_epoch, self.waited = quality, epoch, 0
        else:
            self.waited += 1
        if self.waited >= self.recipe.patience:
            by = f" by more than {self.recipe.least:g}" if self.recipe.least else ""
            best = self.best if self.direction == "max" else -self.best
            self.reason = (
                f"stopped after epoch {epoch}: {self.metric} was not better{by} than the {best:.4g} of epoch "
                f"{self.best_epoch} in {self.waited} validations"
            )
        return bool(self.reason)

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps, as JSON."""
        return {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited, "reason": self.reason}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Stand where `state` was taken."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.waited, self.reason = state["waited"], state["reason"]
