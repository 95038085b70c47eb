"""What is played to the sockets: to each its own recorded socket, or one playback to all.

Playback has a clock of its own, which can be paused, stepped, sped up and set anywhere; heartbeats
and sessions do not follow it.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, Protocol

import msgspec
import trio

from fake_server.connection import Socket, text_frame
from fake_server.written import Written
from recorder.track.kinds import ping_uuids
from recorder.track.rules import Rules
from recorder.track.sessions import Session
from recorder.wire.frames import CloseCode, close_frame
from replayer.clock import PlaybackClock
from replayer.player import play
from replayer.script import Source
from replayer.state import OBJECT_KINDS, State
from replayer.timeline import Cue, CueKind, looped, may_begin_with, whole_messages, without

__all__ = ["PerConnection", "Playback", "Shared", "Stage"]

_MAX_SESSION_VIEWS: Final = 4096
"""Of so many sessions the state is kept that REST shows after their sockets closed."""

_END_OF_RECORDING: Final = close_frame(CloseCode.NORMAL, "end of the recording").serialize()

_CUES_BETWEEN_BREATHS: Final = 512
"""So many cues are skipped before others may run again."""


class Playback(msgspec.Struct, frozen=True):
    """How a source is played.

    ``mode``: each socket plays the next recorded socket from its start (``per-connection``), or all
    sockets hear one playback of all recorded sockets merged by time (``shared``). ``speed``: a
    factor; infinity makes everything due at once. ``at_end``: ``close`` as recorded, ``hold`` the
    socket open, or ``loop``. ``pings``: ``live`` leaves recorded PINGs out and sends fresh ones;
    ``recorded`` sends the recorded ones and enforces their uuids. ``start``: what begins shared
    playback, the first login or the server's start. ``paused``: whether it begins paused.
    """

    mode: Literal["per-connection", "shared"] = "per-connection"
    speed: float = 1.0
    at_end: Literal["close", "hold", "loop"] = "hold"
    pings: Literal["live", "recorded"] = "live"
    start: Literal["login", "now"] = "login"
    paused: bool = False


class Stage(Protocol):
    """What playback needs of the hub around it."""

    sockets: list[Socket]
    rules: Rules
    source: Source
    settings: Playback
    written: Written

    def start(self, run: Callable[[], Any]) -> None:
        """Run a task beside all others."""

    def broadcast(self, frame: bytes, message: bytes | None) -> int:
        """Send a frame to every socket that may see its message."""

    def learn(self, message: bytes) -> None:
        """A message is played: accounts may name devices in it."""

    def expect_pongs(self, socket: Socket, uuids: list[str]) -> None:
        """Recorded PINGs go out to this socket."""


class View:
    """What a session was shown so far: the state, and after how many cues. It outlives the socket,
    for REST. ``seeks`` counts those of the server: what is shown after one counts more than what
    was before.
    """

    __slots__ = ("number", "played", "seeks", "state")

    def __init__(self, state: State, *, seeks: int, number: int) -> None:
        self.state = state
        self.seeks = seeks
        self.number = number
        self.played = 0

    @property
    def rank(self) -> tuple[int, int, int]:
        """The furthest view is the one that REST shows, of equals that of the first socket."""
        return self.seeks, self.played, -self.number


def _cues(
    stage: Stage, cues: Callable[[int], Iterable[Cue]], *, with_timeout: bool, with_close: bool
) -> Iterator[Cue]:
    settings = stage.settings
    left_out: set[CueKind] = set()
    if settings.pings == "live":
        left_out.add("ping")
    if not with_timeout:
        left_out.add("timeout")
    if not with_close:
        left_out.add("close")
    if settings.at_end != "close":
        # What comes behind, a PING at least, would be read as the rest of it.
        left_out.add("torn")
    kinds = frozenset(left_out)
    return looped(cues, kinds) if settings.at_end == "loop" else iter(without(cues(0), kinds))


async def _skipped(cues: Iterable[Cue], position_ns: int, *states: State) -> Iterator[Cue]:
    """The cues from a position on; the states learn what is skipped. Others run meanwhile."""
    rest = iter(cues)
    for number, cue in enumerate(rest, 1):
        if may_begin_with(cue, position_ns):
            return itertools.chain([cue], rest)
        if cue.message is not None and cue.text:
            for state in states:
                state.apply(cue.message)
        if number % _CUES_BETWEEN_BREATHS == 0:
            await trio.lowlevel.checkpoint()
    return iter(())


class _Player:
    """One socket's own playback."""

    __slots__ = (
        "clock",
        "from_ns",
        "held",
        "is_playing",
        "socket",
        "view",
    )

    def __init__(self, socket: Socket, clock: PlaybackClock, view: View) -> None:
        self.socket = socket
        self.clock = clock
        self.view = view
        self.from_ns: int | None = None
        """Where it goes on, once it has left its clock."""
        self.is_playing = False
        self.held: list[bytes] = []
        """Messages of no recording that wait for the end of one in fragments."""


class PerConnection:
    """Each socket plays the k-th recorded one from its start; when there are no more, the last
    again.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._players: dict[Socket, _Player] = {}
        self._views: dict[str, View] = {}
        self._seeks = 0
        self.speed = stage.settings.speed
        self.paused = stage.settings.paused

    def on_login(self) -> None:
        """Nothing begins before there is a socket."""

    def state_for(self, session: Session | None) -> State:
        """The state of the session's furthest socket, kept after that closed; before anything was
        played, the opening state.
        """
        view = None if session is None else self._views.get(session.id)
        return self._stage.source.opening if view is None else view.state

    def shows_timeout(self, socket: Socket) -> bool:
        """Whether what this socket is played shows a recorded ``webSessionTimeout``, which stands
        for the live one. It is shown once, so not by a loop.
        """
        stage = self._stage
        return (
            stage.settings.at_end != "loop"
            and stage.rules.session_timeout_shown == "open"
            and stage.source.shows_timeout(self._script_of(socket))
        )

    def joined(self, socket: Socket) -> None:
        """A socket was opened: its playback begins."""
        view = View(self._stage.source.opening.copy(), seeks=self._seeks, number=socket.number)
        # The clock runs from here: the opening may have taken a while.
        player = _Player(socket, PlaybackClock(self.speed, paused=self.paused), view)
        self._players[socket] = player
        self._begin(player)

    def left(self, socket: Socket) -> None:
        """A socket has ended."""
        self._players.pop(socket).clock.leave()

    def pushed(self, message: bytes, seen: Mapping[Socket, bytes]) -> None:
        """A message that no recording holds was sent: what each socket saw of it."""
        for socket, its_message in seen.items():
            player = self._players[socket]
            if socket.is_inside_message:
                player.held.append(its_message)
            else:
                self._show(player, its_message)

    def position_ns(self) -> dict[int, int]:
        """Where each socket's playback stands, by its number."""
        return {socket.number: player.clock.position_ns for socket, player in self._players.items()}

    def clocks(self) -> list[PlaybackClock]:
        """Those that run now."""
        return [player.clock for player in self._players.values()]

    def seek(self, position_ns: int) -> None:
        """Every socket goes on from there."""
        self._seeks += 1
        for player in self._players.values():
            player.from_ns = position_ns
            player.clock.leave()
            if not player.is_playing:
                self._begin(player)

    def restart(self) -> None:
        """Forget what sessions were shown."""
        self._views.clear()

    def _script_of(self, socket: Socket) -> int:
        return min(socket.number, self._stage.source.sockets) - 1

    def _begin(self, player: _Player) -> None:
        # Before the task runs: whoever seeks meanwhile must not start a second one.
        player.is_playing = True
        self._stage.start(functools.partial(self._play, player))

    async def _play(self, player: _Player) -> None:
        socket = player.socket

        async def perform(cue: Cue) -> None:
            if cue.kind == "close":
                await socket.close(cue.data)
                return
            message = cue.message if cue.text else None
            if message is not None:
                if uuids := ping_uuids(message):
                    self._stage.expect_pongs(socket, uuids)
                self._stage.learn(message)
            if socket.sight.everything or message is None:
                await socket.send(cue.data)
            else:
                seen = socket.sight.filtered(message)
                if seen is not None:
                    await socket.send(cue.data if seen is message else text_frame(seen))
                message = seen
            if message is not None:
                self._show(player, message)
            else:
                player.view.played += 1
            if player.held and not socket.is_inside_message:
                for held in player.held:
                    self._show(player, held)
                player.held.clear()

        try:
            while not socket.is_done:
                cues = await self._cues_from(player)
                at_end = await play(
                    cues, perform, player.clock, may_stop=lambda: not socket.is_inside_message
                )
                # The last cue may have been sought away from while the client was slow to take it.
                if at_end and player.from_ns is None:
                    if self._stage.settings.at_end == "close":
                        await socket.close(_END_OF_RECORDING)
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        finally:
            player.is_playing = False

    async def _cues_from(self, player: _Player) -> Iterator[Cue]:
        """The cues of a socket from where it shall go on; it is told the state there."""
        stage, socket = self._stage, player.socket
        script = self._script_of(socket)

        def recorded(later_ns: int) -> Iterable[Cue]:
            cues = stage.source.cues(script, later_ns=later_ns)
            # Fragments of what an account may see in part cannot be sent as they are.
            return cues if socket.sight.everything else whole_messages(cues)

        cues = _cues(
            stage,
            recorded,
            with_timeout=self.shows_timeout(socket),
            with_close=stage.settings.at_end == "close",
        )
        if player.from_ns is None:
            return cues
        position_ns, player.from_ns = player.from_ns, None
        seeks = self._seeks
        # Whoever pauses or seeks again while cues are skipped finds this clock.
        player.clock = PlaybackClock(self.speed, position_ns=position_ns, paused=self.paused)
        told, state = State(), stage.source.opening.copy()
        cues = await _skipped(cues, position_ns, told, state)
        player.view = View(state, seeks=seeks, number=socket.number)
        self._keep(player)
        for message in told.messages():
            stage.learn(message)
            seen = socket.sight.filtered(message)
            if seen is not None:
                await socket.send(text_frame(seen))
        return cues

    def _show(self, player: _Player, message: bytes) -> None:
        player.view.played += 1
        player.view.state.apply(message)
        self._keep(player)

    def _keep(self, player: _Player) -> None:
        """REST shows the furthest of a session's views."""
        session = player.socket.session
        furthest = self._views.get(session.id)
        if furthest is None or player.view.rank > furthest.rank:
            self._views[session.id] = player.view
            if len(self._views) > _MAX_SESSION_VIEWS:
                del self._views[next(iter(self._views))]


class Shared:
    """One playback that all sockets hear."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.speed = stage.settings.speed
        self.paused = stage.settings.paused
        self._clock: PlaybackClock | None = None
        self._scope: trio.CancelScope | None = None
        """Of the task that plays; None before playback has begun."""
        self._is_over = False
        self._forget()

    def _forget(self) -> None:
        self._played = State()
        """What sockets were sent so far: what one that joins now must be told."""
        self._shown = self._stage.source.opening.copy()
        """The same over the opening state: REST knows every device from the start."""

    @property
    def _is_paced(self) -> bool:
        """Where all is due at once, the clock cannot run before somebody listens, or nobody would
        see any of it.
        """
        return self._stage.source.timed and self.speed != math.inf

    def run(self) -> None:
        """The server runs."""
        if self._stage.settings.start == "now" and self._is_paced:
            self._begin()

    def on_login(self) -> None:
        """Somebody logged in: playback begins, if it was waiting for that."""
        if self._is_paced:
            self._begin()

    def state_for(self, session: Session | None) -> State:
        """The server's state, the same for all."""
        return self._shown

    def shows_timeout(self, socket: Socket) -> bool:
        """Never: nothing in shared playback is the opening of this socket."""
        return False

    def joined(self, socket: Socket) -> None:
        """A socket was opened: it is told what the others know, and hears the changes with them."""
        stage = self._stage
        for kind in OBJECT_KINDS:
            if kind == "beacons" and not stage.rules.beacons_pushed:
                continue
            objects = self._played.objects(kind)
            if objects:
                objects = stage.written.overlay(kind, objects)
            if objects:
                message = b'{"%s":[%s]}' % (kind.encode(), b",".join(objects))
                seen = socket.sight.filtered(message)
                if seen is not None:
                    socket.offer(text_frame(seen))
        self._begin()
        if self._is_over:
            self._stage.start(functools.partial(socket.close, _END_OF_RECORDING))

    def left(self, socket: Socket) -> None:
        """A socket has ended; the others hear on."""

    def pushed(self, message: bytes, seen: Mapping[Socket, bytes]) -> None:
        """A message that no recording holds was sent: who joins later is told of it too."""
        self._played.apply(message)
        self._shown.apply(message)

    def position_ns(self) -> dict[int, int]:
        """Where playback stands, for every socket alike."""
        position_ns = 0 if self._clock is None else self._clock.position_ns
        return {socket.number: position_ns for socket in self._stage.sockets}

    def clocks(self) -> list[PlaybackClock]:
        """The one, once it runs."""
        return [] if self._clock is None else [self._clock]

    def seek(self, position_ns: int) -> None:
        """Go on from there, for all."""
        self._start(position_ns)

    def restart(self) -> None:
        """Play from the start again, from when it would have begun."""
        if self._scope is not None:
            self._scope.cancel()
        self._scope = self._clock = None
        self._is_over = False
        self._forget()
        self.run()

    def _begin(self) -> None:
        """Start the clock, once."""
        if self._scope is None:
            self._start(None)

    def _start(self, from_ns: int | None) -> None:
        if self._scope is not None:
            self._scope.cancel()
        self._scope = trio.CancelScope()
        self._is_over = False
        self._clock = PlaybackClock(self.speed, position_ns=from_ns or 0, paused=self.paused)
        self._stage.start(functools.partial(self._play, self._scope, self._clock, from_ns))

    async def _play(
        self, scope: trio.CancelScope, clock: PlaybackClock, from_ns: int | None
    ) -> None:
        stage = self._stage
        with scope:
            cues = _cues(
                stage,
                lambda later_ns: stage.source.all_cues(later_ns=later_ns),
                with_timeout=False,
                with_close=False,
            )
            if from_ns is not None:
                self._forget()
                cues = await _skipped(cues, from_ns, self._played, self._shown)
                for message in self._played.messages():
                    stage.learn(message)
                    stage.broadcast(text_frame(message), message)
            await play(cues, self._perform, clock)
            if stage.settings.at_end == "close":
                self._is_over = True
                for socket in stage.sockets:
                    stage.start(functools.partial(socket.close, _END_OF_RECORDING))

    async def _perform(self, cue: Cue) -> None:
        stage = self._stage
        message = cue.message if cue.text else None
        if message is not None:
            self._played.apply(message)
            self._shown.apply(message)
            stage.learn(message)
            if uuids := ping_uuids(message):
                for socket in stage.sockets:
                    stage.expect_pongs(socket, uuids)
        stage.broadcast(cue.data, message)
        if not self._is_paced:
            # Nothing but the readers' pace holds this playback up.
            for socket in list(stage.sockets):
                await socket.keep_up()
        # Cues that are due at once must not keep others from running.
        await trio.lowlevel.checkpoint()
