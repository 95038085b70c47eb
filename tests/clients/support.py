"""The proxy as a process, and what its recording must hold whoever the client was."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import quote, quote_plus

from recorder.model import (
    Body,
    Bytes,
    Closed,
    End,
    FrameEntry,
    Note,
    Open,
    Request,
    Response,
    UnknownEntry,
)
from recorder.recording import Reader
from recorder.wire.frames import Frame, FrameParser, Sender
from recorder.wire.handshake import header_value
from recorder.wire.messages import Message, MessageAssembler
from tests.processes import clean_environment
from tests.programs import BIN

EMAIL = "account@yourdomain.de"
PASSWORD = "9ejK&JJAYKw=3VCWev"
FORM = f"email={quote_plus(EMAIL)}&password={quote_plus(PASSWORD)}"

_E = TypeVar("_E")


class Proxy:
    """A running `track-recorder proxy`. What it printed is there once it has ended."""

    def __init__(self, process: subprocess.Popen[str], url: str, path: Path) -> None:
        self.process = process
        self.url = url
        self.authority = url.partition("://")[2]
        self.port = int(url.rpartition(":")[2])
        self.path = path
        self.output = ""
        self.errors = ""


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 20) -> None:
    """Wait for what other processes do; fails the test after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"in vain for {timeout_s} s"
        time.sleep(0.01)


@contextlib.contextmanager
def proxy(upstream: str, folder: Path, *options: object) -> Iterator[Proxy]:
    """The proxy before ``upstream``, on a free port. Once it has seen all its clients leave, it is
    ended by SIGINT, in order.
    """
    path = folder / "proxied.track.jsonl"
    command = [BIN / "track-recorder", "proxy", "--upstream", upstream, "-o", path]
    process = subprocess.Popen(
        [*map(str, command), "--listen", "127.0.0.1:0", *map(str, options)],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        url, arrow, to = process.stdout.readline().rstrip("\n").partition(" -> ")
        assert arrow, process.communicate(timeout=20)[1]
        assert to == upstream
        listening = _sockets(process)
        running = Proxy(process, url, path)
        yield running
        wait_until(lambda: _sockets(process) == listening)
    finally:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    running.output, running.errors = output, errors
    assert "Traceback" not in errors, errors
    assert process.returncode == 0, errors


def _sockets(process: subprocess.Popen[str]) -> int:
    """How many sockets a process has. The recording does not tell: it is written with a delay."""
    folder = f"/proc/{process.pid}/fd"
    count = 0
    for descriptor in os.listdir(folder):
        # One that was listed may be closed by now.
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(f"{folder}/{descriptor}").startswith("socket:")
    return count


class Exchange(NamedTuple):
    """One request and its answer: on the client's leg as the client knows them, and as they went
    to (``sent``) and came from (``came``) the upstream.
    """

    connection: int
    request: Request
    sent: Request | None
    came: Response | None
    response: Response | None
    interim: list[int]
    request_body: bytes
    response_body: bytes

    def request_header(self, name: str) -> tuple[str | None, str | None]:
        """A field as the client sent it, and as the upstream got it."""
        assert self.sent is not None
        return header_value(self.request.headers, name), header_value(self.sent.headers, name)

    def response_header(self, name: str) -> tuple[str | None, str | None]:
        """A field as the upstream sent it, and as the client got it."""
        assert self.came is not None
        assert self.response is not None
        return header_value(self.came.headers, name), header_value(self.response.headers, name)


class Recorded:
    """A proxy's recording, read and checked: it is whole, its legs are paired, its frames can be
    rebuilt as they stood on the wire, and none of ``secrets`` is in it.
    """

    def __init__(self, path: Path, *secrets: str) -> None:
        _check_no_secret(path.read_bytes(), (PASSWORD, EMAIL, *secrets))
        with Reader(path) as reader:
            self.header = reader.header
            self.entries = list(reader)
            assert reader.complete
        assert self.header.mode == "proxy"
        assert not self.of(UnknownEntry)
        opened = {entry.connection: entry for entry in self.of(Open)}
        self.clients = {number: one for number, one in opened.items() if one.leg == "client"}
        self.upstream_of = {
            one.paired_with: one for one in opened.values() if one.leg == "upstream"
        }
        assert len(self.clients) + len(self.upstream_of) == len(opened)
        assert self.upstream_of.keys() <= self.clients.keys()
        assert {entry.connection for entry in self.of(Closed)} == opened.keys()
        self._check_upstream_has_heads_only()
        self.exchanges = self._exchanges()
        for entry in self.of(FrameEntry):
            frame = entry.frame()
            assert not frame.check(entry.sender)
            if not entry.redacted:
                assert FrameParser().feed(frame.serialize()) == [frame]

    def of(self, kind: type[_E]) -> list[_E]:
        """The entries of a kind."""
        return [entry for entry in self.entries if isinstance(entry, kind)]

    @property
    def notes(self) -> list[str]:
        return [note.text for note in self.of(Note)]

    @property
    def redacted(self) -> dict[str, int]:
        """How often each rule took something out."""
        [end] = self.of(End)
        return end.redaction

    def sockets(self) -> list[int]:
        """The client's connections that became sockets."""
        return [
            one.connection
            for one in self.exchanges
            if one.response is not None and one.response.status == 101
        ]

    def frames(self, sender: Sender, connection: int | None = None) -> list[Frame]:
        """What ``sender`` sent on its socket, the only one unless ``connection`` names it."""
        if connection is None:
            [connection] = self.sockets()
        return [
            entry.frame()
            for entry in self.of(FrameEntry)
            if entry.sender == sender and entry.connection == connection
        ]

    def messages(self, sender: Sender, connection: int | None = None) -> list[str | bytes]:
        """The data messages of one direction."""
        assembler = MessageAssembler()
        found: list[str | bytes] = []
        for frame in self.frames(sender, connection):
            for message in assembler.feed(frame):
                assert isinstance(message, Message), message
                found.append(message.payload.decode() if message.is_text else message.payload)
        return found

    def closed(self, connection: int) -> Closed:
        """How a client's connection ended; the upstream's ended the same way."""
        ends = {entry.connection: entry for entry in self.of(Closed)}
        end = ends[connection]
        if connection in self.upstream_of:
            other = ends[self.upstream_of[connection].connection]
            assert (other.by, other.how, other.detail) == (end.by, end.how, end.detail)
        return end

    def exchange(self, target: str, method: str = "GET") -> Exchange:
        """The only exchange of that target and method."""
        [found] = [
            one
            for one in self.exchanges
            if one.request.target == target and one.request.method == method
        ]
        return found

    def _check_upstream_has_heads_only(self) -> None:
        upstream = {one.connection for one in self.upstream_of.values()}
        for entry in self.entries:
            if isinstance(entry, Body | FrameEntry | Bytes):
                assert entry.connection not in upstream

    def _exchanges(self) -> list[Exchange]:
        exchanges = []
        for request in self.of(Request):
            if request.connection not in self.clients:
                continue
            connection, number = request.connection, request.exchange
            upstream = self.upstream_of.get(connection)
            responses = [one for one in self.of(Response) if one.exchange == number]
            ours = [one for one in responses if one.connection == connection]
            theirs = [one for one in responses if one.connection != connection]
            sent = [
                one
                for one in self.of(Request)
                if one.exchange == number and one.connection != connection
            ]
            if upstream is not None:
                assert {one.connection for one in sent} == {upstream.connection}
                assert {one.connection for one in theirs} <= {upstream.connection}
                assert [one.status for one in theirs] == [one.status for one in ours]
            bodies: dict[str, bytes] = {"client": b"", "server": b""}
            for body in self.of(Body):
                if body.exchange == number:
                    assert body.connection == connection
                    bodies[body.sender] += body.data
            exchanges.append(
                Exchange(
                    connection,
                    request,
                    sent[0] if sent else None,
                    theirs[-1] if theirs else None,
                    ours[-1] if ours else None,
                    [one.status for one in ours[:-1]],
                    bodies["client"],
                    bodies["server"],
                )
            )
        return exchanges


def _check_no_secret(recording: bytes, secrets: tuple[str, ...]) -> None:
    basic = base64.b64encode(f"{EMAIL}:{PASSWORD}".encode()).decode()
    for secret in (basic, *secrets):
        for spelling in (secret, quote(secret), quote_plus(secret)):
            # The secret itself stays out of the message of a failure.
            assert spelling.encode() not in recording, f"a secret of {len(secret)} characters"
