"""`track-fake-server run`."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import click
import trio

from fake_server.commands.assembly import Parts, parts_of
from fake_server.commands.checking import (
    Check,
    check_of,
    junit_cases,
    last_frames_told,
    settled,
    write_junit,
)
from fake_server.commands.options import ADMIN_TOKEN_VARIABLE, ServerOptions, server_options
from fake_server.commands.serving import Served, serving, tell_the_end
from fake_server.findings import Finding
from recorder.console import say, stop_signals
from recorder.credentials import EMAIL_VARIABLE, PASSWORD_VARIABLE
from recorder.errors import CannotRead

__all__ = ["run_command"]


class _WithProgram(click.Command):
    """Everything behind ``--`` is the program to run and its arguments, whatever they look like."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        program = args[at + 1 :]
        rest = super().parse_args(ctx, args[:at])
        if not program and not ctx.resilient_parsing:
            raise click.UsageError("expected -- and behind it the program to run", ctx)
        ctx.params["program"] = program
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "-- CMD [ARG]..."]


@click.command("run", cls=_WithProgram)
@click.argument("recordings", type=click.Path(path_type=Path), nargs=-1, metavar="[REC...]")
@click.option(
    "--check", is_flag=True, help="End with 1 if CMD ended with 0 but something was found."
)
@click.option(
    "--allow",
    multiple=True,
    metavar="NAME",
    help="Leave out findings of this name, or pattern as pong.*; again for more.",
)
@click.option("--require-all", is_flag=True, help="A message that was never sent is a finding.")
@click.option(
    "--junit-xml",
    "junit",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Write a JUnit report to F, in place of an older one: a case for CMD, and one for each"
    " thing that can be found.",
)
@server_options
def run_command(
    recordings: tuple[Path, ...],
    program: list[str],
    check: bool,
    allow: tuple[str, ...],
    require_all: bool,
    junit: Path | None,
    options: ServerOptions,
) -> int:
    """Serve the recording REC, or the fleet, on a free port of this machine while CMD runs.
    Several files are the parts of one series and are played as one.

    CMD finds in its environment TRACK_URL, TRACK_WS_URL, TRACK_EMAIL, TRACK_PASSWORD (of the first
    account), TRACK_ADMIN_URL, with a token TRACK_ADMIN_TOKEN, and with --tls-self-signed
    TRACK_CA_FILE. The command ends as CMD does; where that is with 0, with 1 if --strict was given
    and there were violations, or --check and findings: violations, sockets left open, messages
    never sent. Ctrl-C and SIGTERM are CMD's.
    """
    if require_all and not recordings:
        raise click.UsageError("--require-all needs a recording; the fleet has no end")
    asked = check_of(check=check, require_all=require_all, allow=allow, junit=junit)
    return trio.run(_run, parts_of(options, *recordings), options, asked, program)


async def _run(
    parts: Parts, options: ServerOptions, check: Check | None, program: Sequence[str]
) -> int:
    found: list[Finding] | None = None
    last: list[str] = []
    with trio.open_signal_receiver(*stop_signals()) as signals:
        async with serving(parts, options, host="127.0.0.1", port=0) as served:
            say(f"playing {parts.what} at {served.address.http_url}")
            started_s = trio.current_time()
            status = await _ended(program, _environment(served, parts, options), signals)
            took_s = trio.current_time() - started_s
            if check is not None:
                await settled(served.server)
                found = check.findings(served.server)
                if found or status:
                    last = await last_frames_told(served.server)
    fails = check is not None and check.fails
    verdict = tell_the_end(served, options, found=found, last=last, check=fails)
    if check is not None and check.junit is not None:
        # Behind all that was said: if this fails, the findings are known.
        cases = junit_cases(program[0], status, took_s, check, found or (), last=last)
        write_junit(check.junit, cases)
    return status or verdict


async def _ended(
    program: Sequence[str], environment: dict[str, str], signals: AsyncIterator[int]
) -> int:
    """Run the program to its end; returns its code as a shell has it, 128 + N for signal N.

    It gets the signals that are ours. If we are cancelled it is terminated, and killed if that
    takes five seconds.
    """
    run = functools.partial(
        trio.run_process, list(program), env=environment, stdin=None, check=False
    )
    async with trio.open_nursery() as nursery:
        try:
            process: trio.Process = await nursery.start(run)
        except OSError as error:
            raise CannotRead(f"{program[0]}: cannot be run: {error.strerror}") from error
        nursery.start_soon(_pass_on, signals, process)
        code = await process.wait()
        nursery.cancel_scope.cancel()
    return code if code >= 0 else 128 - code


async def _pass_on(signals: AsyncIterator[int], process: trio.Process) -> None:
    async for number in signals:
        if not (number == signal.SIGINT and _is_in_front()):
            process.send_signal(number)


def _is_in_front() -> bool:
    """Whether a terminal sends its Ctrl-C to us, and so to our child itself: it would have two."""
    for stream in range(3):
        try:
            return os.tcgetpgrp(stream) == os.getpgrp()
        except OSError:
            continue
    return False


def _environment(served: Served, parts: Parts, options: ServerOptions) -> dict[str, str]:
    url = served.address.http_url
    account = parts.credentials[0]
    own: dict[str, Any] = {
        "TRACK_URL": url,
        "TRACK_WS_URL": served.address.socket_url,
        EMAIL_VARIABLE: account.email,
        PASSWORD_VARIABLE: account.password,
        "TRACK_ADMIN_URL": f"{url}/__admin",
    }
    if parts.admin_token is not None:
        own[ADMIN_TOKEN_VARIABLE] = parts.admin_token
    if options.tls_self_signed is not None:
        own["TRACK_CA_FILE"] = str(options.tls_self_signed.absolute())
    return {**os.environ, **own}
