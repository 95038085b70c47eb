"""What the three commands share: lazily imported subcommands, errors as one line, the table of exit
codes.

A command module is imported only when its command runs, so that `--help` and a quick command stay
quick.
"""

from __future__ import annotations

import errno
import functools
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from importlib.metadata import version
from types import FrameType
from typing import Any, Final, NoReturn

import click

from recorder.errors import RecorderError
from recorder.exits import Exit

__all__ = ["LazyGroup", "command_group", "is_terminal", "out", "run_command", "say", "stop_signals"]


_DISK_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class LazyGroup(click.Group):
    """A group whose commands are named here with one line of help and imported when they are used.

    ``table`` maps a command's name to (``module:attribute``, one line of help).
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in self.table.items()])


def command_group(name: str, help_text: str, table: Mapping[str, tuple[str, str]]) -> LazyGroup:
    """The group behind one of the three commands, with ``--version``."""
    group = LazyGroup(
        name=name, help=help_text, table=table, context_settings={"max_content_width": 80}
    )
    return click.version_option(version("tracktape"), prog_name=name)(group)


def run_command(command: click.Command) -> NoReturn:
    """Run a command line and end the process with a code of :class:`recorder.exits.Exit`.

    An error of ours is one line on stderr; a usage error shows the usage; a traceback is a bug.
    """
    status: object
    _make_streams_safe()
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, functools.partial(_end, os.getpid()))
    try:
        # Not `command.main`: it ends with 1 where the reader of our output has enough.
        with command.make_context(command.name or "", sys.argv[1:]) as context:
            status = command.invoke(context)
    except click.exceptions.Exit as done:
        status = done.exit_code
    except click.UsageError as error:
        error.show()
        status = Exit.USAGE
    except click.ClickException as error:
        error.show()
        status = Exit.NO_INPUT
    except RecorderError as error:
        say(f"{command.name}: error: {error}")
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say(f"{command.name}: interrupted")
        status = Exit.INTERRUPTED
    except BrokenPipeError:
        # `head`, or a pager that was quit. Python flushes stdout once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = Exit.OK
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            traceback.print_exc()
            status = Exit.BUG
        else:
            say(f"{command.name}: error: writing the answer failed: {error.strerror}")
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            status = Exit.DISK_FAILED
    except Exception:  # noqa: BLE001 - whatever else comes is a bug, and is shown as one
        traceback.print_exc()
        status = Exit.BUG
    sys.exit(status if isinstance(status, int) else Exit.OK)


def _end(process: int, number: int, _: FrameType | None) -> None:
    """SIGTERM is as good as Ctrl-C, so that no unfinished file is left.

    Where trio runs, it ends the process as it does by default, for who wants the signal takes it
    then, and an exception could come anywhere in trio; so it does in what was forked off
    ``process``.
    """
    trio = sys.modules.get("trio")
    if os.getpid() == process and not (trio is not None and trio.lowlevel.in_trio_run()):
        raise KeyboardInterrupt
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _make_streams_safe() -> None:
    """A stream that was closed before the start becomes /dev/null, so that no file of ours takes
    its number; a character that stdout's encoding lacks becomes an escape.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for as long as we run
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """A line for the person at the terminal: stderr, so that stdout stays data."""
    click.echo(line, err=True)


def out(line: str) -> None:
    """A line of a command's answer: stdout."""
    click.echo(line)


def is_terminal() -> bool:
    """Whether a person watches stderr."""
    return sys.stderr.isatty()


def stop_signals() -> list[signal.Signals]:
    """What ends a command that lasts: SIGINT, SIGTERM, and SIGHUP, the end of a remote terminal,
    unless nohup had that ignored.
    """
    ends = [signal.SIGINT, signal.SIGTERM]
    return ends if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [*ends, signal.SIGHUP]
