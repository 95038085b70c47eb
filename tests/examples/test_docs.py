"""The commands in the documentation are run, and say what the documentation says they do.

A block fenced as `console` is a session: lines that begin with `$ ` are commands, the lines behind
are what they print, with `...` for what varies. A command that ends with ` &` is a server: it gets
a free port in place of 8082, or of 8090 if it is a proxy, is waited for until it tells its URL, and
is ended in order: at the end, or by `kill -INT $!`, which shows what it still says.
"""

from __future__ import annotations

import doctest
import itertools
import os
import re
import signal
import subprocess
import tomllib
from pathlib import Path
from typing import Final, get_args

import msgspec
import pytest

from recorder.model import KnownEntry
from recorder.track import Rules
from recorder.track.violations import RULES
from tests.processes import clean_environment
from tests.programs import BIN, require

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
FAKE, PROXY = "127.0.0.1:8082", "127.0.0.1:8090"


def sessions(page: Path) -> list[tuple[str, str]]:
    """The commands of a page, each with the output that the page shows."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            # A command goes on over lines that the shell would prompt for with "> ".
            lines = part.splitlines(keepends=True)
            further = list(
                itertools.takewhile(lambda line: line.startswith((">\n", "> ")), lines[1:])
            )
            command = lines[0] + "".join(re.sub("^> ?", "", line) for line in further)
            found.append((command.rstrip("\n"), "".join(lines[1 + len(further) :])))
    return found


_PYTEST_PLUGINS: Final = ("fake_server.pytest_plugin", "pytest_trio.plugin", "anyio.pytest_plugin")


class Shell:
    """One page's commands in one folder, with its servers beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Plugins that happen to be installed would cost each pytest more than its tests.
        self.environment = clean_environment(
            COLUMNS="80",
            PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
            PYTEST_ADDOPTS=" ".join(f"-p {one}" for one in _PYTEST_PLUGINS),
        )
        self.environment["PATH"] = f"{BIN}{os.pathsep}{self.environment['PATH']}"
        self.ports: dict[str, str] = {}
        """What stands in place of an address of the page."""
        self.servers: list[subprocess.Popen[str]] = []

    def run(self, command: str) -> str:
        if command == "kill -INT $!":
            return self.shown(self.end(self.servers.pop()))
        for written, real in self.ports.items():
            command = command.replace(written, real)
        if command.endswith(" &"):
            return self.start(command.removesuffix(" &"))
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        return self.shown(done.stdout)

    def shown(self, text: str) -> str:
        for written, real in self.ports.items():
            text = text.replace(real, written)
        return text

    def start(self, command: str) -> str:
        if command.startswith("track-recorder proxy"):
            written, lines = PROXY, 1
            command = re.sub(r"--listen \S+", "--listen 127.0.0.1:0", command)
        else:
            self.stop()
            written, lines = FAKE, 4
            command += " --port 0"
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command} 2>&1"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.servers.append(server)
        assert server.stdout is not None
        said = [server.stdout.readline() for _ in range(lines)]
        found = re.match(r"https?://(\S+)", said[0])
        assert found is not None, said[0] + server.communicate(timeout=20)[0]
        self.ports[written] = found[1]
        return self.shown("".join(said))

    def stop(self) -> None:
        while self.servers:
            self.end(self.servers.pop())

    def end(self, server: subprocess.Popen[str]) -> str:
        server.send_signal(signal.SIGINT)
        said, _ = server.communicate(timeout=20)
        assert server.returncode == 0, said
        return said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    commands = sessions(page)
    if not commands:
        return
    require("bash", "curl", "jq")
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    shell = Shell(tmp_path)
    try:
        for command, expected in commands:
            got = shell.run(command)
            same = doctest.OutputChecker().check_output(
                expected, got, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            )
            assert same, f"{page.name}: $ {command}\nexpected:\n{expected}\ngot:\n{got}"
    finally:
        shell.stop()


def test_pages_have_commands_to_run() -> None:
    assert sum(len(sessions(page)) for page in PAGES) > 15


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def python_blocks() -> list[tuple[str, str]]:
    return [
        (f"{page.name}-{number}", block)
        for page in PAGES
        for number, block in enumerate(
            re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S)
        )
    ]


@pytest.mark.parametrize(("name", "block"), python_blocks(), ids=lambda value: value[:20])
def test_python_in_pages_runs(name: str, block: str) -> None:
    exec(compile(block, name, "exec"), {"__name__": name})


def test_the_table_of_rules_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "track-protocol.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)` \|", page.partition("## Rules")[2], re.M)
    shown = tomllib.loads("\n".join(f"{name} = {value}" for name, value in rows))
    shown["tolerated_parameters"] = tuple(shown["tolerated_parameters"])
    assert shown == msgspec.to_builtins(Rules())
    assert list(shown) == list(Rules.__struct_fields__)


def test_the_tables_of_facts_name_every_rule_and_tests_that_there_are() -> None:
    page = (ROOT / "docs" / "track-protocol.md").read_text()
    facts = page.partition("## Login")[2].partition("## What a client does wrong")[0]
    rows = [re.split(r" ?\| ?", row) for row in re.findall(r"^\| (.+) \|$", facts, re.M)]
    rows = [row for row in rows if row[0] not in ("fact", "---") and not row[0].startswith("---")]
    ruled = {name for row in rows for name in re.findall(r"`(\w+)`", row[2]) if name != "user"}
    # What is ours and no fact about the backend.
    ours = {
        "strict",
        "max_polls_per_minute",
        "reconnect_delay_min_s",
        "reconnects_without_delay",
    }
    assert ruled | ours == set(Rules.__struct_fields__)
    for row in rows:
        (where, name) = re.fullmatch(r"`([\w/]+\.py)::(test_\w+)`", row[3]).groups()
        tests = (ROOT / "tests" / "fake_server" / where).read_text()
        assert re.search(rf"^(async )?def {name}\(", tests, re.M), row


def test_the_table_of_violations_is_that_of_the_code() -> None:
    page = (ROOT / "docs" / "track-protocol.md").read_text()
    table = page.partition("## What a client does wrong")[2].partition("## Rules")[0]
    rows = re.findall(r"^\| `([\w.-]+)` \| (.+?) \| (.+) \|$", table, re.M)
    assert {name: (section, asked) for name, section, asked in rows} == RULES


def test_the_format_page_names_every_kind_of_entry() -> None:
    page = (ROOT / "docs" / "recording-format.md").read_text()
    named = set(re.findall(r"^\| `(\w+)` \|", page.partition("## The kinds")[2], re.M))
    assert {"header", *(struct.kind for struct in get_args(KnownEntry))} <= named
