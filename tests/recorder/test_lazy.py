"""The packages' own names: imported when they are asked for, and not before."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest

from recorder.lazy import at_first_use
from tests.processes import run

PACKAGES = ("recorder", "replayer", "fake_server", "fake_server.testing")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_public_name_is_a_name_of_its_home(package: str) -> None:
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        assert value.__name__ == name
        assert value.__module__.startswith(f"{package}.")


@pytest.mark.parametrize("package", PACKAGES)
def test_dir_shows_all_public_names(package: str) -> None:
    module = importlib.import_module(package)
    assert {*module.__all__, "__doc__", "__path__"} <= set(dir(module))
    assert dir(module) == sorted(set(dir(module)))


@pytest.mark.parametrize("package", PACKAGES)
def test_any_other_name_is_an_error_as_of_every_module(package: str) -> None:
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match=f"^module '{package}' has no attribute 'Nothing'$"):
        _ = module.Nothing
    with pytest.raises(ImportError, match="cannot import name 'Nothing' from"):
        exec(f"from {package} import Nothing")


def test_a_name_that_is_almost_right_is_set_right() -> None:
    done = run("python", "-c", "import recorder; recorder.Captur")
    assert "module 'recorder' has no attribute 'Captur'. Did you mean: 'Capture'?" in done.stderr


def test_nothing_is_imported_before_its_name_is_asked_for() -> None:
    lines = [
        "import sys",
        *[f"import {package}" for package in PACKAGES],
        "heavy = {'trio', 'httpx', 'httpcore', 'h11', 'msgspec', 'click', 'rich', 'cryptography'}",
        "print(sorted(heavy & set(sys.modules)))",
        "from recorder import Header",
        "print(sorted(heavy & set(sys.modules)))",
    ]
    done = run("python", "-c", "\n".join(lines))
    assert done.stdout.split("\n") == ["[]", "['msgspec']", ""], done.stderr


def test_a_name_is_looked_up_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test puts in its place is what the next one who asks gets."""
    home = ModuleType("somewhere_home")
    home.thing = "first"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "somewhere", ModuleType("somewhere"))
    monkeypatch.setitem(sys.modules, "somewhere_home", home)
    get, names = at_first_use("somewhere", {"thing": "somewhere_home"})
    assert get("thing") == "first"
    home.thing = "second"  # type: ignore[attr-defined]
    assert get("thing") == "second"
    assert "thing" in names()
