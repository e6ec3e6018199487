"""Stochastic weight averaging (Izmailov et al. 2018): the mean of the networks that a high rate walks through."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel

from ablab.contracts import Batch
from ablab.recipe import TrainRecipe


def factor(step: int, per_epoch: int, train: TrainRecipe) -> float | None:
    """What the peak rate is multiplied by in a step (counted from 0) of the averaged epochs; None before them.

    A cycle of c steps falls along a line, (1 - t) `rate` + t `final` with t = 1/c, 2/c, ... 1 (the paper's equation in
    section 3.1), so it ends at `final`. Without a cycle the rate is constant (torch's SWALR, its annealing left out).
    """
    begin = (train.epochs - train.swa_epochs) * per_epoch
    if train.swa is None or step < begin:
        return None
    if train.swa.cycle is None:
        return train.swa.rate
    length = train.swa.cycle * per_epoch
    share = ((step - begin) % length + 1) / length
    return (1 - share) * train.swa.rate + share * train.swa.final


class SWA:
    """The mean of a network's parameters at the ends of a training's last epochs, or cycles of epochs.

    `average` is torch's; `average.module` holds the mean. Its buffers are the network's own, and its batch norms know
    nothing of their inputs until `refresh`.
    """

    def __init__(self, model: nn.Module, train: TrainRecipe) -> None:
        self.model, self.begin = model, train.epochs - train.swa_epochs
        self.cycle = (train.swa and train.swa.cycle) or 1
        self.average = AveragedModel(model).requires_grad_(False).eval()

    @property
    def count(self) -> int:
        """How many networks are in the mean."""
        return int(self.average.n_averaged)

    def update(self, epochs: int) -> None:
        """To be called when `epochs` are done: takes the weights in, where a cycle ends."""
        if epochs > self.begin and (epochs - self.begin) % self.cycle == 0:
            self.average.update_parameters(self.model)

    @torch.no_grad()
    def refresh(self, batches: Iterable[Batch], step: Callable[[nn.Module, Batch], object]) -> None:
        """Set running statistics to their mean over `batches`, each of which `step` brings through the network.

        torch's `update_bn`, but that norms which stood still in training (of frozen layers) stand still here too.
        """
        network: nn.Module = self.average.module
        for own, live in zip(network.modules(), self.model.modules(), strict=True):
            own.training = live.training
        norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.training]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # torch's word for: the mean over all batches
        for batch in batches if norms else ():
            step(network, batch)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.eval()
