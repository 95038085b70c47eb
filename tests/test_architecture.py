"""The structure that ARCHITECTURE.md promises, read from the source."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("recorder", "replayer", "fake_server")

LAYERS = {
    "recorder.wire": 0,
    "recorder.lazy": 0,
    "recorder.exits": 0,
    "recorder.errors": 0,
    "recorder.model": 1,
    "recorder.track": 2,
    "recorder.recording": 2,
    "recorder": 3,
    "replayer": 4,
    "fake_server": 5,
}
"""A module may import from its own layer's package and from layers below; never from above."""

SIDEWAYS = {("recorder.errors", "recorder.exits"), ("recorder.track", "recorder.recording")}
"""Pairs of one layer: the first may import the second only where it is named here in that order."""


def layer_name(module: str) -> str:
    parts = module.split(".")
    for size in range(len(parts), 0, -1):
        name = ".".join(parts[:size])
        if name in LAYERS:
            return name
    raise AssertionError(f"{module} is in no layer")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return {name for name in found if name.partition(".")[0] in PACKAGES}


def modules() -> list[tuple[str, Path]]:
    return [
        (".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: str(value)[-40:])
def test_imports_point_one_way(module: str, path: Path) -> None:
    own = layer_name(module)
    for imported in imports_of(path):
        other = layer_name(imported)
        if other == own:
            continue
        if LAYERS[other] == LAYERS[own]:
            assert (own, other) in SIDEWAYS, f"{module} imports {imported}, of its own layer"
        else:
            assert LAYERS[other] < LAYERS[own], f"{module} imports {imported}, which is above it"


@pytest.mark.parametrize("module", [name for name, _ in modules()])
def test_public_names_exist(module: str) -> None:
    imported = importlib.import_module(module)
    names = getattr(imported, "__all__", [])
    assert len(names) == len(set(names)), "named twice"
    for name in names:
        assert hasattr(imported, name), f"{module}.__all__ names {name}, which is not there"


@pytest.mark.parametrize("module", [name for name, _ in modules()])
def test_every_module_and_public_name_has_a_docstring(module: str) -> None:
    imported = importlib.import_module(module)
    assert (imported.__doc__ or "").strip(), f"{module} does not say what it holds"
    for name in getattr(imported, "__all__", []):
        value = getattr(imported, name)
        if callable(value) and getattr(value, "__module__", None) == module:
            assert (value.__doc__ or "").strip(), f"{module}.{name} has no docstring"


def test_the_middle_does_no_input_or_output() -> None:
    for folder in ("wire", "track", "redaction"):
        for path in (ROOT / "recorder" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), f"{path} awaits"


def test_the_packages_are_found_whole() -> None:
    for package in PACKAGES:
        assert list(pkgutil.iter_modules([str(ROOT / package)]))
