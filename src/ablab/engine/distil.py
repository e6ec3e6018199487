"""Knowledge distillation: a finished network teaches one in training what it makes of the same images.

images --student--> raw --criterion------> the task's loss
   |                 |
   '----teacher--> raw' --Task.distil----> logits, boxes       + gain * part, each
             head's maps --attention-----> features
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ablab.contracts import Batch, Learner, Step, Task
from ablab.engine.precision import choose
from ablab.errors import ConfigError
from ablab.recipe import Recipe

HEAD = "head"  # the submodule whose inputs are compared as features


class Taught:
    """A task in whose steps a teacher has a say; in all else the task itself.

    The `teacher` is frozen: it stays in evaluation mode, sees what the student sees, after augmentation and in the same
    arithmetic, and is no part of the network, of its cost or of its weights.
    """

    def __init__(self, task: Task, teacher: nn.Module, recipe: Recipe) -> None:
        assert recipe.distill
        assert isinstance(task, Learner)
        self._task: Task = task
        self._learner: Learner = task
        self._asked = recipe.distill
        self.teacher = choose(recipe.train).place(teacher).eval().requires_grad_(False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def step(self, model: nn.Module, batch: Batch) -> Step:
        """The task's step, and what the student's outputs lack to be the teacher's, each part times its gain."""
        heard, maps = _Heard(model), _Maps()
        with ExitStack() as hooks:
            if self._asked.features:
                hooks.enter_context(maps.listening(model, self.teacher))
            step = self._task.step(heard, batch)
            with torch.no_grad():
                expected = self.teacher(heard.given)
        with torch.autocast(heard.given.device.type, enabled=False):
            found = self._learner.distil(heard.raw, expected, self._asked.temperature)
            if self._asked.features:
                found = found | {"features": attention_gap(maps.student, maps.teacher)}
            parts = {
                f"distill/{name}": gain * found[name]
                for name in ("logits", "boxes", "features")
                if (gain := getattr(self._asked, name))
            }
            loss = step.loss + torch.stack(list(parts.values())).sum()
        return Step(loss, step.parts | {name: part.detach() for name, part in parts.items()})


class _Heard(nn.Module):
    """A network, what it was given last and what it said."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.given: Any = None
        self.raw: Any = None

    def forward(self, images: Tensor) -> Any:
        self.given, self.raw = images, self.network(images)
        return self.raw


@dataclass
class _Maps:
    """What the heads of two networks are given."""

    student: list[Tensor] = field(default_factory=list)
    teacher: list[Tensor] = field(default_factory=list)

    @contextmanager
    def listening(self, student: nn.Module, teacher: nn.Module) -> Iterator[None]:
        """Keep the maps that come inside."""
        mine = student.get_submodule(HEAD).register_forward_pre_hook(lambda _, given: self.student.extend(given[0]))
        theirs = teacher.get_submodule(HEAD).register_forward_pre_hook(lambda _, given: self.teacher.extend(given[0]))
        with mine, theirs:  # which take themselves away
            yield


def attention_gap(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """How far apart the places are that two networks look at; widths may differ, and nothing is learnt to adapt them.

    Maps (B, C_l, H_l, W_l) a level. The energy over channels, a unit vector over places, squared distance: Zagoruyko &
    Komodakis 2017, https://arxiv.org/abs/1612.03928, equation 2 with p = 2. The mean over images, the sum over levels.
    """
    gaps = [
        (_attention(mine) - _attention(theirs)).square().sum(dim=1).mean()
        for mine, theirs in zip(student, teacher, strict=True)
    ]
    return torch.stack(gaps).sum()


def _attention(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W), of length 1"""
    return nn.functional.normalize(maps.float().square().mean(dim=1).flatten(1), dim=1)


def assert_same_outputs(student: nn.Module, teacher: nn.Module, example: Tensor, name: str) -> None:
    """Raise ConfigError where two networks make other outputs of an image, so that one cannot teach the other."""
    with torch.no_grad():
        mine, theirs = ([tuple(each.shape) for each in network.eval()(example)] for network in (student, teacher))
    if mine != theirs:
        raise ConfigError(
            f"distill.teacher {name} has other outputs: {_shapes(theirs)}, and the student's are {_shapes(mine)}. "
            "Head, bins, anchors a cell and strides must be the same; widths and depths may differ"
        )


def _shapes(found: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(" x ".join(map(str, shape[1:])) for shape in found)
