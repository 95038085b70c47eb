"""`track-recorder capture`."""

from __future__ import annotations

import ssl
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from recorder.backend import Backend
from recorder.capture import REST_SNAPSHOTS, Capture, CaptureOptions, Outcome
from recorder.commands.live import run_beside, show_progress
from recorder.commands.output import LiveRecording, OutputOptions, output_options
from recorder.commands.redaction_options import RedactionOptions, redaction_options
from recorder.commands.values import Duration
from recorder.console import out, say
from recorder.credentials import (
    EMAIL_VARIABLE,
    PASSWORD_VARIABLE,
    Credentials,
    credentials_from_environment,
    read_user_file,
)
from recorder.errors import CannotRead, DiskFailed, RecorderError

__all__ = ["capture_command"]


class _Snapshots(click.ParamType[Any]):
    name = "LISTS"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in str(value).split(",") if name.strip())
        unknown = [name for name in names if name not in REST_SNAPSHOTS]
        if unknown:
            self.fail(f"{unknown[0]!r} is none of {', '.join(REST_SNAPSHOTS)}", param, ctx)
        return names


@click.command("capture")
@click.option(
    "--url", required=True, metavar="URL", help="The backend, as https://track.example.com."
)
@output_options
@click.option(
    "--user-file",
    type=click.Path(path_type=Path),
    help="EMAIL=… and PASSWORD=… lines, as the manual's userdata.",
)
@click.option(
    "--rest",
    type=_Snapshots(),
    default=(),
    help="Lists to ask for first: devices,beacons,positions.",
)
@click.option(
    "--duration", type=Duration(), help="Stop so long after the socket opened: 90, 30s, 10m."
)
@click.option(
    "--messages",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop after N server messages, PINGs not counted.",
)
@redaction_options
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path),
    help="PEM file of certificate authorities to trust.",
)
def capture_command(
    url: str,
    output: OutputOptions,
    user_file: Path | None,
    rest: tuple[str, ...],
    duration: float | None,
    messages: int | None,
    redaction: RedactionOptions,
    ca_file: Path | None,
) -> None:
    """Log in to a Track backend, open its socket and record everything, answering each PING.

    Credentials come from --user-file, from TRACK_EMAIL and TRACK_PASSWORD, or from a prompt; never
    from the command line. Ctrl-C ends the recording in order.
    """
    try:
        backend = Backend.parse(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from error
    credentials = _credentials(user_file)
    tls = _tls(ca_file)
    recording = output.open(redaction, mode="capture", upstream=backend.http_url)
    sink = recording.sink
    capture = Capture(
        backend,
        credentials,
        sink,
        CaptureOptions(rest=rest, duration_s=duration, messages=messages),
        tls=tls,
    )
    failure: RecorderError | None = None
    outcome: Outcome | None = None
    try:
        outcome = trio.run(
            partial(
                run_beside,
                sink,
                capture.run,
                stop=capture.stop,
                show=partial(show_progress, capture.progress, sink),
            )
        )
    except RecorderError as error:
        failure = error
    except BaseException:
        recording.abort()
        raise
    recording.close(failure)
    # What a failed disk holds, its error says; the counts here are of what was handed to it.
    if sink.entries and not isinstance(failure, DiskFailed):
        _summarise(capture, recording, outcome)
    if failure is not None:
        raise failure


def _summarise(capture: Capture, recording: LiveRecording, outcome: Outcome | None) -> None:
    progress, sink = capture.progress, recording.sink
    kinds = (
        ", ".join(f"{kind} {count}" for kind, count in progress.kinds.most_common()) or "nothing"
    )
    for line in recording.summary():
        out(line)
    out(f"server messages: {kinds}")
    out(f"PINGs answered: {progress.pongs} of {progress.pings}")
    masked = sink.redactor.counts.get("incomplete", 0)
    if masked:
        say(f"{masked} pieces of messages that stayed incomplete were masked whole")
    for problem in progress.problems[:5]:
        say(f"the server broke RFC 6455: {problem}")
    if outcome is not None:
        say(f"{outcome.why}{f': {outcome.detail}' if outcome.detail else ''}")


def _credentials(user_file: Path | None) -> Credentials:
    if user_file is not None:
        accounts = read_user_file(user_file)
        if len(accounts) > 1:
            say(f"{user_file}: {len(accounts)} accounts; the first is used")
        return accounts[0]
    found = credentials_from_environment()
    if found is not None:
        return found
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"no credentials: give --user-file, or set {EMAIL_VARIABLE} and {PASSWORD_VARIABLE}"
            " (there is no terminal to ask at)"
        )
    email = click.prompt("Email", err=True)
    return Credentials(email, click.prompt("Password", hide_input=True, err=True))


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None)
    except (OSError, ssl.SSLError) as error:
        raise CannotRead(f"{ca_file}: no PEM file of certificate authorities: {error}") from error
