"""The command that writes the documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from recorder.errors import CannotRead, OutputExists, RecorderError
from replayer.commands.contract_export import contract_export_command
from replayer.contract.documents import asyncapi, json_schema, openapi
from replayer.contract.model import Contract, encode_contract
from replayer.errors import NoContract

CONTRACT = Contract(tool="a test")
MAKERS = {"json-schema": json_schema, "asyncapi": asyncapi, "openapi": openapi}


@pytest.fixture
def contract(tmp_path: Path) -> str:
    path = tmp_path / "contract.json"
    path.write_bytes(encode_contract(CONTRACT))
    return str(path)


def export(*arguments: str) -> bytes:
    """What the command writes to stdout; raises what it raises."""
    ran = CliRunner().invoke(contract_export_command, arguments)
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    assert ran.exit_code == 0, ran.output
    return ran.stdout_bytes


@pytest.mark.parametrize("form", sorted(MAKERS))
def test_each_form_goes_to_stdout_or_to_a_file(form: str, contract: str, tmp_path: Path) -> None:
    expected = MAKERS[form](CONTRACT)
    assert export(contract, "--to", form) == expected
    assert export(contract, "--to", form, "-o", "-") == expected
    assert export(contract, "--to", form, "-o", str(tmp_path / "new.json")) == b""
    assert (tmp_path / "new.json").read_bytes() == expected
    json.loads(expected)


def test_a_file_that_is_there_stays_unless_forced(contract: str, tmp_path: Path) -> None:
    output = tmp_path / "there.json"
    output.write_text("mine")
    with pytest.raises(OutputExists):
        export(contract, "--to", "openapi", "-o", str(output))
    assert output.read_text() == "mine"
    export(contract, "--to", "openapi", "-o", str(output), "--force")
    assert output.read_bytes() == openapi(CONTRACT)


@pytest.mark.parametrize(
    ("content", "error"), [("{}", NoContract), ("no JSON", NoContract), (None, CannotRead)]
)
def test_what_is_no_contract_is_told_and_nothing_is_written(
    content: str | None, error: type[RecorderError], tmp_path: Path
) -> None:
    path, output = tmp_path / "some.json", tmp_path / "out.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(error):
        export(str(path), "--to", "asyncapi", "-o", str(output))
    assert not output.exists()
