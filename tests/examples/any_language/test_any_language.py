"""The examples of other languages under `track-fake-server run`, and the snippets for CI."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from fake_server.commands.run import run_command
from tests.processes import run
from tests.programs import BIN, NODE_MODULES, find, require, require_node

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[2] / "docs" / "any-language.md"


def checked(
    *command: str, allow: str | None = None, folder: Path, **more: str
) -> tuple[int, str, str]:
    """How a contract test ends; its report is in the folder."""
    options = ["--check", "--junit-xml", folder / "report.xml"]
    options += ["--allow", allow] if allow is not None else []
    done = run("track-fake-server", "run", *options, "--", *command, **more)
    return done.returncode, done.stdout, done.stderr


def test_the_bash_example_passes_where_what_it_does_on_purpose_is_allowed(tmp_path: Path) -> None:
    require("bash", "curl", "jq")
    script = str(FOLDER / "contract.sh")
    code, out, errors = checked("bash", script, allow="session.expired-cookie", folder=tmp_path)
    assert code == 0, errors
    assert out.startswith("the first device is ")
    assert (tmp_path / "report.xml").read_text().count("<failure") == 0


def test_the_node_example_passes(tmp_path: Path) -> None:
    require_node("ws")
    script = str(FOLDER / "contract.mjs")
    code, out, errors = checked("node", script, folder=tmp_path, NODE_PATH=str(NODE_MODULES))
    assert (code, out) == (0, "a PING was answered\n"), errors


def test_the_python_example_passes_and_fails_where_it_answers_no_ping(tmp_path: Path) -> None:
    script = (FOLDER / "contract.py").read_text()
    code, _, errors = checked(sys.executable, "-c", script, folder=tmp_path)
    assert code == 0, errors
    mute = script.replace('"PING"', '"NONE"').replace('"within_s": 5', '"within_s": 0.1')
    code, _, errors = checked(sys.executable, "-c", mute, folder=tmp_path)
    assert code == 1
    assert "waited 0.1 s for a pong; " in errors


PYTEST = ["test_httpx_websockets.py", "test_aiohttp.py", "test_trio.py"]
"""They are tests of this folder themselves, and so run anyway."""


def test_the_examples_for_pytest_fail_where_they_answer_no_ping(pytester: pytest.Pytester) -> None:
    for name in PYTEST:
        script = (FOLDER / name).read_text()
        mute = script.replace('"PING"', '"NONE"').replace("pong()", "pong(within_s=0.1)")
        (pytester.path / name).write_text(mute)
    # The plugin of schemathesis costs two seconds.
    result = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", "-p", "no:schemathesis")
    result.assert_outcomes(failed=len(PYTEST))
    text = result.stdout.str()
    assert text.count("ExpectationFailed: waited 0.1 s for a pong; ") >= len(PYTEST)


@pytest.mark.parametrize(
    ("mute", "code", "told"),
    [(False, 0, "no findings"), (True, 1, "waited 0.1 s for a pong; ")],
    ids=["good", "mute"],
)
def test_the_browser_page_passes_and_fails_where_it_answers_no_ping(
    mute: bool, code: int, told: str, tmp_path: Path
) -> None:
    require("chromium", "chromedriver")
    for name in ("page.html", "page.py"):
        text = (FOLDER / name).read_text()
        if mute:
            text = text.replace('"PING"', '"NONE"').replace('"within_s": 5', '"within_s": 0.1')
        (tmp_path / name).write_text(text)
    # selenium downloads no driver.
    selenium = {"SE_OFFLINE": "true", "SE_CHROMEDRIVER": find("chromedriver") or ""}
    ended, _, errors = checked(
        sys.executable, str(tmp_path / "page.py"), folder=tmp_path, **selenium
    )
    assert (ended, told in errors) == (code, True), errors


# The page of the documentation


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def scripts(value: Any) -> list[str]:
    """The shell lines of a CI document: `run` of a step, `script` of a job."""
    if isinstance(value, list):
        return [line for one in value for line in scripts(one)]
    if not isinstance(value, dict):
        return []
    found = []
    for key, inner in value.items():
        if key in ("run", "script", "before_script"):
            found += [inner] if isinstance(inner, str) else inner
        else:
            found += scripts(inner)
    return found


def test_the_snippets_for_ci_are_yaml_whose_commands_and_options_there_are() -> None:
    yaml = importlib.import_module("yaml")
    documents = [yaml.safe_load(block) for block in blocks("yaml")]
    assert len(documents) == 2
    for document in documents:
        commands = [
            shlex.split(line)
            for script in scripts(document)
            for line in script.replace("\\\n", " ").splitlines()
        ]
        ours = [words for words in commands if words[0].startswith("track-")]
        assert ours
        for words in ours:
            assert (BIN / words[0]).exists()
            assert words[:2] == ["track-fake-server", "run"]
            with click.Context(run_command) as context:
                run_command.parse_args(context, words[2:])
            report = str(context.params["junit"])
            assert report in PAGE.read_text().partition(" ".join(words[:2]))[2]
        assert {words[0] for words in commands} <= {"track-fake-server", "pip"}


@pytest.mark.parametrize(
    "name", ["contract.sh", "contract.mjs", "contract.py", *PYTEST, "page.html", "page.py"]
)
def test_the_page_links_to_each_example(name: str) -> None:
    assert f"(../tests/examples/any_language/{name})" in PAGE.read_text()
