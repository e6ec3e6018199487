"""Parameters that do not move, and when they are let go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from ablab.engine.naming import matching, names
from ablab.errors import ConfigError


class Freezing:
    """Freezes by glob at once; `enter` lets go what an epoch's globs name, `train` sets the network's mode.

    A frozen parameter has no gradient, hence neither momentum nor decay; the optimizer holds it from the start, and its
    state begins in the first step that moves it.

    A norm with running statistics stays in eval mode while all parameters around it (its own; its owner's, where it has
    none) are frozen: a frozen layer is to compute the same function all along, and statistics that drift with the
    augmented batches would change it (as in detectron2 and torchvision, whose frozen backbones hold their statistics).
    Dropout in a frozen layer stays on.
    """

    def __init__(self, model: nn.Module, freeze: Sequence[str], unfreeze: Mapping[int, Sequence[str]]) -> None:
        """Raises ConfigError for a glob that matches nothing, or lets go what is not frozen; where nothing trains."""
        self.model = model
        known = names(model)
        trainable = {name for name, p in known.items() if p.requires_grad}
        wanted = {name for glob in freeze for name in matching(glob, known, "train.freeze")}
        self._frozen = {id(known[name]): known[name] for name in wanted & trainable}
        self._release = _releases(known, self._frozen, unfreeze)
        if self._frozen and all(id(known[name]) in self._frozen for name in trainable):
            raise ConfigError("train.freeze leaves no parameter to train; name fewer")
        for parameter in self._frozen.values():
            parameter.requires_grad_(False)

    def enter(self, epoch: int) -> bool:
        """Let go what is due by the start of `epoch` (counted from 1); whether anything changed."""
        due = [p for at in list(self._release) if at <= epoch for p in self._release.pop(at)]
        for parameter in due:
            parameter.requires_grad_(True)
            self._frozen.pop(id(parameter), None)
        return bool(due)

    def end(self) -> None:
        """Let everything go: the training is over."""
        for parameter in self._frozen.values():
            parameter.requires_grad_(True)
        self._frozen.clear()

    def train(self) -> None:
        """Training mode, but for norms of frozen layers."""
        self.model.train()
        if self._frozen:
            _hold_norms(self.model, set(self._frozen), False)


def _releases(
    known: Mapping[str, nn.Parameter], frozen: Mapping[int, nn.Parameter], unfreeze: Mapping[int, Sequence[str]]
) -> dict[int, list[nn.Parameter]]:
    """{epoch: what it lets go}, each parameter once."""
    left, found = dict(frozen), dict[int, list[nn.Parameter]]()
    for epoch in sorted(unfreeze):
        for glob in unfreeze[epoch]:
            where = f"train.unfreeze in epoch {epoch}"
            keys = {id(known[name]) for name in matching(glob, known, where)} & set(left)
            if not keys:
                raise ConfigError(f"{where}: '{glob}' names nothing that is frozen by then; see train.freeze")
            found.setdefault(epoch, []).extend(left.pop(key) for key in keys)
    return found


def _hold_norms(module: nn.Module, frozen: set[int], inherited: bool) -> None:
    """Put norms below `module` into eval mode; `inherited` is whether the nearest owner of parameters is frozen."""
    own = [id(p) for p in module.parameters()]
    still = all(key in frozen for key in own) if own else inherited
    if still and getattr(module, "running_mean", None) is not None:
        module.eval()
    for child in module.children():
        _hold_norms(child, frozen, still)
