"""A visit to a live backend, recorded to be checked against a contract. It can only read.

What a client sends is recorded before it is sent (:class:`~recorder.tap.TapStream`,
:class:`~recorder.login.TrackHttp`), and what cannot be recorded is not sent. So the recording is
the one door that everything goes through, and :class:`ReadOnlySink` is the guard at it. It lets out
the login, the lists of the contract, the socket, its pongs and its close; anything else is a bug,
and stays here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from recorder.backend import API_PATH, SESSION_PATH, SOCKET_PATH, Backend
from recorder.live_recording import LiveRecording, OutputOptions
from recorder.model import AnyEntry, Body, Bytes, FrameEntry, MessageEntry, Request
from recorder.recording import EntryWriter, Writer
from recorder.redaction.options import RedactionOptions
from recorder.redaction.redactor import Redactor
from recorder.sink import Sink, live_header
from recorder.track.kinds import parse_pong
from recorder.wire.frames import Opcode
from replayer.contract.model import Call, Contract

__all__ = ["ReadOnlySink", "lists_of", "visit_recording"]

_LIST: Final = re.compile(f"GET {API_PATH}/([A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*)")


def lists_of(contract: Contract) -> tuple[str, ...]:
    """What of a contract's REST calls may be asked for again, as paths below ``/api``: each GET
    without a number in its path that answered with a list and did not need a query.
    """
    return tuple(
        found[1]
        for name, call in contract.calls.items()
        if (found := _LIST.fullmatch(name)) is not None and _is_list(call)
    )


def _is_list(call: Call) -> bool:
    answer = call.answers.get("200")
    if answer is None or answer.shape is None or "array" not in answer.shape.types:
        return False
    return all(field.present < call.seen for field in call.query.values())


class ReadOnlySink(Sink):
    """A sink that takes of a client nothing that could change a thing at the backend, so that
    nothing of it is sent.

    ``lists`` are those of :func:`lists_of`. Raises RuntimeError where something else would be sent:
    that is a bug. Else as :class:`~recorder.sink.Sink`, for its caller too.
    """

    def __init__(
        self,
        writer: EntryWriter,
        redactor: Redactor,
        *,
        started_ns: int,
        backend: Backend,
        lists: Iterable[str],
    ) -> None:
        super().__init__(writer, redactor, started_ns=started_ns)
        self._login: Final = ("POST", backend.prefix + SESSION_PATH)
        self._reads: Final = {
            ("GET", backend.prefix + path)
            for path in (SOCKET_PATH, *(f"{API_PATH}/{name}" for name in lists))
        }
        self._login_exchange: int | None = None

    def write(self, entries: Iterable[AnyEntry]) -> None:
        """Let through what may be sent, and all that came."""
        judged = list(entries)
        for entry in judged:
            self._judge(entry)
        super().write(judged)

    def _judge(self, entry: AnyEntry) -> None:
        match entry:
            case Request(method=method, target=target):
                is_login = (method, target) == self._login
                if not is_login and (method, target) not in self._reads:
                    raise _would_have_sent(f"{method} {target}")
                self._login_exchange = entry.exchange if is_login else None
            case Body(sender="client") if entry.exchange != self._login_exchange:
                raise _would_have_sent("a body that is no login")
            case FrameEntry(sender="client") if not _is_harmless(entry):
                raise _would_have_sent(f"a {entry.opcode} message that is no pong")
            case Bytes(sender="client") | MessageEntry(sender="client"):
                raise _would_have_sent("bytes that are no frame")


def _is_harmless(entry: FrameEntry) -> bool:
    frame = entry.frame()
    if frame.is_control:
        return True
    pong = parse_pong(frame.payload) if frame.opcode == Opcode.TEXT and frame.fin else None
    return pong is not None and pong.uuid is not None


def _would_have_sent(what: str) -> RuntimeError:
    return RuntimeError(f"verify only reads, and would have sent {what}")


def visit_recording(path: Path, backend: Backend, lists: Iterable[str]) -> LiveRecording:
    """Begin the recording of a visit at ``path``, without secrets, behind a :class:`ReadOnlySink`.

    The caller closes it. Raises OutputExists and DiskFailed.
    """
    started_ns, started_wall_ns = time.monotonic_ns(), time.time_ns()
    redactor = RedactionOptions("secrets").redactor()
    header = live_header("capture", backend.http_url, redactor, started_wall_ns=started_wall_ns)
    writer = Writer.create(path, header)
    sink = ReadOnlySink(writer, redactor, started_ns=started_ns, backend=backend, lists=lists)
    return LiveRecording(OutputOptions(path), sink, writer)
