"""`track-recorder capture`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from recorder.backend import Backend
from recorder.capture import REST_SNAPSHOTS, Capture, CaptureOptions, Outcome
from recorder.commands.conduct import Ending, conduct
from recorder.commands.credentials_options import need_credentials, user_file_option
from recorder.commands.live import Beside, LiveOptions, live_options
from recorder.commands.output import LiveRecording, OutputOptions, output_options
from recorder.commands.redaction_options import RedactionOptions, redaction_options
from recorder.commands.values import Duration
from recorder.dial import client_tls
from recorder.login import Exchanges
from recorder.reconnect import Reconnect

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
@user_file_option
@click.option(
    "--rest",
    type=_Snapshots(),
    default=(),
    help="Lists to ask for before each socket: devices,beacons,positions.",
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
@click.option(
    "--reconnect/--no-reconnect",
    default=True,
    show_default=True,
    help="Open a lost socket again, and note the gap.",
)
@click.option(
    "--max-gap",
    type=Duration(),
    help="Give up when there was no socket for so long. [default: never]",
)
@redaction_options
@live_options
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
    reconnect: bool,
    max_gap: float | None,
    redaction: RedactionOptions,
    live: LiveOptions,
    ca_file: Path | None,
) -> None:
    """Log in to a Track backend, open its socket and record everything, answering each PING.

    Credentials come from --user-file, from TRACK_EMAIL and TRACK_PASSWORD, or from a prompt; never
    from the command line. A line typed meanwhile becomes a note in the recording. Ctrl-C ends it in
    order.
    """
    try:
        backend = Backend.parse(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from error
    if max_gap is not None and not reconnect:
        raise click.UsageError("--max-gap is of no use with --no-reconnect")
    credentials = need_credentials(user_file)
    tls = client_tls(ca_file)
    recording = output.open(redaction, mode="capture", upstream=backend.http_url)
    capture = Capture(
        backend,
        credentials,
        recording.sink,
        CaptureOptions(
            rest=rest,
            duration_s=duration,
            messages=messages,
            reconnect=Reconnect(max_gap_s=max_gap) if reconnect else None,
        ),
        tls=tls,
        numbers=Exchanges(
            first_connection=recording.first_connection, first_exchange=recording.first_exchange
        ),
        on_open=recording.keep,
        tell=lambda kind, text, **facts: beside.tell(kind, text, **facts),
    )
    now_ns = recording.sink.now_ns
    beside = Beside(
        recording,
        live,
        line=lambda: capture.progress.line(now_ns()),
        facts=lambda: capture.progress.facts(now_ns()),
        about={"mode": "capture", "upstream": backend.http_url},
    )
    conduct(
        recording,
        live,
        beside,
        capture.run,
        stop=capture.stop,
        ending=lambda outcome: Ending(
            _reason(outcome), _summary(capture, recording), _remarks(capture, recording, outcome)
        ),
    )


def _summary(capture: Capture, recording: LiveRecording) -> list[str]:
    progress = capture.progress
    kinds = (
        ", ".join(f"{kind} {count}" for kind, count in progress.kinds.most_common()) or "nothing"
    )
    lines = [*recording.summary(), f"server messages: {kinds}"]
    answered = f"PINGs answered: {progress.pongs} of {progress.pings - progress.pings_cut_off}"
    if progress.pings_cut_off:
        answered += f"; {progress.pings_cut_off} more came as a socket ended"
    lines.append(answered)
    if progress.gaps:
        lines.append(f"gaps: {progress.gaps}, {progress.gap_ns / 1e9:.1f} s together")
    return lines


def _remarks(capture: Capture, recording: LiveRecording, outcome: Outcome | None) -> list[str]:
    lines = []
    masked = recording.sink.redactor.counts.get("incomplete", 0)
    if masked:
        lines.append(f"{masked} pieces of messages that stayed incomplete were masked whole")
    lines += [f"the server broke RFC 6455: {one}" for one in capture.progress.problems[:5]]
    return [*lines, _reason(outcome)] if outcome is not None else lines


def _reason(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    return f"{outcome.why}: {outcome.detail}" if outcome.detail else outcome.why
