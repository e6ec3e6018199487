"""L-BFGS: Newton's step, its curvature guessed from the last steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ablab.errors import ConfigError
from ablab.registry import register


@register(
    "optimizer",
    "lbfgs",
    paper="https://doi.org/10.1007/BF01589116",
    one_group=True,
    alternatives={"max_iter": [2], "max_eval": [3], "history_size": [1], "tolerance_grad": [1.0]},
)
class LBFGS(torch.optim.LBFGS):
    """w -= t H g;  H is built from the last `history_size` changes of w and g, t found by a line search.

    Liu and Nocedal 1989, algorithm 2.1; torch's, with the strong Wolfe conditions unless `line_search` is off (t is lr
    then). A step is up to `max_iter` iterations on one batch and evaluates it up to `max_eval` times (1.25 `max_iter`
    by default), so it costs as many of another's. Meant for full batches: between two small ones the gradient differs
    by more than curvature, and H is noise. It has no weight decay and one rate for all; memory is 2 `history_size`
    times the network.
    """

    def __init__(
        self,
        params: list[dict[str, Any]],
        lr: float,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 10,
        line_search: bool = True,
    ) -> None:
        if len(params) > 1:
            raise ConfigError(f"lbfgs moves all parameters by one rate, got {len(params)} groups; leave out rates")
        search = "strong_wolfe" if line_search else None
        super().__init__(params, lr, max_iter, max_eval, tolerance_grad, tolerance_change, history_size, search)

    def step(self, closure: Callable[[], Tensor]) -> Any:  # type: ignore[override]
        """Search; `closure` puts gradients into the parameters and returns the loss, anew at each call."""

        def contiguous() -> Tensor:
            """torch wants to see each gradient as a vector, which it cannot in channels_last."""
            loss = closure()
            for parameter in self.param_groups[0]["params"]:
                if parameter.grad is not None:
                    parameter.grad = parameter.grad.contiguous()
            return loss

        return super().step(contiguous)  # type: ignore[no-untyped-call]
