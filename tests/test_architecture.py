"""The house rules, held over the syntax tree: who imports whom, how large, and what is never called."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "ablab"
FILES = sorted(SOURCE.rglob("*.py"))
LANDING = ["errors", "streams", "config", "recipe", "contracts", "findings", "registry", "records"]
OURS = {
    "stats": {"errors"},
    "measure": {*LANDING},
    "weights": {*LANDING},
    "parts": {*LANDING, "weights"},
    "surgery": {*LANDING, "measure"},
    "tasks": {*LANDING, "parts", "measure"},
    "engine": {*LANDING, "measure", "weights"},
    "study": {*LANDING, "surgery", "measure", "weights", "engine", "export", "stats"},
    "reports": {*LANDING, "stats"},
    "results": {*LANDING, "stats", "reports", "study", "tasks"},
    "testing": {*LANDING, "surgery", "parts"},
    "catalogue": {*LANDING, "measure", "surgery", "reports"},
    "export": {*LANDING, "surgery", "measure"},
    "diagnose": {*LANDING, "measure", "stats", "engine", "study"},
    "predict": {*LANDING, "measure", "engine", "study", "export"},
    "serve": {*LANDING, "export", "predict"},
}
HEAVY = {"torch", "torchvision", "timm", "numba", "scipy", "ray", "pandas", "sklearn", "transformers"}
HEAVY |= {"onnx", "onnxscript", "onnxruntime", "openvino", "tensorrt"}
HEAVY_ALLOWED = {
    "landing": set(),
    "stats": {"scipy"},
    "measure": {"torch"},
    "weights": {"torch"},
    "parts": {"torch", "torchvision", "timm"},
    "surgery": {"torch"},
    "tasks": {"torch", "torchvision", "timm", "numba"},
    "engine": {"torch"},
    "study": {"torch"},
    "predict": {"torch"},
    "reports": set(),
    "results": set(),
    "testing": {"torch"},
    "catalogue": {"torch"},
    "diagnose": {"torch"},
    "export": {"torch", "onnx", "onnxscript", "onnxruntime", "openvino", "tensorrt"},
}
WITHOUT_TORCH = (
    "tasks/detection/formats",
    "tasks/detection/metrics",
    "tasks/detection/recipe.py",
    "reports",
    "results",
    "stats",
)
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {"unsafe_load", "full_load", "exec"}
GLOBAL_DRAWS = {"manual_seed", "seed", "rand", "randn", "randint", "shuffle", "choice", "random", "permutation"}


def room(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return parts[0] if len(parts) > 1 else ("landing" if parts[0] in LANDING else parts[0])


def without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from without_type_checking(child)


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(module, at the top of the file) for every import that runs."""
    tree = ast.parse(path.read_text())
    top = set(map(id, tree.body))
    for node in without_type_checking(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            yield (module, id(node) in top)
            if module == "ablab":
                yield from ((f"ablab.{alias.name}", id(node) in top) for alias in node.names)


def names(paths: list[Path]) -> list[str]:
    return [str(p.relative_to(SOURCE)) for p in paths]


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    here = room(path)
    if here in ("cli", "__init__", "__main__"):
        return
    for module, _ in imports(path):
        head, _, rest = module.partition(".")
        if head == "ablab" and rest:
            other = rest.split(".")[0]
            if here == "landing":
                own = LANDING.index(path.stem)
                assert other in LANDING[:own], f"{path.stem} imports {module}, which does not stand left of it"
                continue
            assert other == here or other in OURS[here] or other == "__version__", f"{here} may not import {module}"
            if here == "tasks" and other == "tasks":
                mine = path.relative_to(SOURCE).parts[1]
                assert module.split(".")[2:3] in ([], [mine]), f"one task imports another: {module}"
        if head in HEAVY:
            own = (head in {"sklearn"} and here == "tasks") or (head == "ray" and path.name == "ray.py")
            assert head in HEAVY_ALLOWED.get(here, set()) or own, f"{here} may not import {module}"


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_torch_and_numba_stay_where_they_belong(path: Path) -> None:
    place = path.relative_to(SOURCE).as_posix()
    for module, at_top in imports(path):
        head = module.split(".")[0]
        if place.startswith(WITHOUT_TORCH):
            assert head not in {"torch", "torchvision", "timm"}, f"{place} imports {module}"
        assert not (head == "numba" and at_top), f"{place}: numba is imported inside the function that needs it"


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_sizes(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400, f"{path.name} has {text.count(chr(10))} lines; 400 at most"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 80, f"{path.name}: {node.name} has {length} lines; 80 at most"


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_nothing_forbidden_is_called(path: Path) -> None:
    place = path.relative_to(SOURCE).as_posix()
    for module, _ in imports(path):
        assert module.split(".")[0] not in {"pickle", "random", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"{place}:{node.lineno} calls {node.func.id}"
        if isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            call = f"{owner}.{node.func.attr}"
            assert node.func.attr not in FORBIDDEN_ATTRIBUTES, f"{place}:{node.lineno} calls {call}"
            if place != "measure/seeding.py":
                assert not (owner in {"np.random", "numpy.random"} and node.func.attr in GLOBAL_DRAWS), call
                assert call not in {"torch.manual_seed", "torch.seed", "torch.cuda.manual_seed_all"}, call
            if call in {"torch.load"}:
                keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
                assert keywords.get("weights_only") == "True", f"{place}:{node.lineno}: torch.load without weights_only"


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_no_mutable_default(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for default in [*node.args.defaults, *node.args.kw_defaults]:
                assert not isinstance(default, ast.List | ast.Dict | ast.Set), f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=names(FILES))
def test_public_functions_are_annotated_and_documented(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path.name} has no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert node.returns is not None, f"{path.name}: {node.name} has no return type"
            assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"


def test_no_room_without_a_name() -> None:
    nameless = {"utils", "util", "helpers", "helper", "misc", "common"}
    for path in FILES:
        assert not nameless & {p.lower() for p in path.relative_to(SOURCE).with_suffix("").parts}, path


def test_the_rules_see_what_they_forbid(tmp_path: Path) -> None:
    """The walker itself: hidden imports count, TYPE_CHECKING ones do not."""
    file = tmp_path / "a.py"
    file.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\ndef f():\n    from ablab import stats\n"
    )
    found = {module for module, _ in imports(file)}
    assert "ablab.stats" in found
    assert "torch" not in found
    assert sys.version_info >= (3, 11)
