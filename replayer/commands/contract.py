"""`track-replayer contract`: what the backend says, learnt from recordings, and whether it still
says so.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar

import click
import msgspec

from recorder.console import LazyGroup, out, say
from recorder.destination import destination
from recorder.errors import RecordingError
from recorder.exits import Exit
from recorder.recording import Reader
from replayer.commands.terminal import make_output_safe, say_problems
from replayer.contract.checking import SEVERITIES, Report, judge
from replayer.contract.findings import Severity
from replayer.contract.learning import Learner
from replayer.contract.model import encode_contract, is_contract, load_contract
from replayer.contract.reporting import fails, junit_cases, page
from replayer.errors import NothingLearnt
from replayer.junit import junit_xml
from replayer.reading.series import SeriesReader
from replayer.reading.words import counted, json_text, printable

__all__ = ["answer", "check_command", "contract_group", "infer_command", "report_options"]

F = TypeVar("F", bound=Callable[..., Any])

contract_group = LazyGroup(
    name="contract",
    help="Learn from recordings what the backend says, and check whether others say the same.",
    table={
        "infer": ("replayer.commands.contract:infer_command", "Learn a contract."),
        "check": ("replayer.commands.contract:check_command", "Check recordings against one."),
        "export": (
            "replayer.commands.contract_export:contract_export_command",
            "As JSON Schema, AsyncAPI or OpenAPI.",
        ),
    },
)


def report_options(command: F) -> F:
    """Options of a command that ends with :func:`answer`, which takes them as keywords."""
    for option in reversed(
        (
            click.option(
                "--fail-on",
                type=click.Choice(SEVERITIES),
                default="additive",
                show_default=True,
                help="The least change that ends with 1.",
            ),
            click.option(
                "--ranges",
                is_flag=True,
                help="Remark also on numbers and sizes outside of theirs.",
            ),
            click.option(
                "--json", "as_json", is_flag=True, help="One JSON object instead of a page."
            ),
            click.option(
                "--junit", metavar="FILE", help="Also write a JUnit file, a case for each place."
            ),
        )
    ):
        command = option(command)
    return command


def answer(
    report: Report,
    name: str,
    *,
    fail_on: Severity,
    ranges: bool,
    as_json: bool,
    junit: str | None,
) -> Exit:
    """Say the report on the contract in the file ``name``, and give its exit code.

    ``junit`` is a file to write, or ``-``. Raises what
    :func:`~recorder.destination.destination` does.
    """
    if junit is not None:
        with destination(junit, force=True) as file:
            text = junit_xml(f"contract {name}", junit_cases(report, fail_on))
            file.write(text.encode("utf-8"))
    make_output_safe()
    if as_json:
        out(msgspec.json.format(json_text(report), indent=2))
    else:
        for line in page(report, ranges=ranges):
            out(line)
    if any(fails(change, fail_on) for change in report.changes):
        return Exit.DIFFERENT
    return Exit.UNDECIDED if report.verdict == "undecided" else Exit.OK


@click.command("infer")
@click.argument("recordings", metavar="REC...", nargs=-1, required=True)
@click.option(
    "-o", "--output", metavar="FILE", required=True, help="The contract to make; - is stdout."
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def infer_command(recordings: tuple[str, ...], output: str, force: bool) -> None:
    """Learn the contract of the recordings REC, each its own; parts of one series are one.

    Of each kind of message and each REST call: fields, types, nulls, forms of strings,
    enumerations, ranges and sizes, counted, with an example.
    """
    learner = _learn(recordings)
    contract = learner.contract(f"tracktape {version('tracktape')}")
    if not contract.messages and not contract.calls:
        raise NothingLearnt(
            f"{printable(recordings[0])} holds no message of a server and no call of its API:"
            " expected a recording of a Track backend"
        )
    with destination(output, force=force) as file:
        file.write(encode_contract(contract))
    messages = sum(message.seen for message in contract.messages.values())
    calls = sum(call.seen for call in contract.calls.values())
    say(
        f"learnt {counted(len(contract.messages), 'kinds')} of messages from"
        f" {counted(messages, 'messages')}, and {len(contract.calls)} REST"
        f" {'call' if len(contract.calls) == 1 else 'calls'}, seen {calls}"
        f" {'time' if calls == 1 else 'times'}"
    )
    if learner.unreadable:
        say(f"left out: {counted(learner.unreadable, 'messages')} of no JSON objects")
    if learner.beyond:
        say(f"left out: {counted(learner.beyond, 'messages')} of still more kinds")


@click.command("check")
@click.argument("recordings", metavar="REC... CONTRACT", nargs=-1, required=True)
@report_options
def check_command(recordings: tuple[str, ...], **options: Any) -> int:
    """Whether the recordings REC say what CONTRACT says, the last argument.

    same (0), drift (1), or undecided (2): too little was seen to tell.
    """
    if len(recordings) < 2:
        raise click.UsageError("name a recording, and last the contract, as `infer` makes it")
    *paths, name = recordings
    contract = load_contract(name)
    return answer(judge(contract, _learn(tuple(paths))), name, **options)


def _learn(paths: tuple[str, ...]) -> Learner:
    """Learn all recordings at these paths."""
    learner = Learner()
    for group in _groups(paths):
        with SeriesReader(group) as reader:
            learner.learn(reader.header, reader)
            say_problems(reader)
    return learner


def _groups(paths: tuple[str, ...]) -> list[list[str]]:
    """The paths, those of one series together."""
    groups: dict[object, list[str]] = {}
    for number, path in enumerate(paths):
        if is_contract(path):
            raise RecordingError(
                f"{printable(path)} is a contract, not a recording; of `contract check` the last"
                " argument is the contract, and those before it are recordings"
            )
        with Reader(path) as reader:
            series = reader.header.series
        groups.setdefault(number if series is None else series.id, []).append(path)
    return list(groups.values())
