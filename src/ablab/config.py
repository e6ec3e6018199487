"""A strict typed base for everything that a user writes, and what can be done with it.

`Config` refuses unknown keys and cannot be changed once made (traps 1 and 2); `parse` turns a mistake into a sentence
with the nearest valid word; `override` sets dotted paths; `diff` lists what differs; `fingerprint` names a value.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from ablab.errors import ConfigError, suggest


class Config(pydantic.BaseModel):
    """A frozen record that refuses unknown keys."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())


C = TypeVar("C", bound=Config)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which also refuses a key written twice and reads 1e-3 as a number."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise ConfigError(f"line {key_node.start_mark.line + 1}: the key '{key}' is written twice; keep one")
        seen[key] = loader.construct_object(value_node, deep=True)
    return seen


def _number(loader: _Loader, node: yaml.ScalarNode) -> float | str:
    text = str(node.value)
    try:
        return float(text)
    except ValueError:
        return text


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
# YAML 1.1 wants a dot in a float; people write 1e-3.
_Loader.add_implicit_resolver("!exponent", re.compile(r"^[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789"))
_Loader.add_constructor("!exponent", _number)


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises ConfigError where the file is missing, is not YAML, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = suggest(path.name, [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else [])
        raise ConfigError(f"no file {path}{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """Parse YAML text that holds a mapping; `where` names it in errors."""
    try:
        value = yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        said = " ".join(filter(None, (error.context, error.problem)))
        raise ConfigError(f"{where}{place}: this is not valid YAML: {said}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: this is not valid YAML: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: expected a mapping of keys to values, got {type(value).__name__}")
    return value


def parse(kind: type[C], data: Mapping[str, Any], where: str) -> C:
    """Make a `kind` from plain data.

    Raises ConfigError naming each wrong key or value, where it stands, and the nearest valid word.
    """
    try:
        return kind.model_validate(dict(data))
    except pydantic.ValidationError as error:
        lines = [_explain(kind, problem, data) for problem in error.errors()]
        raise ConfigError(f"{where}: " + "\n".join(dict.fromkeys(lines))) from None


def _explain(kind: type[Config], problem: Any, data: Any) -> str:
    path = ".".join(str(step) for step in problem["loc"])
    if problem["type"] == "extra_forbidden":
        words = _words(kind, problem["loc"])
        return f"unknown key '{path}'{suggest(str(problem['loc'][-1]), words)}"
    if problem["type"] == "missing":
        return f"the key '{path}' is missing"
    if problem["type"] == "literal_error":
        valid = problem["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return f"{path}: '{problem['input']}' is not valid{suggest(str(problem['input']), valid)}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{path}: {message} (got {problem['input']!r})" if path else message


def _words(kind: type[Config], loc: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the Config that refused the last key of `loc`."""
    current = kind
    for step in loc[:-1]:
        field = current.model_fields.get(str(step))
        inner = next(_configs(field.annotation), None) if field else None
        current = inner or current
    return list(current.model_fields)


def _configs(annotation: Any) -> Iterator[type[Config]]:
    """Every Config class named inside a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _configs(inner)


def override(config: C, changes: Mapping[str, Any], where: str = "set") -> C:
    """A copy of `config` with dotted paths set: `{"loss.classification": "focal"}`.

    A path may lead into a section that was not given (`start.weights`), which it begins. Raises ConfigError for a path
    that does not exist or a value that does not fit.
    """
    data = config.model_dump()
    for path, value in changes.items():
        *parents, last = path.split(".")
        current: Any = data
        begun = False  # in a section that was not given; `parse` knows its words
        for depth, step in enumerate(parents):
            begun = begun or _not_given(config, parents[: depth + 1])
            if begun and isinstance(current, dict):
                current[step] = current.get(step) or {}
            elif not isinstance(current, dict) or step not in current:
                raise _no_path(path, step, current, where)
            if current[step] is None or isinstance(current[step], str | int | float | bool):
                raise ConfigError(f"{where}: '{path}' goes through '{'.'.join(parents[: depth + 1])}', a plain value")
            current = current[step]
        if not isinstance(current, dict):
            raise ConfigError(f"{where}: '{path}' does not lead to a setting")
        if last not in current and not begun and not _open(config, parents):
            raise _no_path(path, last, current, where)
        current[last] = value
    return parse(type(config), data, where)


def _not_given(config: Config, path: list[str]) -> bool:
    """Whether `path` leads to an optional section that is None."""
    owner: Any = config
    for step in path[:-1]:
        owner = getattr(owner, step, None) if isinstance(owner, Config) else None
    field = type(owner).model_fields.get(path[-1]) if isinstance(owner, Config) else None
    return field is not None and getattr(owner, path[-1]) is None and any(_configs(field.annotation))


def _open(config: Config, parents: list[str]) -> bool:
    """Whether the place that `parents` leads to is a free mapping (a part's arguments) rather than a Config."""
    current: Any = config
    for step in parents:
        current = getattr(current, step) if isinstance(current, Config) else current[step]
    return isinstance(current, dict)


def _no_path(path: str, step: str, current: Any, where: str) -> ConfigError:
    valid = [str(key) for key in current] if isinstance(current, dict) else []
    return ConfigError(f"{where}: there is no '{step}' in '{path}'{suggest(step, valid)}")


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keyed by dotted path."""
    if isinstance(value, Config):
        value = value.model_dump(mode="json")
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= flatten(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat


def diff(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """What differs: {dotted path: (old value, new value)}; a side that lacks the path gives None."""
    before, after = flatten(old), flatten(new)
    paths = dict.fromkeys([*before, *after])
    return {p: (before.get(p), after.get(p)) for p in paths if before.get(p) != after.get(p)}


def fingerprint(value: Any) -> str:
    """16 hex digits of the SHA-256 over a value's canonical JSON."""
    plain = value.model_dump(mode="json") if isinstance(value, pydantic.BaseModel) else value
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
