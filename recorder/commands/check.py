"""`track-recorder check`."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import sys
from pathlib import Path
from typing import Final

import click
import msgspec
import trio

from recorder.backend import Backend
from recorder.commands.credentials_options import find_credentials, user_file_option
from recorder.commands.redaction_options import RedactionOptions, redaction_options
from recorder.commands.values import Duration
from recorder.console import out, say
from recorder.credentials import EMAIL_VARIABLE, PASSWORD_VARIABLE, Credentials
from recorder.dial import client_tls
from recorder.doctor import CheckOptions, Outcome, Result, check, exit_code_of
from recorder.doctor.text import line_of_skipped, lines_of, verdict
from recorder.errors import RecorderError, the_one_of
from recorder.live_recording import LiveRecording, OutputOptions

__all__ = ["check_command"]

_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "red", "skipped": "bright_black"}
_MAX_COLUMNS: Final = 100


@click.command("check")
@click.option(
    "--url", required=True, metavar="URL", help="The backend, as https://track.example.com."
)
@user_file_option
@click.option("--no-login", is_flag=True, help="Go only as far as it goes without an account.")
@click.option(
    "--wait",
    type=Duration(),
    default="35s",
    show_default=True,
    help="How long to wait for a PING.",
)
@click.option(
    "--limit",
    type=Duration(),
    help="For all steps together.  [default: --wait and a minute]",
)
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path),
    help="PEM file of certificate authorities to trust.",
)
@click.option("--insecure", is_flag=True, help="Go on with a certificate that nobody vouches for.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of text.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="REC",
    help="Record the check too; *.zst compresses.",
)
@click.option("--force", is_flag=True, help="Overwrite REC.")
@redaction_options
def check_command(
    url: str,
    user_file: Path | None,
    no_login: bool,
    wait: float,
    limit: float | None,
    ca_file: Path | None,
    insecure: bool,
    as_json: bool,
    output: Path | None,
    force: bool,
    redaction: RedactionOptions,
) -> None:
    """Try a Track backend step by step, and say what was seen, what it means and what to do.

    It looks the name up, connects, checks the certificate, logs in, asks REST, opens the socket,
    and answers one PING. Credentials come from --user-file, from TRACK_EMAIL and TRACK_PASSWORD, or
    from a prompt; without, it goes as far as it can. The exit code is that of the first step that
    failed.
    """
    if output is not None and str(output) == "-":
        raise click.UsageError("a recording is written to a file, not to stdout: -o NAME")
    tls = client_tls(ca_file)
    credentials = None if no_login else find_credentials(user_file)
    if credentials is None and not no_login:
        say(
            f"no credentials (--user-file, or {EMAIL_VARIABLE} and {PASSWORD_VARIABLE}): it goes"
            " as far as it can"
        )
    if insecure:
        say("--insecure: THE CERTIFICATE NEED NOT HOLD: ANYONE MAY ANSWER AND READ EVERYTHING")
    recording = _recording(output, url, redaction, force=force)
    options = CheckOptions(wait_s=wait, total_s=limit, insecure=insecure)
    tell = _Teller(as_json=as_json)
    failure: RecorderError | None = None
    done = False
    try:
        done = trio.run(_run, url, credentials, options, tls, recording, tell)
    except RecorderError as error:
        failure = error
    except BaseException:
        if recording is not None:
            recording.abort()
        raise
    if recording is not None:
        recording.close(failure)
    if failure is not None:
        raise failure
    if not done:
        raise click.Abort
    tell.end()
    if recording is not None:
        for line in recording.summary():
            say(line)
    raise click.exceptions.Exit(exit_code_of(tell.results))


class _Teller:
    """Prints each result as it comes, or all at the end as JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self.results: list[Result] = []
        self._as_json = as_json
        self._skipped: list[Result] = []
        self._columns = min(shutil.get_terminal_size().columns, _MAX_COLUMNS)
        self._colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def __call__(self, result: Result) -> None:
        self.results.append(result)
        if self._as_json:
            return
        if self._skipped and (result.outcome != "skipped" or result.seen != self._skipped[0].seen):
            self._tell_skipped()
        if result.outcome == "skipped":
            self._skipped.append(result)
        else:
            self._tell(result.outcome, lines_of(result, self._columns))

    def _tell_skipped(self) -> None:
        skipped, self._skipped = self._skipped, []
        if skipped:
            self._tell("skipped", [line_of_skipped(skipped)])

    def _tell(self, outcome: Outcome, lines: list[str]) -> None:
        mark, space, rest = lines[0].partition(" ")
        if self._colours:
            mark = click.style(mark, fg=_COLOURS[outcome], bold=True)
        for line in (f"{mark}{space}{rest}", *lines[1:]):
            out(line)

    def end(self) -> None:
        """Print what is left, and the verdict."""
        if not self._as_json:
            self._tell_skipped()
            out(verdict(self.results))
            return
        answer = {"exit_code": exit_code_of(self.results), "steps": self.results}
        out(msgspec.json.encode(answer).decode("utf-8"))


async def _run(
    url: str,
    credentials: Credentials | None,
    options: CheckOptions,
    tls: ssl.SSLContext,
    recording: LiveRecording | None,
    tell: _Teller,
) -> bool:
    """The check, with what goes on beside it: durability, signals. False if a signal ended it."""
    sink = recording.sink if recording is not None else None
    done = False

    async def stop_on_signals(scope: trio.CancelScope) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_on_signals, nursery.cancel_scope)
            if sink is not None:
                nursery.start_soon(sink.run)
            await check(url, credentials, options, tls=tls, sink=sink, on_result=tell)
            done = True
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The disk failed, here or in the task that keeps the recording durable.
        raise the_one_of(group) from None
    return done


def _recording(
    output: Path | None, url: str, redaction: RedactionOptions, *, force: bool
) -> LiveRecording | None:
    if output is None:
        return None
    try:
        upstream = Backend.parse(url).http_url
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from error
    return OutputOptions(output, force).open(redaction, mode="capture", upstream=upstream)
