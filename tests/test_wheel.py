"""What the wheel holds, and that it works where nothing else of the project is.

The environment is new. Of what this one has, it finds the wheel's declared dependencies alone, by
links: so a dependency that is used and not declared is missed, and nothing is downloaded but, where
this environment lacks it, what builds the wheel. The whole takes some twenty seconds, most of it
the build, so it belongs in every run; that an index serves the dependencies, `make setup` shows.
"""

from __future__ import annotations

import fcntl
import importlib.util
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import Distribution, distribution
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement

from tests.processes import fake_server, run

ROOT = Path(__file__).parents[1]
COMMANDS = ("track-recorder", "track-replayer", "track-fake-server")
PACKAGES = {"recorder", "replayer", "fake_server"}

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def ran(*arguments: object, cwd: Path, **more: str) -> str:
    done = run(*arguments, cwd=cwd, timeout_s=120, **more)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def made_once(
    factory: pytest.TempPathFactory, worker: str, name: str, make: Callable[[Path], object]
) -> Path:
    """A folder that `make` fills, once for all workers of this run."""
    base = factory.getbasetemp()
    folder = (base if worker == "master" else base.parent) / name
    with folder.with_suffix(".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if not lock.read():
            folder.mkdir(exist_ok=True)
            make(folder)
            lock.write("made")
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    def build(folder: Path) -> None:
        isolated = importlib.util.find_spec("hatchling") is None
        how = [] if isolated else ["--no-build-isolation"]
        constraints = {"PIP_CONSTRAINT": str(ROOT / "constraints.txt"), "PYTHONWARNINGS": "ignore"}
        wanted = ["wheel", "--no-deps", *how, "--wheel-dir", folder, ROOT]
        ran(*PIP, *wanted, cwd=folder, **constraints)

    [made] = made_once(tmp_path_factory, worker_id, "wheel", build).glob("*.whl")
    return made


@pytest.fixture(scope="module")
def home(wheel: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder outside of the source tree with a virtual environment in `bin` and `lib`."""

    def install(folder: Path) -> None:
        ran(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
        wanted = ["install", "--no-index", "--no-deps", wheel]
        python = folder / "bin" / "python"
        ran(*PIP, "--python", python, *wanted, cwd=folder, PYTHONWARNINGS="ignore")
        [packages] = folder.glob("lib/python*/site-packages")
        [installed] = packages.glob("tracktape-*.dist-info")
        needs = Distribution.at(installed).requires or []
        link_dependencies(packages, [*needs, "pytest"])

    return made_once(tmp_path_factory, worker_id, "home", install)


def link_dependencies(packages: Path, waiting: list[str]) -> None:
    """Link into `packages` what these requirements name, and what that needs, all the way down."""
    seen = set[str]()
    while waiting:
        needed = Requirement(waiting.pop())
        if needed.name in seen or not (needed.marker is None or needed.marker.evaluate()):
            continue
        seen.add(needed.name)
        found = distribution(needed.name)
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(found.locate_file(top))
        waiting += found.requires or []


def test_the_wheel_holds_the_packages_with_their_types_and_nothing_beside_them(
    wheel: Path,
) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert not [name for name in names if {"tests", "fixtures"} & set(Path(name).parts)]
    assert not [name for name in names if name.endswith((".track.jsonl", ".zst", ".pyc"))]


def test_the_wheel_holds_every_module_of_the_source(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in PACKAGES:
        here = {str(file.relative_to(ROOT)) for file in (ROOT / package).rglob("*.py")}
        assert here == {
            name for name in names if name.startswith(f"{package}/") and name.endswith(".py")
        }


def test_the_installed_packages_are_not_those_of_the_source_tree(home: Path) -> None:
    code = "import recorder, replayer, fake_server as f; print(recorder.__file__, f.__file__)"
    found = ran(home / "bin" / "python", "-c", code, cwd=home).split()
    assert all(Path(one).is_relative_to(home) for one in found)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_installed_command_tells_its_version_and_its_help(home: Path, command: str) -> None:
    program = home / "bin" / command
    assert ran(program, "--version", cwd=home).startswith(f"{command}, version ")
    assert ran(program, "--help", cwd=home).startswith(f"Usage: {command} ")


def test_an_installed_fake_serves_its_swagger_page_with_its_assets(home: Path) -> None:
    program = home / "bin" / "track-fake-server"
    with (
        fake_server(program=program, cwd=home) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        for path in ("", "/swagger-ui.css", "/swagger-ui-bundle.js", "/favicon-32x32.png"):
            answer = client.get(f"/api/swagger{path}")
            assert (answer.status_code, bool(answer.content)) == (200, True), path
        assert client.get("/api/openapi.json").json()["openapi"]


def test_pytest_finds_the_installed_plugin_by_itself(home: Path) -> None:
    said = ran(home / "bin" / "python", "-m", "pytest", "--markers", cwd=home)
    assert "@pytest.mark.track" in said


def test_every_installed_command_can_be_imported_with_the_declared_dependencies_alone(
    home: Path,
) -> None:
    code = (
        "import importlib, sys\n"
        "from recorder.cli import cli as a\nfrom replayer.cli import cli as b\n"
        "from fake_server.cli import cli as c\n"
        "for group in (a, b, c):\n"
        "    for one in group.list_commands(None):\n"
        "        group.get_command(None, one)\n"
    )
    ran(home / "bin" / "python", "-c", code, cwd=home)
