"""All sockets of the server: who is connected, their heartbeats and timers, and one frame to many.

One task keeps the time of every socket, so that an idle socket costs no timer of its own.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import math
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import trio

from fake_server.accounts import Accounts
from fake_server.connection import Socket, now_ns
from fake_server.desk import SessionDesk
from fake_server.faults import FaultBoard
from fake_server.faults.carrier import FaultCarrier
from fake_server.handshake import Upgrade, switching
from fake_server.journal import Journal
from fake_server.messages import text_frame, timeout_message
from fake_server.pace import Pace
from fake_server.playback import PerConnection, Playback, Shared
from fake_server.sight import Sight
from fake_server.violation_log import ViolationLog
from fake_server.written import Written
from recorder.track.rules import Rules
from recorder.track.sessions import Session
from recorder.wire.frames import CloseCode, close_frame
from replayer.playing.script import Source
from replayer.state import State

__all__ = ["Hub"]

_PONG_GRACE_NS: Final = 10_000_000
"""So long a server waits past the due moment for a pong that was in time, to read it."""

_KEEPALIVE: Final = text_frame(b"{}")
_RESET: Final = close_frame(CloseCode.GOING_AWAY, "reset").serialize()
_LOGGED_OUT: Final = close_frame(CloseCode.NORMAL, "logged out").serialize()

_Timer: TypeAlias = tuple[int, int, "weakref.ReferenceType[Socket]", Callable[[Socket], None]]
"""When it is due, a number that keeps the order, whose it is, what is to be done."""


class Hub:
    """The open sockets. :meth:`run` in the server's nursery; :meth:`serve` for each socket after
    its handshake.
    """

    def __init__(
        self,
        source: Source,
        *,
        rules: Rules,
        settings: Playback,
        accounts: Accounts,
        desk: SessionDesk,
        violations: ViolationLog,
        journal: Journal,
        written: Written,
        faults: FaultBoard,
        pace: Pace,
    ) -> None:
        self.sockets: list[Socket] = []
        self.accepted = 0
        self.source = source
        self.rules = rules
        self.settings = settings
        self.violations = violations
        self.journal = journal
        self.written = written
        self.playback: PerConnection | Shared = (
            Shared(self) if settings.mode == "shared" else PerConnection(self)
        )
        self._accounts = accounts
        self._all_see_everything = all(accounts.sight(one).everything for one in accounts.emails)
        self._desk = desk
        self._faults = faults
        self._pace = pace
        # Weak, so that a closed socket is not kept until its timers are due.
        self._timers: list[_Timer] = []
        self._timer_numbers = itertools.count()
        self._timer_added = trio.Event()
        self._nursery: trio.Nursery | None = None
        self.started_ns = 0
        faults.on_change = self._use_faults

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep time and play, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self.started_ns = now_ns()
            nursery.start_soon(self._keep_time)
            if isinstance(self.playback, Shared):
                self.playback.run()
            task_status.started()

    def start(self, run: Callable[[], Any]) -> None:
        """Run a task beside all others. Only while :meth:`run` runs."""
        if self._nursery is None:
            raise RuntimeError("FakeServer.run() must run beside handle()")
        self._nursery.start_soon(run)

    def state_for(self, session: Session | None) -> State:
        """What playback has shown a session."""
        return self.playback.state_for(session)

    async def serve(
        self, stream: trio.abc.Stream, upgrade: Upgrade, *, connection: int, early: bytes = b""
    ) -> None:
        """Tell one client that it is upgraded, and play to it until its socket ends. ``early`` is
        what it sent behind its handshake already.

        Whoever sees the answer finds the socket here: nothing happens between the two.
        """
        self.accepted += 1
        session = upgrade.session
        socket = Socket(
            stream,
            number=self.accepted,
            connection=connection,
            session=session,
            sight=self._accounts.sight(session.account),
            around=self,
        )
        self.sockets.append(socket)
        socket.note("socket")
        socket.begin(switching(upgrade.accept))
        del upgrade, session
        self._use_faults_on(socket)
        self._begin_timers(socket)
        if self.rules.session_timeout_shown == "open" and not self.playback.shows_timeout(socket):
            socket.offer_message(timeout_message(self.rules))
        self.playback.joined(socket)
        try:
            await socket.run(early)
        finally:
            self.sockets.remove(socket)
            self.playback.left(socket)

    # One frame to many

    def broadcast(self, frame: bytes, message: bytes | None = None) -> int:
        """Send one frame to every socket that may see ``message``, the text in it (None: everybody
        may); returns to how many. An account that sees less of it is sent what it sees.
        """
        count = 0
        by_sight: dict[Sight, bytes | None] = {}
        for socket in self.sockets:
            sight = socket.sight
            mine: bytes | None = frame
            if message is not None and not sight.everything:
                if sight not in by_sight:
                    seen = sight.filtered(message)
                    by_sight[sight] = (
                        frame if seen is message else None if seen is None else text_frame(seen)
                    )
                mine = by_sight[sight]
            if mine is not None:
                socket.offer(mine)
                count += 1
        return count

    def push(self, message: bytes, *, socket: Socket | None = None) -> int:
        """Send a text message that no recording holds, to one socket or to all that may see it;
        returns to how many. REST shows what it says.
        """
        self.learn(message)
        seen = {
            one: its_message
            for one in (self.sockets if socket is None else [socket])
            if one.is_open and (its_message := one.sight.filtered(message)) is not None
        }
        for one, its_message in seen.items():
            one.offer_message(text_frame(its_message))
        self.playback.pushed(message, seen)
        return len(seen)

    def on_written(self, kind: str, object_text: bytes) -> None:
        """A client wrote an object by REST: it is pushed to the sockets that may see it."""
        self._see_anew()
        if kind == "beacons" and not self.rules.beacons_pushed:
            return
        message = b'{"%s":[%s]}' % (kind.encode("ascii"), object_text)
        for socket in self.sockets:
            seen = socket.sight.filtered(message)
            if seen is not None:
                socket.offer_message(text_frame(seen))

    def learn(self, message: bytes) -> None:
        """Devices that accounts name by name may stand in a message that is played."""
        if self._all_see_everything:
            return
        state = State()
        state.apply(message)
        if devices := state.objects("devices"):
            self._accounts.know(devices)
            self._see_anew()

    def _see_anew(self) -> None:
        for socket in self.sockets:
            socket.sight = self._accounts.sight(socket.session.account)

    # Sessions

    def expire(self, session: Session) -> None:
        """End a session as if its time were over."""
        self._desk.expire(session.id)
        self.session_clock_jumped()

    def on_shut(self, socket: Socket) -> None:
        """A socket begins to end: what its client opens from now on is a reconnection."""
        self._pace.closed(socket.session.account, now_ns())

    def on_logout(self, session: Session) -> None:
        """A client logged out; its sockets survive that, or not."""
        if self.rules.logout_closes_sockets:
            for socket in self.sockets:
                if socket.session.id == session.id:
                    self.close_soon(socket, _LOGGED_OUT)

    def session_clock_jumped(self) -> None:
        """Sessions may have expired before their time was due."""
        if self.rules.session_timeout_shown == "expiry":
            for socket in self.sockets:
                self._at(now_ns(), socket, self._show_expiry)

    # Faults

    def _use_faults(self) -> None:
        for socket in self.sockets:
            self._use_faults_on(socket)

    def _use_faults_on(self, socket: Socket) -> None:
        injections = self._faults.injections
        carrier = socket.carrier
        if carrier is None:
            line = self._faults.line_for(socket.number)
            line.set(injections)
            if not line:
                return
            carrier = FaultCarrier(
                line,
                socket.take,
                opened_s=socket.opened_ns / 1e9,
                start=lambda carrier: self.start(carrier.run),
            )
            socket.use_faults(carrier)
            carrier.wake()
        else:
            carrier.add(carrier.line.set(injections))

    # Closing

    def close_soon(self, socket: Socket, frame: bytes) -> None:
        """Close one socket with this close frame, in a task of its own."""
        self.start(functools.partial(socket.close, frame))

    def restart(self) -> None:
        """Close every socket with 1001 and be as after the start; what the old ones still do counts
        for nothing.
        """
        for socket in self.sockets:
            socket.forget(_RESET)
        self._pace.clear()
        self.accepted = 0
        self.playback.speed = self.settings.speed
        self.playback.paused = self.settings.paused
        self.playback.restart()

    async def close_all(self, frame: bytes) -> None:
        """Close every socket with this close frame, whatever faults would have; each has a moment
        to answer it.
        """
        sockets = list(self.sockets)
        for socket in sockets:
            socket.finish(frame)
        for socket in sockets:
            await socket.ended()

    def played(self, socket: Socket) -> None:
        """Playback to a socket came to its end."""
        socket.note("played")

    # Timers

    def expect_pongs(self, socket: Socket, uuids: list[str]) -> None:
        """Of recorded PINGs that go out the uuids are what the client must answer now.

        With live PINGs only those go out that stand in one message with something else. Of a socket
        with faults they count when they go out, if they do.
        """
        if socket.carrier is None:
            at_ns = now_ns()
            for uuid in uuids:
                self.violations.report(socket.heartbeat.ping_sent(uuid, at_ns))
                socket.note("ping", uuid=uuid)
            self._check_recorded_at(socket, at_ns)

    def on_ping(self, socket: Socket, uuid: str) -> None:
        """A PING of our own went out, or a recorded one on a socket with faults; they may have
        changed its uuid.
        """
        at_ns = now_ns()
        socket.note("ping", uuid=uuid)
        if self.settings.pings == "live":
            socket.heartbeat.went_out(uuid, at_ns)
            return
        found = socket.heartbeat.ping_sent(uuid, at_ns)
        self.violations.report([one for one in found if one.rule != "ping.repeated-uuid"])
        self._check_recorded_at(socket, at_ns)

    def _check_recorded_at(self, socket: Socket, at_ns: int) -> None:
        due_ns = at_ns + self.rules.ping_interval_ns + _PONG_GRACE_NS
        self._at(due_ns, socket, self._check_recorded)

    def _begin_timers(self, socket: Socket) -> None:
        if self.settings.pings == "live":
            self._at(socket.heartbeat.due_ns, socket, self._beat)
        if self.rules.session_timeout_shown == "expiry":
            self._at(now_ns(), socket, self._show_expiry)
        if self.rules.keepalive_interval_s:
            self._keep_alive(socket, first=True)

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
                _act(heapq.heappop(self._timers))

    def _beat(self, socket: Socket) -> None:
        if socket.heartbeat.unanswered:
            # A pong of this very moment wins, but it may still be on its way to our reader.
            self._at(now_ns() + _PONG_GRACE_NS, socket, self._beat_after_grace)
        else:
            self._beat_after_grace(socket)

    def _beat_after_grace(self, socket: Socket) -> None:
        close = socket.beat()
        if close is not None:
            self.close_soon(socket, close)
        else:
            self._at(socket.heartbeat.due_ns, socket, self._beat)

    def _check_recorded(self, socket: Socket) -> None:
        close = socket.check_recorded_pings()
        if close is not None:
            self.close_soon(socket, close)

    def _keep_alive(self, socket: Socket, *, first: bool = False) -> None:
        if not first:
            socket.offer_message(_KEEPALIVE)
        due_ns = now_ns() + round(self.rules.keepalive_interval_s * 1e9)
        self._at(due_ns, socket, self._keep_alive)

    def _show_expiry(self, socket: Socket) -> None:
        """Show the timeout once the session has ended; a session that was used meanwhile ends
        later.
        """
        left_ns = self._desk.expires_in_ns(socket.session.id)
        if left_ns is not None:
            self._at(now_ns() + left_ns, socket, self._show_expiry)
        elif not socket.expiry_shown:
            socket.expiry_shown = True
            socket.offer_message(timeout_message(self.rules))


def _act(timer: _Timer) -> None:
    # A function of its own, so that no frame keeps the socket until the next timer is due.
    _, _, reference, act = timer
    socket = reference()
    if socket is not None and socket.is_open:
        act(socket)
