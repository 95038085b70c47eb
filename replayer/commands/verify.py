"""`track-replayer verify`: does a live backend still say what a contract says?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from recorder.backend import Backend
from recorder.capture import Capture, CaptureOptions
from recorder.commands.credentials_options import need_credentials, user_file_option
from recorder.commands.live import Beside, LiveOptions
from recorder.commands.values import Duration
from recorder.console import say
from recorder.destination import unfinished_path
from recorder.dial import client_tls
from recorder.errors import ConnectionLost, RecorderError
from recorder.exits import Exit
from recorder.live_recording import LiveRecording
from replayer.commands.contract import answer, report_options
from replayer.contract.checking import check
from replayer.contract.model import load_contract
from replayer.reading.series import SeriesReader
from replayer.verifying import lists_of, visit_recording

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
@report_options
def verify_command(
    contract_file: str,
    url: str,
    user_file: Path | None,
    length_s: float,
    messages: int | None,
    ca_file: Path | None,
    output: str | None,
    force: bool,
    **options: Any,
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
        visit = Capture(
            backend,
            credentials,
            recording.sink,
            CaptureOptions(
                rest=lists, rest_may_refuse=True, duration_s=length_s, messages=messages
            ),
            tls=tls,
        )
        lost = _listen(visit, recording)
        with SeriesReader([path]) as reader:
            report = check(contract, reader.header, reader)
    code = answer(report, contract_file, **options)
    if lost is not None and code is not Exit.DIFFERENT:
        raise lost
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


def _listen(visit: Capture, recording: LiveRecording) -> ConnectionLost | None:
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
