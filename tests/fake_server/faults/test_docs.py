"""``docs/adding-a-fault.md`` says what is so, and what a newcomer is told to write works."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import sys
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

import fake_server.faults
from fake_server.faults import FAULTS, Schedule, fault_type, injection_from, parse_injection
from fake_server.faults.base import MomentFault

PAGE: Final = (Path(__file__).parents[3] / "docs" / "adding-a-fault.md").read_text()
SECTIONS: Final = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
ROWS: Final = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.*) \|$", SECTIONS["All faults"], re.M))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)


def cell(kind: Any) -> str:
    """The fields of a struct as the page has them."""
    fields = msgspec.structs.fields(kind)
    return ", ".join(
        f"`{field.name}`"
        if field.required
        else f"`{field.name}` `{json.dumps(field.default, ensure_ascii=False)}`"
        for field in fields
    )


def test_the_table_names_every_fault_in_order() -> None:
    assert tuple(ROWS) == FAULTS


@pytest.mark.parametrize("name", FAULTS)
def test_a_row_names_the_fields_and_their_defaults(name: str) -> None:
    fields, meaning = re.split(r" \| |^\| ", ROWS[name], maxsplit=1)
    assert fields == cell(fault_type(name))
    assert meaning.startswith("*moment:*") == issubclass(fault_type(name), MomentFault)


@pytest.mark.parametrize("name", FAULTS)
def test_a_row_names_every_choice(name: str) -> None:
    for field, hint in typing.get_type_hints(fault_type(name)).items():
        for choice in typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ():
            assert f"`{choice}`" in ROWS[name], field


def test_the_table_of_schedules_names_every_field_and_its_default() -> None:
    found = re.findall(r"^\| `([a-z_]+)` \|(?: `(.*?)`)? \| ", SECTIONS["When it strikes"], re.M)
    expected = []
    for field in msgspec.structs.fields(Schedule):
        is_told = field.default not in (None, ())
        expected.append((field.name, json.dumps(field.default) if is_told else ""))
    assert found == expected


def test_every_fault_on_a_command_line_can_be_set() -> None:
    (commands,) = blocks("sh")
    found = []
    for line in commands.splitlines():
        words = shlex.split(line)
        found += [words[at + 1] for at, word in enumerate(words) if word == "--fault"]
    assert [parse_injection(text).schedule.count for text in found] == [None, None, None, 2, None]


def test_every_object_and_file_can_be_read() -> None:
    (file,) = (tomllib.loads(block) for block in blocks("toml"))
    assert [injection_from(one).fault for one in file["fault"]]
    assert [injection_from(json.loads(block)).schedule.after for block in blocks("json")] == [3]


def test_the_example_in_python_runs() -> None:
    found: dict[str, Any] = {}
    exec(blocks("python")[0], found)
    assert list(found["server"].faults.injections) == [1]


async def test_the_fault_of_the_guide_passes_its_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "fake_server.faults.keep_alive"
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(fake_server.faults, "FAULTS", (*FAULTS, "keep-alive"))
    _, fault, tests = blocks("python")
    exec(fault, module.__dict__)
    found: dict[str, Any] = {}
    exec(tests, found)
    run = [test for name, test in found.items() if name.startswith("test_")]
    assert len(run) == 2
    for test in run:
        if inspect.iscoroutinefunction(test):
            await test()
        else:
            test()
