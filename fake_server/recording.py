"""What clients did to the fake server, as a recording: every accepted connection passes a tap."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable
from typing import Literal

import trio

from fake_server.connection import MAX_CLIENT_MESSAGE_BYTES
from recorder.connection_observer import ConnectionObserver
from recorder.errors import DiskFailed
from recorder.model import FrameEntry, KnownEntry, Note, Open
from recorder.recording import Writer
from recorder.redaction import Redactor
from recorder.sink import Sink, live_header
from recorder.tap import Direction, TapStream
from recorder.transport import resets_at_close
from recorder.wire.frames import Sender

__all__ = ["ServerRecording"]


class ServerRecording:
    """The recording of a fake server. :meth:`tap` each accepted stream and serve what it returns;
    keep :meth:`run` running beside the server.

    *Resource handling:* the caller ends it, after the server, with :meth:`close`, or with
    :meth:`abort` after a failure. *Error handling:* what cannot be recorded does not happen: once
    the disk failed, every tapped stream raises trio.BrokenResourceError, :meth:`run` raises
    DiskFailed, and so does :meth:`close`.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._connections = itertools.count(1)
        self._exchanges = itertools.count(1)
        self._open: set[_Tapped] = set()
        self._running = trio.CancelScope()
        self._failure: DiskFailed | None = None
        self._stopping = False
        self._closed = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        force: bool = False,
        upstream_url: str | None = None,
        redact: Literal["secrets", "none"] = "secrets",
        passwords: Iterable[str] = (),
        clock: Callable[[], int] = time.monotonic_ns,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> ServerRecording:
        """Make the file, with a header of the mode ``fake``. ``upstream_url`` is the server's own.

        ``passwords`` are masked wherever they stand, not only where a password is expected.
        ``clock`` gives monotonic nanoseconds, ``wall_clock`` those since 1970. Raises OutputExists
        if there is such a file and not ``force``; DiskFailed if it cannot be written to.
        """
        redactor = Redactor(redact)
        for password in passwords:
            redactor.learn("password", password)
        started_ns, started_wall_ns = clock(), wall_clock()
        header = live_header("fake", upstream_url, redactor, started_wall_ns=started_wall_ns)
        writer = Writer.create(path, header, force=force, clock=clock)
        return cls(
            Sink(writer, redactor, started_ns=started_ns, clock=clock, wall_clock=wall_clock)
        )

    @property
    def entries(self) -> int:
        """How many entries were written so far."""
        return self._sink.entries

    def tap(
        self, stream: trio.abc.Stream, peer: str | None = None, *, tls: str | None = None
    ) -> trio.abc.Stream:
        """A connection was accepted: returns the stream to serve in place of ``stream``.

        ``peer`` is the client's address, ``tls`` the version of TLS, as the recording shall show
        them. Closing what is returned closes ``stream``; it can be half-closed if ``stream`` can.
        """
        connection = next(self._connections)
        opened = Open(
            connection=connection, leg="client", peer=peer, tls=tls, offset_ns=self.now_ns()
        )
        self.write([opened])
        observer = ConnectionObserver(
            connection,
            self._exchanges.__next__,
            # The server refuses a longer one by its head, and so need not hold it either.
            max_client_frame_bytes=MAX_CLIENT_MESSAGE_BYTES,
        )
        half_closeable = isinstance(stream, trio.abc.HalfCloseableStream)
        tapped = (_HalfCloseableTapped if half_closeable else _Tapped)(stream, observer, self)
        self._open.add(tapped)
        return tapped

    async def run(self) -> None:
        """Keep the recording durable until cancelled. Raises DiskFailed once writing failed."""
        with self._running:
            await self._sink.run()
        assert self._failure is not None
        raise self._failure

    def note(self, text: str) -> None:
        """Record free text, now. A disk that fails is told by :meth:`run` or :meth:`close`."""
        self.write([Note(offset_ns=self.now_ns(), text=text)])

    def flush(self) -> None:
        """Let readers of the file see what was recorded so far. Raises DiskFailed."""
        self._sink.flush()

    def stopping(self) -> None:
        """The server is being stopped: connections that it ends from now on are ``stopped``."""
        self._stopping = True

    def close(self) -> None:
        """End the recording: connections that are still open are ``stopped``, and what passes
        their taps from now on is not recorded. Raises DiskFailed if writing failed at any time.
        """
        if self._closed:
            return
        self.stopping()
        for tapped in list(self._open):
            tapped.end()
        self._closed = True
        if self._failure is None:
            try:
                self._sink.close()
            except DiskFailed as error:
                self._failure = error
        if self._failure is not None:
            self._sink.abort()
            raise self._failure

    def abort(self) -> None:
        """End it after a failure, without an ``end``. Raises nothing."""
        if not self._closed:
            self._closed = True
            self._sink.abort()

    # For the taps

    def now_ns(self) -> int:
        """The ``offset_ns`` of this moment."""
        return self._sink.now_ns()

    def write(self, entries: Iterable[KnownEntry]) -> bool:
        """Record entries; False if that failed, which :meth:`run` raises."""
        if self._closed:
            return True
        if self._failure is None:
            try:
                self._sink.write(entries)
            except DiskFailed as error:
                self._failure = error
                self._running.cancel()
        return self._failure is None

    def ended(self, tapped: _Tapped) -> Literal["eof", "stopped"]:
        """A tapped connection was ended by the server; how."""
        self._open.discard(tapped)
        return "stopped" if self._stopping else "eof"


class _Tapped(trio.abc.Stream):
    """One accepted connection, recorded as it passes."""

    def __init__(
        self, stream: trio.abc.Stream, observer: ConnectionObserver, recording: ServerRecording
    ) -> None:
        self.wrapped = stream
        """The stream underneath, for who needs its socket."""
        self._tap = TapStream(stream, self._on_chunk)
        self._observer = observer
        self._recording = recording
        self._first_to_end: Sender | None = None
        self._close_frame: FrameEntry | None = None
        self._resets = False
        self._ended = False

    def _on_chunk(self, direction: Direction, data: bytes) -> None:
        if self._ended:
            return
        sender: Sender = "client" if direction == "received" else "server"
        if not data and self._first_to_end is None:
            self._first_to_end = sender
        entries = self._observer.received(sender, data, self._recording.now_ns())
        for entry in entries:
            if self._close_frame is None and isinstance(entry, FrameEntry):
                self._close_frame = entry if entry.opcode == "close" else None
        if not self._recording.write(entries):
            raise trio.BrokenResourceError("the recording failed, and with it the connection")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._tap.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._tap.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self._tap.receive_some(max_bytes)

    async def aclose(self) -> None:
        self._resets = self._resets or resets_at_close(self.wrapped)
        try:
            await self._tap.aclose()
        finally:
            self.end()

    def end(self) -> None:
        """Record how the connection ended, once."""
        if self._ended:
            return
        self._ended = True
        how: Literal["eof", "reset", "stopped"] = self._recording.ended(self)
        by: Sender = "server"
        if self._resets:
            how = "reset"
        elif self._tap.broken:
            by, how = "client", "reset"
        elif self._first_to_end == "client":
            by, how = "client", "eof"
        self._recording.write(
            self._observer.closed(by, how, self._recording.now_ns(), self._detail())
        )

    def _detail(self) -> str:
        """The first close frame, in words."""
        if self._close_frame is None:
            return ""
        code, reason = self._close_frame.code, self._close_frame.reason or ""
        return "close no code" if code is None else f"close {code} {reason}".rstrip()


class _HalfCloseableTapped(_Tapped, trio.abc.HalfCloseableStream):
    async def send_eof(self) -> None:
        await self._tap.send_eof()
