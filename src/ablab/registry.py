"""Parts by name: ours, the user's plug-ins, and any class by import string.

    from ablab import register

    @register("activation", "tanhexp", paper="https://arxiv.org/abs/2003.09855")
    class TanhExp(nn.Module): ...

A slot's own parts are imported when the slot is first asked for, so that looking up a name costs nothing before.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from ablab.errors import AblabError, ConfigError, UnknownName, suggest

# Where each slot's own parts live. Importing the module registers them.
SLOTS = {
    "activation": "ablab.parts.activation",
    "attention": "ablab.parts.attention",
    "norm": "ablab.parts.norm",
    "conv": "ablab.parts.conv",
    "upsample": "ablab.parts.upsample",
    "dropout": "ablab.parts.dropout",
    "wrapper": "ablab.parts.wrapper",
    "initialisation": "ablab.parts.initialisation",
    "optimizer": "ablab.parts.optimizer",
    "backbone": "ablab.parts.backbone",
    "sampler": "ablab.parts.sampler",
    "box_loss": "ablab.tasks.detection.losses",
    "class_loss": "ablab.tasks.detection.losses",
    "distribution_loss": "ablab.tasks.detection.losses",
    "assigner": "ablab.tasks.detection.assigners",
    "augmentation": "ablab.tasks.detection.augment",
}
# What the host knows of a site and gives to a part that asks for it by name; every other slot's: channels.
CONV_FACTS = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias")
FACTS = {
    "conv": CONV_FACTS,
    "wrapper": ("inner", "channels"),
    "optimizer": ("params", "lr", "weight_decay"),
    "initialisation": (),
}
TASKS = {"detection": ("ablab.tasks.detection.recipe:DetectionRecipe", "ablab.tasks.detection.task:Detection")}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """A registered part: `build(**args)` makes one. `traits` are its declared exceptions from the slot's contract."""

    slot: str
    name: str
    build: Callable[..., Any]
    paper: str = ""
    traits: dict[str, Any] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, inspect.Parameter]:
        """What `build` takes, by name."""
        owner = next((c for c in getattr(self.build, "__mro__", ()) if "__init__" in vars(c)), object)
        if owner.__module__ == "torch.nn.modules.module":
            return {}  # nn.Module's own constructor is written (*args, **kwargs) but takes nothing
        return dict(inspect.signature(self.build).parameters)

    @property
    def kind(self) -> type | None:
        """The class of what it builds; a factory declares it: `register(..., kind=nn.GroupNorm)`."""
        return self.traits.get("kind", self.build if isinstance(self.build, type) else None)

    @property
    def host(self) -> dict[str, str]:
        """{argument: fact of the site}: arguments that the host fills in.

        Those called like a fact (`channels`), and what was registered with `host={"num_features": "channels"}`.
        """
        known = FACTS.get(self.slot, ("channels",))
        return {name: name for name in self.arguments if name in known} | dict(self.traits.get("host", {}))


_parts: dict[tuple[str, str], Entry] = {}


def register(slot: str, name: str, *, paper: str = "", **traits: Any) -> Callable[[F], F]:
    """Put a class or factory into a slot under a name.

    Raises UnknownName for an unknown slot; ConfigError for a name that is taken or a factory with `**kwargs` (trap 7:
    it would swallow a typo).
    """
    if slot not in SLOTS:
        raise UnknownName("slot", slot, SLOTS, f"register('{slot}', '{name}')")

    def keep(build: F) -> F:
        entry = Entry(slot, name, build, paper, traits)
        kinds = [p.kind for p in entry.arguments.values()]
        if inspect.Parameter.VAR_KEYWORD in kinds:
            raise ConfigError(f"{slot}/{name}: a part may not take **kwargs, which would swallow a typo; name each one")
        taken = _parts.get((slot, name))
        if taken and _origin(taken.build) != _origin(build):
            raise ConfigError(f"{slot}/{name} is taken by {_origin(taken.build)}; choose another name")
        _parts[slot, name] = entry
        return build

    return keep


def _origin(build: Callable[..., Any]) -> str:
    return f"{getattr(build, '__module__', '?')}.{getattr(build, '__qualname__', build)}"


def _fill(slot: str) -> None:
    importlib.import_module(SLOTS[slot])


def names(slot: str) -> list[str]:
    """The names in a slot, sorted."""
    if slot not in SLOTS:
        raise UnknownName("slot", slot, SLOTS)
    _fill(slot)
    return sorted(name for owner, name in _parts if owner == slot)


def get(reference: str, slot: str | None = None) -> Entry:
    """Find a part: `frelu`, `activation/frelu`, or `package.module:Object`.

    Raises UnknownName with the nearest name; ConfigError where a bare name stands in several slots.
    """
    if ":" in reference:
        return Entry(slot or "", reference, _import(reference))
    if "/" in reference:
        slot, _, reference = reference.partition("/")
        if slot not in SLOTS:
            raise UnknownName("slot", slot, SLOTS, f"'{slot}/{reference}'")
    slots = [slot] if slot else list(SLOTS)
    found = [_parts[s, reference] for s in slots if reference in names(s)]
    if len(found) > 1:
        full = " or ".join(f"{entry.slot}/{entry.name}" for entry in found)
        raise ConfigError(f"the part '{reference}' stands in several slots; write {full}")
    if not found:
        raise UnknownName(slot.replace("_", " ") if slot else "part", reference, {n for s in slots for n in names(s)})
    return found[0]


def make(reference: str, slot: str | None = None, **args: Any) -> Any:
    """Build a part by name; an argument that it does not take is a ConfigError with the nearest one."""
    entry = get(reference, slot)
    for arg in args:
        if arg not in entry.arguments:
            raise ConfigError(f"{entry.slot}/{entry.name} takes no '{arg}'{suggest(arg, entry.arguments)}")
    return entry.build(**args)


def task(name: str) -> tuple[type, type]:
    """A task's recipe class and task class."""
    return task_recipe(name), _import(_task(name)[1])


def task_recipe(name: str) -> Any:
    """A task's recipe class; importing it brings no torch."""
    return _import(_task(name)[0])


def _task(name: str) -> tuple[str, str]:
    if name not in TASKS:
        raise UnknownName("task", name, TASKS)
    return TASKS[name]


def _import(reference: str) -> Any:
    module_name, _, attribute = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(f"cannot import '{reference}': {error}; is the package installed?") from None
    except Exception as error:
        said = str(error) if isinstance(error, AblabError) else f"{type(error).__name__}: {error}"
        raise ConfigError(f"cannot import '{reference}': {said}") from error
    if not hasattr(module, attribute):
        raise UnknownName(f"name in {module_name}", attribute, [n for n in dir(module) if not n.startswith("_")])
    return getattr(module, attribute)


def load_plugins(files: list[Path]) -> str:
    """Import plug-in files and the entry points of `ablab.parts`; returns a hash of their source.

    Raises ConfigError for a file that is missing or fails to import.
    """
    for point in entry_points(group="ablab.parts"):
        point.load()
    source = hashlib.sha256()
    for file in files:
        if not file.is_file():
            raise ConfigError(f"no plug-in file {file}")
        source.update(file.read_bytes())
        name = f"ablab_plugin_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:16]}"
        if name in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ConfigError(f"{file} is not a Python file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise ConfigError(f"the plug-in {file} failed to import{_failed_at(error, file)}") from error
    return source.hexdigest()[:16] if files else ""


def _failed_at(error: Exception, file: Path) -> str:
    """The last line of the file that the error came through, and what it says."""
    own = str(file.absolute())
    lines = [(each.lineno, each.line) for each in traceback.extract_tb(error.__traceback__) if each.filename == own]
    said = str(error) if isinstance(error, AblabError) else f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename == own:
        lines, said = [(error.lineno, error.text)], f"{type(error).__name__}: {error.msg}"
    return f", line {lines[-1][0]} ({(lines[-1][1] or '').strip()}): {said}" if lines else f": {said}"
