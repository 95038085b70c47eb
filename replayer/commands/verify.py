"""`track-replayer verify`: does a live backend still say what a contract says?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import click
import msgspec
import trio

from recorder.backend import Backend
from recorder.capture import CaptureOptions
from recorder.commands.credentials_options import need_credentials, user_file_option
from recorder.commands.live import Beside, LiveOptions
from recorder.commands.values import Duration
from recorder.console import out, say
from recorder.destination import destination, unfinished_path
from recorder.dial import client_tls
from recorder.errors import ConnectionLost, RecorderError
from recorder.exits import Exit
from recorder.live_recording import LiveRecording
from replayer.commands.terminal import make_output_safe
from replayer.contract.checking import SEVERITIES, Report, check
from replayer.contract.comparing import Severity
from replayer.contract.model import load_contract
from replayer.contract.reporting import fails, junit_cases, page
from replayer.junit import junit_xml
from replayer.reading.series import SeriesReader
from replayer.reading.words import json_text
from replayer.verifying import Visit, lists_of, visit_recording

__all__ = ["verify_command"]


@click.command("verify")
@click.argument("contract_file", metavar="CONTRACT")
@click.option(
    "--url", required=True, metavar="URL", help="The backend, as https://track.example.com."
)
@user_file_option
@click.option(
    "--for",
    "length_s",
    type=Duration(),
    default="65s",
    show_default=True,
    help="How long to listen once the socket is open: two PINGs come in 65 s.",
)
@click.option(
    "--messages",
    type=click.IntRange(min=1),
    metavar="N",
    help="Stop after N server messages, PINGs not counted.",
)
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path),
    help="PEM file of certificate authorities to trust.",
)
@click.option(
    "-o", "--output", metavar="REC", help="Keep the recording; *.zst compresses. [default: not]"
)
@click.option("--force", is_flag=True, help="Overwrite REC.")
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    default="additive",
    show_default=True,
    help="The least change that ends with 1.",
)
@click.option("--ranges", is_flag=True, help="Remark also on numbers and sizes outside of theirs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a page.")
@click.option("--junit", metavar="FILE", help="Also write a JUnit file, a case for each place.")
def verify_command(
    contract_file: str,
    url: str,
    user_file: Path | None,
    length_s: float,
    messages: int | None,
    ca_file: Path | None,
    output: str | None,
    force: bool,
    fail_on: str,
    ranges: bool,
    as_json: bool,
    junit: str | None,
) -> int:
    """Whether a live backend says what CONTRACT says, as `contract infer` makes it.

    It logs in, asks for the lists that the contract knows, listens to the socket and answers its
    PINGs. It sends nothing else. Credentials come from --user-file, from TRACK_EMAIL and
    TRACK_PASSWORD, or from a prompt. Ctrl-C ends the listening; what came is checked.

    same (0), drift (1), or undecided (2): too little was seen to tell.
    """
    try:
        backend = Backend.parse(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from error
    contract = load_contract(contract_file)
    credentials = need_credentials(user_file)
    tls = client_tls(ca_file)
    lists = lists_of(contract)
    with _place(output, force=force) as path:
        recording = visit_recording(path, backend, lists)
        visit = Visit(
            backend,
            credentials,
            recording.sink,
            CaptureOptions(rest=lists, duration_s=length_s, messages=messages),
            tls=tls,
        )
        lost = _listen(visit, recording)
        with SeriesReader([path]) as reader:
            report = check(contract, reader.header, reader)
    least = cast(Severity, fail_on)
    code = _exit(report, least)
    if lost is not None and code is not Exit.DIFFERENT:
        raise lost
    if junit is not None:
        with destination(junit, force=True) as file:
            text = junit_xml(f"contract {contract_file}", junit_cases(report, least))
            file.write(text.encode("utf-8"))
    make_output_safe()
    if as_json:
        out(msgspec.json.format(json_text(report), indent=2))
    else:
        for line in page(report, ranges=ranges):
            out(line)
    if lost is not None:
        say(str(lost))
    if code is Exit.DIFFERENT and output is None:
        say("the recording was not kept; -o REC keeps it")
    return code


@contextmanager
def _place(output: str | None, *, force: bool) -> Iterator[Path]:
    """Where to record. What is there in the end gets the name ``output``, however it ended, or is
    gone where there is none."""
    if output is None:
        with tempfile.TemporaryDirectory(prefix="track-verify-") as folder:
            yield Path(folder) / "visit.track.jsonl"
        return
    final, partial_path = unfinished_path(output, force=force)
    try:
        yield partial_path
    finally:
        if partial_path.exists():
            partial_path.replace(final)


def _listen(visit: Visit, recording: LiveRecording) -> ConnectionLost | None:
    """Do the visit and end its recording. Gives the loss that ended it, if one did: what came
    before can be checked. Raises what else it failed by."""
    now_ns = recording.sink.now_ns
    beside = Beside(
        recording,
        LiveOptions(),
        line=lambda: visit.progress.line(now_ns()),
        facts=lambda: visit.progress.facts(now_ns()),
    )
    lost: ConnectionLost | None = None
    try:
        trio.run(partial(beside.run, visit.run, stop=visit.stop))
    except ConnectionLost as error:
        lost = error
    except RecorderError as error:
        recording.close(error)
        raise
    except BaseException:
        recording.abort()
        raise
    recording.close(lost)
    return lost


def _exit(report: Report, fail_on: Severity) -> Exit:
    if any(fails(change, fail_on) for change in report.changes):
        return Exit.DIFFERENT
    return Exit.UNDECIDED if report.verdict == "undecided" else Exit.OK
