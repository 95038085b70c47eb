"""All sockets of the server: their heartbeats and timers, and playback to one or to all.

One task keeps the time of every socket, so that an idle socket costs no timer of its own.
"""

from __future__ import annotations

import heapq
import itertools
import math
import weakref
from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeAlias

import msgspec
import trio

from fake_server.connection import Socket, View, now_ns, timeout_message
from fake_server.violation_log import ViolationLog
from recorder.track.kinds import ping_uuids
from recorder.track.rules import Rules
from recorder.track.sessions import Session, Sessions
from recorder.wire.frames import CloseCode, Frame, Opcode, close_frame
from replayer.player import play
from replayer.script import Source
from replayer.state import State
from replayer.timeline import Cue, CueKind, at_speed, looped, without

__all__ = ["Hub", "Playback"]

_MAX_SESSION_VIEWS: Final = 4096
"""Of so many sessions the state is kept that REST shows after their sockets closed."""

_PONG_GRACE_NS: Final = 10_000_000
"""So long a server waits past the due moment for a pong that was in time, to read it."""

_END_OF_RECORDING: Final = close_frame(CloseCode.NORMAL, "end of the recording").serialize()


_Timer: TypeAlias = tuple[int, int, "weakref.ReferenceType[Socket]", Callable[[Socket], None]]
"""When it is due, a number that keeps the order, whose it is, what is to be done."""


class Playback(msgspec.Struct, frozen=True):
    """How a source is played.

    ``mode``: each socket plays the next recorded socket from its start (``per-connection``), or all
    sockets hear one playback of all recorded sockets merged by time (``shared``). ``speed``: a
    factor; infinity makes everything due at once. ``at_end``: ``close`` as recorded, ``hold`` the
    socket open, or ``loop``. ``pings``: ``live`` leaves recorded PINGs out and sends fresh ones;
    ``recorded`` sends the recorded ones and enforces their uuids. ``start``: what begins shared
    playback, the first login or the server's start.
    """

    mode: Literal["per-connection", "shared"] = "per-connection"
    speed: float = 1.0
    at_end: Literal["close", "hold", "loop"] = "hold"
    pings: Literal["live", "recorded"] = "live"
    start: Literal["login", "now"] = "login"


class Hub:
    """The open sockets. :meth:`run` in the server's nursery; :meth:`serve` for each socket after
    its handshake.
    """

    def __init__(
        self,
        source: Source,
        *,
        rules: Rules,
        playback: Playback,
        sessions: Sessions,
        violations: ViolationLog,
    ) -> None:
        self.sockets: list[Socket] = []
        self.accepted = 0
        self._source = source
        self._rules = rules
        self._playback = playback
        self._sessions = sessions
        self._violations = violations
        self._views: dict[str, View] = {}
        self._shared = _SharedPlayback(source) if playback.mode == "shared" else None
        # Where all is due at once, the clock cannot run before somebody listens, or nobody would
        # see any of it.
        self._paced = source.timed and playback.speed != math.inf
        # Weak, so that a closed socket is not kept until its timers are due.
        self._timers: list[_Timer] = []
        self._timer_numbers = itertools.count()
        self._timer_added = trio.Event()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep time and play to all, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._keep_time)
            if self._shared is not None:
                nursery.start_soon(self._play_to_all, self._shared)
                if self._playback.start == "now" and self._paced:
                    self._shared.begin()
            task_status.started()

    def on_login(self) -> None:
        """Somebody logged in: shared playback begins, if it was waiting for that."""
        if self._shared is not None and self._paced:
            self._shared.begin()

    def state_for(self, session: Session) -> State:
        """What REST shows to a session.

        In per-connection playback the state of its furthest socket, kept after that closed; in
        shared playback the server's; before anything was played, the opening state.
        """
        if self._shared is not None:
            return self._shared.shown
        view = self._views.get(session.id)
        return self._source.opening if view is None else view.state

    async def serve(self, stream: trio.abc.Stream, session: Session, early: bytes) -> None:
        """Play to one client until its socket ends. ``early`` is what it sent behind its handshake
        already.
        """
        number = self.accepted
        self.accepted += 1
        socket = Socket(
            stream,
            number=number + 1,
            session=session,
            rules=self._rules,
            violations=self._violations,
            view=View(self._source.opening.copy() if self._shared is None else self._shared.shown),
        )
        self.sockets.append(socket)
        self._begin_timers(socket)
        if self._rules.session_timeout_shown == "open" and not self._plays_timeout(number):
            socket.offer(timeout_message(self._rules))
        try:
            async with trio.open_nursery() as nursery:
                if self._shared is None:
                    nursery.start_soon(self._play_to_one, socket, number)
                else:
                    for payload in self._shared.played.messages():
                        socket.offer(Frame.make(Opcode.TEXT, payload).serialize())
                    self._shared.begin()
                    if self._shared.closed:
                        self._close_soon(socket, _END_OF_RECORDING)
                await socket.run(early)
                nursery.cancel_scope.cancel()
        finally:
            self.sockets.remove(socket)

    async def close_all(self, frame: bytes) -> None:
        """Close every socket with this close frame; each has a moment to answer it."""
        async with trio.open_nursery() as nursery:
            for socket in self.sockets:
                nursery.start_soon(socket.close, frame)

    # Playback

    def _script_of(self, number: int) -> int:
        """The k-th socket plays the k-th recorded one; when there are no more, the last again."""
        return min(number, self._source.sockets - 1)

    def _plays_timeout(self, number: int) -> bool:
        """Whether what this socket is played shows a recorded ``webSessionTimeout``, which stands
        for the live one.

        It is shown once, so not by a loop; and at the opening of a socket, which nothing in shared
        playback is.
        """
        return (
            self._shared is None
            and self._playback.at_end != "loop"
            and self._rules.session_timeout_shown == "open"
            and self._source.shows_timeout(self._script_of(number))
        )

    def _cues(
        self, cues: Callable[[], Iterable[Cue]], *, with_timeout: bool, with_close: bool
    ) -> Iterable[Cue]:
        left_out: set[CueKind] = set()
        if self._playback.pings == "live":
            left_out.add("ping")
        if not with_timeout:
            left_out.add("timeout")
        if not with_close:
            left_out.add("close")
        if self._playback.at_end != "close":
            # What comes behind, a PING at least, would be read as the rest of it.
            left_out.add("torn")
        kinds = frozenset(left_out)
        looping = self._playback.at_end == "loop"
        stream = looped(cues, kinds) if looping else without(cues(), kinds)
        return at_speed(stream, self._playback.speed)

    async def _play_to_one(self, socket: Socket, number: int) -> None:
        async def perform(cue: Cue) -> None:
            if cue.kind == "close":
                await socket.close(cue.data)
                return
            self._note_pings(socket, cue)
            await socket.send(cue.data)
            self._played(socket, cue)

        cues = self._cues(
            lambda: self._source.cues(self._script_of(number)),
            with_timeout=self._plays_timeout(number),
            with_close=self._playback.at_end == "close",
        )
        try:
            await play(cues, perform)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        if self._playback.at_end == "close":
            await socket.close(_END_OF_RECORDING)

    def _played(self, socket: Socket, cue: Cue) -> None:
        view = socket.view
        view.played += 1
        if cue.message is not None and cue.text:
            view.state.apply(cue.message)
        furthest = self._views.get(socket.session.id)
        if furthest is not view and (furthest is None or view.played > furthest.played):
            self._views[socket.session.id] = view
            if len(self._views) > _MAX_SESSION_VIEWS:
                del self._views[next(iter(self._views))]

    async def _play_to_all(self, shared: _SharedPlayback) -> None:
        async def perform(cue: Cue) -> None:
            shared.fold(cue)
            for socket in self.sockets:
                self._note_pings(socket, cue)
                socket.offer(cue.data)
            if not self._paced:
                # Nothing but the readers' pace holds this playback up.
                for socket in list(self.sockets):
                    await socket.keep_up()
            # Cues that are due at once must not keep others from running.
            await trio.lowlevel.checkpoint()

        await shared.begun.wait()
        cues = self._cues(self._source.all_cues, with_timeout=False, with_close=False)
        await play(cues, perform, begun_s=shared.begun_s)
        if self._playback.at_end == "close":
            shared.closed = True
            for socket in self.sockets:
                self._close_soon(socket, _END_OF_RECORDING)

    def _note_pings(self, socket: Socket, cue: Cue) -> None:
        """Of a recorded PING that goes out the uuid is what the client must answer now.

        With live PINGs only those go out that stand in one message with something else.
        """
        uuids = ping_uuids(cue.message) if cue.message is not None and cue.text else []
        at_ns = now_ns()
        for uuid in uuids:
            self._violations.report(socket.heartbeat.ping_sent(uuid, at_ns))
        if uuids:
            due_ns = at_ns + self._rules.ping_interval_ns + _PONG_GRACE_NS
            self._at(due_ns, socket, self._check_recorded)

    def _close_soon(self, socket: Socket, frame: bytes) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(socket.close, frame)

    # Timers

    def _begin_timers(self, socket: Socket) -> None:
        if self._playback.pings == "live":
            self._at(socket.heartbeat.due_ns, socket, self._beat)
        expires_ns = self._sessions.expires_ns(socket.session.id)
        if self._rules.session_timeout_shown == "expiry" and expires_ns is not None:
            self._at(expires_ns, socket, self._show_expiry)

    def _at(self, at_ns: int, socket: Socket, act: Callable[[Socket], None]) -> None:
        timer = (at_ns, next(self._timer_numbers), weakref.ref(socket), act)
        heapq.heappush(self._timers, timer)
        self._timer_added.set()

    async def _keep_time(self) -> None:
        while True:
            self._timer_added = trio.Event()
            with trio.move_on_at(self._timers[0][0] / 1e9 if self._timers else math.inf) as sleep:
                await self._timer_added.wait()
            if not sleep.cancelled_caught:
                continue
            at_ns = now_ns()
            while self._timers and self._timers[0][0] <= at_ns:
                _, _, reference, act = heapq.heappop(self._timers)
                socket = reference()
                if socket is not None and socket.is_open:
                    act(socket)

    def _beat(self, socket: Socket) -> None:
        if socket.heartbeat.unanswered:
            # A pong of this very moment wins, but it may still be on its way to our reader.
            self._at(now_ns() + _PONG_GRACE_NS, socket, self._beat_after_grace)
        else:
            self._beat_after_grace(socket)

    def _beat_after_grace(self, socket: Socket) -> None:
        close = socket.beat()
        if close is not None:
            self._close_soon(socket, close)
        else:
            self._at(socket.heartbeat.due_ns, socket, self._beat)

    def _check_recorded(self, socket: Socket) -> None:
        close = socket.check_recorded_pings()
        if close is not None:
            self._close_soon(socket, close)

    def _show_expiry(self, socket: Socket) -> None:
        """Show the timeout once the session has ended; a session that was used meanwhile ends
        later.
        """
        expires_ns = self._sessions.expires_ns(socket.session.id)
        if expires_ns is not None and expires_ns > now_ns():
            self._at(expires_ns, socket, self._show_expiry)
        else:
            socket.offer_message(timeout_message(self._rules))


class _SharedPlayback:
    """The one playback that all sockets hear: when it began, what was played, what REST shows."""

    def __init__(self, source: Source) -> None:
        self.begun = trio.Event()
        self.begun_s = 0.0
        self.closed = False
        """Whether it has ended, and every socket with it."""
        self.played = State()
        """What sockets were sent so far: what one that joins now must be told."""
        self.shown = source.opening.copy()
        """The same over the opening state: REST knows every device from the start."""

    def begin(self) -> None:
        """Start the clock, once."""
        if not self.begun.is_set():
            self.begun_s = trio.current_time()
            self.begun.set()

    def fold(self, cue: Cue) -> None:
        """A cue is played."""
        if cue.message is not None and cue.text:
            self.played.apply(cue.message)
            self.shown.apply(cue.message)
