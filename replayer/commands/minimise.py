"""`track-replayer minimise`: the least of a recording with which a command still fails."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any, Final

import click

from recorder.console import out

__all__ = ["minimise_command"]


class _WithServeOptions(click.Command):
    """Everything behind ``--`` is options of ``track-fake-server run``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_SERVE_OPTIONS] = args[at + 1 :]
        return super().parse_args(ctx, args[:at])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- SERVE_OPTION...]"]


_SERVE_OPTIONS: Final = "replayer.minimise.serve_options"


class _Regex(click.ParamType["str"]):
    name = "regex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            re.compile(value)
        except (re.error, OverflowError, RecursionError) as exc:
            self.fail(f"{value!r} is no regular expression: {exc}", param, ctx)
        return str(value)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@click.command("minimise", cls=_WithServeOptions)
@click.argument("recordings", metavar="REC...", nargs=-1, required=True)
@click.option(
    "--test",
    "test",
    metavar="CMD",
    required=True,
    help="The command that fails, quoted as for a shell, which it is not given to.",
)
@click.option("-o", "--output", metavar="OUT", required=True, help="Where to; a recording.")
@click.option("--force", is_flag=True, help="Overwrite OUT.")
@click.option(
    "--speed", default="max", show_default=True, metavar="X|max", help="How fast CMD is played to."
)
@click.option(
    "--at-end",
    default="close",
    show_default=True,
    type=click.Choice(["close", "hold", "loop"]),
    help="After the last message.",
)
@click.option(
    "--playback",
    default="per-connection",
    show_default=True,
    type=click.Choice(["per-connection", "shared"]),
    help="Each socket plays a recorded one, or all hear one playback.",
)
@click.option(
    "--any-failure",
    is_flag=True,
    help="Any exit code but 0 is the failure, not only that with the whole recording.",
)
@click.option(
    "--says",
    type=_Regex(),
    metavar="REGEX",
    help="Only what prints a line in which REGEX (of Python) finds something is the failure.",
)
@click.option(
    "--timeout-s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="How long CMD may run. [default: three times as long as at first, and 10 s]",
)
@click.option("--timeout-fails", is_flag=True, help="To run longer is a failure, too.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=_processors,
    metavar="N",
    help="Run so many at once; what comes out is the same. [default: processors]",
)
@click.option("--max-runs", type=click.IntRange(min=1), metavar="N", help="Stop after so many.")
@click.option(
    "--max-time",
    "max_time_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S",
    help="Stop after so many seconds.",
)
@click.option(
    "--state",
    metavar="FILE",
    help="Where outcomes are kept, to go on after an interruption; FILE stays."
    " [default: OUT.minimise.jsonl, removed when done]",
)
@click.option("--show-output", is_flag=True, help="Show what CMD prints, after each run.")
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@click.pass_context
def minimise_command(
    ctx: click.Context,
    recordings: tuple[str, ...],
    test: str,
    output: str,
    force: bool,
    speed: str,
    at_end: str,
    playback: str,
    any_failure: bool,
    says: str | None,
    timeout_s: float | None,
    timeout_fails: bool,
    jobs: int,
    max_runs: int | None,
    max_time_s: float | None,
    state: str | None,
    show_output: bool,
    as_json: bool,
) -> int:
    """The smallest part of REC, or of the parts of a series, with which CMD still fails.

    CMD is run again and again under `track-fake-server run`, which tells it in TRACK_URL,
    TRACK_WS_URL, TRACK_EMAIL and TRACK_PASSWORD where to connect, with less and less of REC:
    connections are left out, then exchanges and messages, then objects in messages, then fields.

    Options behind -- go to `track-fake-server run`. Ends with 0 if OUT is minimal, with 1 if CMD
    does not fail, with 2 at a limit.
    """
    from replayer.minimise.minimiser import Rule
    from replayer.minimise.session import Request, minimise

    command = _split(test)
    behind: list[str] = ctx.meta[_SERVE_OPTIONS]
    _check(behind, jobs=jobs, timeout_s=timeout_s, timeout_fails=timeout_fails)
    options = ["--speed", speed, "--at-end", at_end, "--playback", playback, *behind]
    rule = Rule(
        any_failure=any_failure,
        timeout_s=timeout_s,
        timeout_fails=timeout_fails,
        says=says is not None,
    )
    request = Request(
        recordings=recordings,
        test=command,
        options=options,
        output=output,
        force=force,
        state=Path(state) if state is not None else None,
        says=says,
        rule=rule,
        jobs=jobs,
        max_runs=max_runs,
        max_time_s=max_time_s,
        show_output=show_output,
    )
    answer = minimise(request)
    if as_json:
        from replayer.reading.words import json_text

        out(json_text(answer.to_builtins()))
    else:
        for line in answer.lines():
            out(line)
    return answer.exit_code


def _split(test: str) -> list[str]:
    try:
        command = shlex.split(test)
    except ValueError as error:
        raise click.BadParameter(
            f"it cannot be split into words: {error}", param_hint="--test"
        ) from error
    if not command or shutil.which(command[0]) is None:
        from replayer.minimise.trial import CannotTry
        from replayer.reading.words import printable

        name = printable(command[0]) if command else "nothing"
        raise CannotTry(
            f"--test: expected a program to run and its arguments, found {name}, which"
            " is none; give its path, quoted as for a shell"
        )
    return command


def _check(behind: list[str], *, jobs: int, timeout_s: float | None, timeout_fails: bool) -> None:
    names = {option.partition("=")[0] for option in behind}
    if "--record" in names:
        raise click.UsageError("behind --: --record would record every run into the same file")
    if "--tls-self-signed" in names and jobs > 1:
        raise click.UsageError(
            "behind --: --tls-self-signed writes one file for all runs: add --jobs 1"
        )
    if timeout_fails and timeout_s is None:
        raise click.UsageError("--timeout-fails needs --timeout-s: how long is too long?")
