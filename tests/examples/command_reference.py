"""docs/commands.md, made from the commands: `python -m tests.examples.command_reference` writes it.

All is taken from click's objects at a width that is set here, so that the page is the same on every
machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import click

import fake_server.cli
import recorder.cli
import replayer.cli
from recorder.console import LazyGroup

__all__ = ["PAGE", "PROGRAMS", "RENEW", "contexts", "reference"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "commands.md"
RENEW: Final = "python -m tests.examples.command_reference"
PROGRAMS: Final = (recorder.cli.cli, replayer.cli.cli, fake_server.cli.cli)

_HEAD: Final = f"""\
# Commands

Every command with all of its options, as `--help` shows them, an option that every command has.
What their exit codes mean stands under [exit codes](exit-codes.md); which command answers which
question, in the [README](../README.md).

This page is made from the commands, by `{RENEW}`.
"""
_WIDTH: Final = 10_000
"""Usage lines are not folded, whatever the terminal."""

_SPECIAL: Final = re.compile(r"[\\*<|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What Markdown would take for more than text; an underscore within a word it would not."""


def contexts(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[click.Context]:
    """A command and all below it, depth first and as its help lists them; `name` is its own."""
    context = click.Context(
        command, parent, info_name=name, terminal_width=_WIDTH, max_content_width=_WIDTH
    )
    yield context
    if isinstance(command, click.Group):
        for one in command.list_commands(context):
            below = command.get_command(context, one)
            assert below is not None
            yield from contexts(below, one, context)


def reference(programs: Iterable[click.Command] = PROGRAMS) -> str:
    """The page as Markdown."""
    found = [one for program in programs for one in contexts(program, program.name or "")]
    contents = "\n".join(map(_content, found))
    return "\n".join([_HEAD, contents, "", *map(_section, found)])


def _content(context: click.Context) -> str:
    """A command's line in the table of contents: indented by its depth."""
    path = context.command_path
    line = f"{'  ' * path.count(' ')}- [`{path}`](#{path.replace(' ', '-')})"
    parent = context.parent.command if context.parent else None
    if isinstance(parent, LazyGroup):
        return f"{line}: {_escaped(parent.table[context.info_name or ''][1])}"
    return line


def _section(context: click.Context) -> str:
    command, path = context.command, context.command_path
    usage = command.get_usage(context).removeprefix("Usage: ")
    paragraphs = [
        _escaped(" ".join(paragraph.split())) for paragraph in (command.help or "").split("\n\n")
    ]
    options = [
        _option(one, context)
        for one in command.get_params(context)
        if isinstance(one, click.Option) and not one.hidden and "--help" not in one.opts
    ]
    parts = [
        f"{'#' * min(path.count(' ') + 2, 4)} {path}",
        f"```text\n{usage}\n```",
        *paragraphs,
        *(["\n".join(options)] if options else []),
    ]
    return "\n\n".join(parts) + "\n"


def _option(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None
    declared, text = record
    if isinstance(option.type, click.Choice) and option.metavar is not None:
        text += f" [one of {', '.join(map(str, option.type.choices))}]"
    if option.multiple:
        text += " [may be given several times]"
    return f"- `{declared}`: {_escaped(' '.join(text.split()))}"


def _escaped(text: str) -> str:
    """Text of a help in which Markdown finds nothing but the code in backticks."""
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [_SPECIAL.sub(r"\\\g<0>", part) for part in parts[::2]]
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
