"""A client session becomes a recording: login, REST snapshots, the socket, every PING answered
(manual sections 2 to 4); and again, where the socket is lost and the capture is to go on.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, Literal

import h11
import httpx
import msgspec
import trio

from recorder.backend import API_PATH, Backend
from recorder.credentials import Credentials
from recorder.dial import open_stream
from recorder.errors import (
    ConnectionLost,
    HandshakeRefused,
    LoginRefused,
    RecorderError,
    Unreachable,
)
from recorder.login import Exchanges, TrackHttp
from recorder.model import Note, Open
from recorder.observer import SocketObserver
from recorder.progress import Progress
from recorder.reconnect import Failure, Gap, Gaps, GiveUp, Reconnect, Wait, retry_after_s
from recorder.sink import Sink
from recorder.socket_client import SocketClient
from recorder.tap import TapStream
from recorder.tapped_socket import TappedSocket
from recorder.wire.frames import Frame
from recorder.wire.handshake import header_value

__all__ = ["REST_SNAPSHOTS", "Capture", "CaptureOptions", "Outcome"]

REST_SNAPSHOTS: Final = ("devices", "beacons", "positions")
"""The lists that may be asked for before the socket opens (manual sections 4.2 to 4.5)."""

_Why = Literal["told to stop", "duration reached", "messages reached", "closed by the server"]
_OF_THE_NETWORK: Final = (ConnectionLost, HandshakeRefused, LoginRefused, Unreachable)


class CaptureOptions(msgspec.Struct, frozen=True):
    """What to record and when to stop; None means until told."""

    rest: tuple[str, ...] = ()
    """Asked for before each socket: what changed in a gap is only known from them."""
    rest_may_refuse: bool = False
    """Whether an answer but 200 to one of them is recorded as any; else it ends the attempt."""
    duration_s: float | None = None
    """Counted from the first opening on, gaps included."""
    messages: int | None = None
    """Server messages after which to stop; PINGs are not counted."""
    reconnect: Reconnect | None = None
    """How to open a lost socket again; None: a loss ends the capture.

    The first socket is never waited for, and a close with 1000 is no loss: the server says that it
    is done (RFC 6455 section 7.4.1).
    """


class Outcome(msgspec.Struct, frozen=True):
    """How a capture ended in order."""

    why: _Why
    detail: str = ""


class _Attempt:
    """What is known of one way to a socket, and of the socket: the parts of a Failure."""

    def __init__(self) -> None:
        self.at: Literal["login", "rest", "connect", "upgrade", "socket"] = "login"
        self.why = ""
        self.status: int | None = None
        self.retry_after: str | None = None
        self.logged_in = False
        self.opened_ns: int | None = None

    def answered(self, status: int, retry_after: str | None) -> None:
        self.status = status
        self.retry_after = retry_after

    def failure(self, error: RecorderError, now_ns: int) -> Failure:
        return Failure(
            why=self.why or str(error),
            at=self.at,
            status=self.status,
            retry_after_s=retry_after_s(self.retry_after, datetime.now(UTC)),
            lived_s=0.0 if self.opened_ns is None else (now_ns - self.opened_ns) / 1e9,
            logged_in=self.logged_in,
        )


class Capture:
    """One capture. :meth:`run` once; ``progress`` may be read at any time; ``stop()`` ends it.

    ``tell`` is told of each loss, failed attempt and gap: a kind (``gap`` or ``problem``), words,
    and facts as keywords. ``chance`` gives numbers from 0 up to 1 for the delays.

    *Error handling:* what ``run`` raises is one RecorderError, never a group: LoginRefused,
    HandshakeRefused, Unreachable, ConnectionLost, DiskFailed. *Resource handling:* the sink stays
    open in any case and is the caller's to close.
    """

    def __init__(
        self,
        backend: Backend,
        credentials: Credentials,
        sink: Sink,
        options: CaptureOptions | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        numbers: Exchanges | None = None,
        tell: Callable[..., None] = lambda kind, text, **facts: None,
        on_open: Callable[[], None] = lambda: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.progress = Progress()
        self._backend = backend
        self._credentials = credentials
        self._sink = sink
        self._options = options or CaptureOptions()
        self._tls = tls or ssl.create_default_context()
        self._numbers = numbers or Exchanges()
        self._tell = tell
        self._on_open = on_open
        self._gaps = Gaps(self._options.reconnect or Reconnect(), chance)
        self._attempt = _Attempt()
        self._failed_before = ""
        self._cookies: httpx.Cookies | None = None
        self._session_ends_ns: float = float("inf")
        self._session_used_ns = 0
        self._stop_asked = trio.Event()
        self._stopped_by_us: _Why | None = None
        self._interruptible = trio.CancelScope()
        self._deadline = float("inf")

    def stop(self) -> None:
        """End the capture in order: a close frame, the rest of the bytes, the return of ``run``."""
        self._stop("told to stop")

    def _stop(self, why: _Why) -> None:
        if self._stopped_by_us is None:
            self._stopped_by_us = why
            self._stop_asked.set()
            self._interruptible.cancel()

    def _on_message(self) -> None:
        if self.progress.messages == self._options.messages:
            self._stop("messages reached")

    @contextmanager
    def _until_stopped(self) -> Iterator[None]:
        """Leave the block at once when it is time to stop."""
        with trio.CancelScope(deadline=self._deadline) as self._interruptible:
            if self._stopped_by_us is not None:
                self._interruptible.cancel()
            yield
        if self._interruptible.cancelled_caught:
            self._stop("duration reached")

    async def _time_to_stop(self) -> None:
        with self._until_stopped():
            await trio.sleep_forever()

    async def run(self) -> Outcome:
        """Log in, take the snapshots, record the socket; again after each loss, until the end."""
        try:
            while True:
                try:
                    return await self._session()
                except _OF_THE_NETWORK as error:
                    if not await self._is_to_go_on(error):
                        raise
                if self._stopped_by_us is not None:
                    return Outcome(self._stopped_by_us)
        finally:
            self._end_gap(self._gaps.ended(self._sink.now_ns()))

    async def _is_to_go_on(self, error: RecorderError) -> bool:
        """Wait for the next attempt, if there is to be one."""
        if self._options.reconnect is None or self.progress.opened_ns is None:
            return False
        now_ns = self._sink.now_ns()
        failure = self._attempt.failure(error, now_ns)
        verdict = self._gaps.failed(failure, now_ns)
        self._note_failure(failure, verdict, now_ns)
        if isinstance(verdict, GiveUp):
            if verdict.because == "refused":
                return False
            raise ConnectionLost(
                f"{self._backend.socket_url}: there was no socket for"
                f" {self._options.reconnect.max_gap_s:g} s; at last: {error}"
            ) from error
        if verdict.log_in or now_ns >= self._session_ends_ns:
            self._cookies = None
        self.progress.stage = "waiting to reconnect"
        self.progress.next_attempt_ns = now_ns + round(verdict.delay_s * 1e9)
        with self._until_stopped():
            await trio.sleep(verdict.delay_s)
        self.progress.next_attempt_ns = None
        return True

    def _note_failure(self, failure: Failure, verdict: Wait | GiveUp, now_ns: int) -> None:
        """Tell of a loss, or of an attempt that came to nothing; note the latter where it left
        nothing else in the recording.
        """
        then = f"; next attempt in {verdict.delay_s:.0f} s" if isinstance(verdict, Wait) else ""
        if failure.at == "socket":
            self.progress.lost_ns = now_ns
            self._tell("gap", f"the socket was lost: {failure.why}{then}", open=True)
            return
        self.progress.attempts = self._gaps.attempts
        why = f"reconnecting failed: {failure.why}"
        if why != self._failed_before:
            self._failed_before = why
            self._sink.write([Note(text=why, offset_ns=now_ns)])
        self._tell("problem", f"{why}{then}")

    def _end_gap(self, gap: Gap | None) -> None:
        if gap is None:
            return
        self.progress.count_gap(gap.until_ns - gap.since_ns)
        self._failed_before = ""
        self._sink.write([Note(text=str(gap), offset_ns=gap.until_ns)])
        self._tell("gap", str(gap), open=False, seconds=gap.seconds, attempts=gap.attempts)

    async def _session(self) -> Outcome:
        """One way to a socket, and the socket until its end."""
        self._attempt = _Attempt()
        connected: tuple[str, trio.abc.Stream, str | None] | None = None
        with self._until_stopped():
            cookie = await self._log_in()
            self._attempt.at = "connect"
            self.progress.stage = "connecting"
            connected = (cookie, *await open_stream(self._backend, self._tls))
        if connected is None:
            assert self._stopped_by_us is not None
            return Outcome(self._stopped_by_us)
        return await self._record(*connected)

    async def _log_in(self) -> str:
        """The Cookie header of a session, the old one where it goes on; the snapshots are taken
        with it.
        """
        attempt = self._attempt
        async with TrackHttp(
            self._backend, self._sink, self._numbers, tls=self._tls, cookies=self._cookies
        ) as http:
            try:
                if self._cookies is None:
                    self.progress.stage = "logging in"
                    attempt.logged_in = True
                    await http.login(self._credentials)
                    self._session_used_ns = self._sink.now_ns()
                attempt.at = "rest"
                for name in self._options.rest:
                    await self._snapshot(http, name)
                    self._session_used_ns = self._sink.now_ns()
            finally:
                if http.latest is not None:
                    headers = http.latest.headers
                    attempt.answered(http.latest.status_code, headers.get("retry-after"))
            self._cookies = http.cookies
            cookie = http.cookie_header()
            assert cookie is not None
            return cookie

    async def _snapshot(self, http: TrackHttp, name: str) -> None:
        self.progress.stage = f"asking for {name}"
        response, _ = await http.get(f"{API_PATH}/{name}")
        if response.status_code != 200 and not self._options.rest_may_refuse:
            shown = self._sink.redactor.text(response.reason_phrase)
            why = f"{API_PATH}/{name} answered {response.status_code} {shown}".rstrip()
            self._attempt.why = why
            raise ConnectionLost(
                f"{self._backend.http_url}{why} although logged in; leave it out of --rest"
            )

    async def _record(
        self, cookie: str, stream: trio.abc.Stream, tls_version: str | None
    ) -> Outcome:
        attempt = self._attempt
        attempt.at, attempt.status, attempt.retry_after = "upgrade", None, None
        self.progress.stage = "upgrading"
        connection = self._numbers.connection()
        opened = Open(
            connection=connection,
            leg="upstream",
            url=self._backend.socket_url,
            tls=tls_version,
            offset_ns=self._sink.now_ns(),
        )
        self._sink.write([opened])
        socket = TappedSocket(
            SocketObserver(connection=connection, exchange=self._numbers.exchange()),
            self._sink,
            self.progress,
            on_message=self._on_message,
        )
        tap = TapStream(stream, socket.on_chunk)
        client = SocketClient(
            self._backend,
            tap,
            socket,
            cookie=cookie,
            until_stop=self._time_to_stop,
            until_silent=self._options.reconnect is not None,
        )
        failure = await client.run(on_open=self._opened, on_closing=self._closing)
        self._write_closed(socket, tap)
        self.progress.pings_cut_off += socket.unanswered
        if socket.session_timeout_s is not None:
            self._session_ends_ns = self._session_used_ns + socket.session_timeout_s * 1e9
        if socket.observer.response is not None:
            head = socket.observer.response
            attempt.answered(head.status, header_value(head.headers, "Retry-After"))
        return self._outcome(socket, tap, failure)

    def _opened(self) -> None:
        now_ns = self._sink.now_ns()
        self._attempt.at = "socket"
        self._attempt.opened_ns = now_ns
        self.progress.stage = "recording"
        if self.progress.opened_ns is None:
            self.progress.opened_ns = now_ns
            if self._options.duration_s is not None:
                self._deadline = trio.current_time() + self._options.duration_s
            self._on_open()
        self._end_gap(self._gaps.opened(now_ns))

    def _closing(self) -> None:
        self.progress.stage = "closing"

    def _write_closed(self, socket: TappedSocket, tap: TapStream) -> None:
        """Say how the connection ended: by whom first, as far as the bytes tell."""
        close = socket.close_of("server")
        by_server = self._stopped_by_us is None and (
            close is not None or tap.broken or socket.ended.is_set()
        )
        by_us: Literal["timeout", "stopped"] = "timeout" if socket.silent else "stopped"
        self._sink.write(
            socket.observer.closed(
                "server" if by_server else "recorder",
                ("reset" if tap.broken else "eof") if by_server else by_us,
                self._sink.now_ns(),
                f"close {_said(close)}" if close else "",
            )
        )

    def _outcome(self, socket: TappedSocket, tap: TapStream, failure: Exception | None) -> Outcome:
        url = self._backend.socket_url
        if self._stopped_by_us is not None:
            return Outcome(self._stopped_by_us)
        shown = self._sink.redactor.text
        problem = socket.handshake_problem()
        silent = isinstance(failure, HandshakeRefused) and socket.observer.response is None
        if silent or (problem is None and isinstance(failure, h11.ProtocolError)):
            problem = f"the handshake failed: {failure}"
        if problem is not None:
            self._attempt.why = shown(problem)
            raise HandshakeRefused(f"{url}: {shown(problem)}") from failure
        close = socket.close_of("server")
        if close is not None and socket.ended_in_order:
            return Outcome("closed by the server", shown(close.close_reason))
        if socket.problem is not None:
            how = f"the server broke the protocol: {socket.problem}"
        elif close is not None:
            how = f"the server closed it with {_said(close)}"
        elif socket.silent:
            how = "nothing came any more, and three PINGs were due"
        else:
            how = "it was reset" if tap.broken else "the server ended it without a close frame"
        self._attempt.why = shown(how)
        seconds = (self._sink.now_ns() - (self._attempt.opened_ns or 0)) / 1e9
        raise ConnectionLost(
            f"{url}: the socket was lost after {seconds:.1f} s: {shown(how)};"
            " what came before is recorded"
        ) from failure


def _said(close: Frame) -> str:
    """Code and reason of a close frame, in words."""
    if close.close_code is None:
        return "no code"
    return f"{close.close_code} {close.close_reason}".rstrip()
