"""`track-recorder capture`."""

from __future__ import annotations

import signal
import ssl
import sys
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import trio

from recorder.backend import Backend
from recorder.capture import REST_SNAPSHOTS, Capture, CaptureOptions, Outcome
from recorder.commands.live import show_progress
from recorder.console import out, say
from recorder.credentials import (
    EMAIL_VARIABLE,
    PASSWORD_VARIABLE,
    Credentials,
    credentials_from_environment,
    read_user_file,
)
from recorder.errors import CannotRead, DiskFailed, RecorderError
from recorder.model import Header
from recorder.recording import Writer
from recorder.redaction import Redactor
from recorder.sink import Sink, wall_clock_text

__all__ = ["capture_command"]


class _Duration(click.ParamType[Any]):
    name = "DURATION"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        text = str(value).strip()
        unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:])
        try:
            seconds = float(text[:-1]) * unit if unit is not None else float(text)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            self.fail(
                f"{text!r} is no duration: seconds, or a number with s, m or h behind it",
                param,
                ctx,
            )
        return seconds


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
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="REC",
    help="The recording; *.zst compresses.",
)
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
    "--duration", type=_Duration(), help="Stop so long after the socket opened: 90, 30s, 10m."
)
@click.option(
    "--messages",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop after N server messages, PINGs not counted.",
)
@click.option(
    "--redact",
    type=click.Choice(["secrets", "none"]),
    default="secrets",
    show_default=True,
    help="What to take out.",
)
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path),
    help="PEM file of certificate authorities to trust.",
)
@click.option("--force", is_flag=True, help="Overwrite REC.")
def capture_command(
    url: str,
    output: Path,
    user_file: Path | None,
    rest: tuple[str, ...],
    duration: float | None,
    messages: int | None,
    redact: str,
    ca_file: Path | None,
    force: bool,
) -> None:
    """Log in to a Track backend, open its socket and record everything, answering each PING.

    Credentials come from --user-file, from TRACK_EMAIL and TRACK_PASSWORD, or from a prompt; never
    from the command line. Ctrl-C ends the recording in order.
    """
    if str(output) == "-":
        raise click.UsageError("a recording is written to a file, not to stdout: -o NAME")
    try:
        backend = Backend.parse(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from error
    credentials = _credentials(user_file)
    tls = _tls(ca_file)
    started_ns, started_wall_ns = time.monotonic_ns(), time.time_ns()
    redactor = Redactor("none" if redact == "none" else "secrets")
    header = Header(
        id=str(uuid.uuid4()),
        started_at=wall_clock_text(started_wall_ns),
        tool=f"tracktape {version('tracktape')}",
        mode="capture",
        upstream=backend.http_url,
        fidelity="wire",
        timing="measured",
        redaction=redactor.header(),
    )
    writer = Writer.create(output, header, force=force)
    sink = Sink(writer, redactor, started_ns=started_ns)
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
        outcome = trio.run(_run, capture, sink)
    except RecorderError as error:
        failure = error
    except BaseException:
        sink.abort()
        raise
    _close(sink, failure)
    if failure is not None and not sink.entries:
        # Nothing happened that could be recorded: an empty file would only be in the way.
        output.unlink(missing_ok=True)
        raise failure
    # What a failed disk holds, its error says; the counts here are of what was handed to it.
    if not isinstance(failure, DiskFailed):
        _summarise(capture, sink, output, outcome)
    if failure is not None:
        raise failure


async def _run(capture: Capture, sink: Sink) -> Outcome:
    """The capture, with what goes on beside it: durability, signals, progress."""
    outcome: Outcome | None = None
    failure: RecorderError | None = None

    async def stop_on_signals() -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                capture.stop()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.run)
            nursery.start_soon(stop_on_signals)
            nursery.start_soon(show_progress, capture.progress, sink)
            try:
                outcome = await capture.run()
            except RecorderError as error:
                failure = error
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The disk failed in the task that keeps the recording durable: that is why everything
        # stopped.
        ours, rest = group.split(RecorderError)
        if rest is not None or ours is None:
            raise
        while isinstance(ours, BaseExceptionGroup):
            ours = ours.exceptions[0]  # type: ignore[assignment]
        raise ours  # noqa: B904 - the group holds nothing else
    if failure is not None:
        raise failure
    assert outcome is not None
    return outcome


def _close(sink: Sink, failure: RecorderError | None) -> None:
    try:
        sink.close()
    except RecorderError:
        sink.abort()
        if failure is None:
            raise


def _summarise(capture: Capture, sink: Sink, output: Path, outcome: Outcome | None) -> None:
    progress = capture.progress
    kinds = (
        ", ".join(f"{kind} {count}" for kind, count in progress.kinds.most_common()) or "nothing"
    )
    out(f"{output}: {sink.entries} entries")
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
