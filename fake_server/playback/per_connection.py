"""Playback to each socket on its own."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import trio

from fake_server.connection import Socket
from fake_server.messages import text_frame
from fake_server.playback.cues import END_OF_RECORDING, cues_to_play, kinds_left_out, skip_to
from fake_server.playback.stage import Stage
from fake_server.playback.taken import Place, Taken, Untaken
from recorder.track.kinds import ping_uuids
from recorder.track.sessions import Session
from replayer.playing.clock import PlaybackClock
from replayer.playing.player import play
from replayer.playing.timeline import Cue, whole_messages
from replayer.state import State

__all__ = ["PerConnection"]

_MAX_SESSION_VIEWS: Final = 4096
"""Of so many sessions the state is kept that REST shows after their sockets closed."""


class _View:
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


class _Player:
    """One socket's own playback."""

    __slots__ = ("clock", "from_ns", "held", "is_playing", "place", "socket", "view")

    def __init__(self, socket: Socket, clock: PlaybackClock, view: _View) -> None:
        self.socket = socket
        self.clock = clock
        self.view = view
        self.from_ns: int | None = None
        """Where it goes on, once it has left its clock."""
        self.is_playing = False
        self.place = Place()
        self.held: list[bytes] = []
        """Messages of no recording that wait for the end of one in fragments."""


class PerConnection:
    """Each socket plays the k-th recorded one from its start; when there are no more, the last
    again.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._players: dict[Socket, _Player] = {}
        self._views: dict[str, _View] = {}
        self._taken: defaultdict[int, Taken] = defaultdict(Taken)
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
        return self._plays_timeout(self._script_of(socket))

    def _plays_timeout(self, script: int) -> bool:
        stage = self._stage
        return (
            stage.settings.at_end != "loop"
            and stage.rules.session_timeout_shown == "open"
            and stage.source.shows_timeout(script)
        )

    def joined(self, socket: Socket) -> None:
        """A socket was opened: its playback begins."""
        view = _View(self._stage.source.opening.copy(), seeks=self._seeks, number=socket.number)
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
        """Forget what sessions were shown, and what was sent."""
        self._views.clear()
        self._taken.clear()

    def untaken(self) -> Iterator[Untaken]:
        """The messages that were never sent to any socket, of each recorded socket in its order;
        of a source without an end none. What an account may not see counts as sent with the rest.
        """
        stage = self._stage
        if not stage.source.ends:
            return
        for script in range(stage.source.sockets):
            left_out = kinds_left_out(stage.settings, with_timeout=self._plays_timeout(script))
            taken = self._taken[script] if script in self._taken else Taken()
            yield from taken.missing(stage.source.cues(script), left_out, socket=script + 1)

    def _script_of(self, socket: Socket) -> int:
        return min(socket.number, self._stage.source.sockets) - 1

    def _begin(self, player: _Player) -> None:
        # Before the task runs: whoever seeks meanwhile must not start a second one.
        player.is_playing = True
        self._stage.start(functools.partial(self._play, player))

    async def _play(self, player: _Player) -> None:
        socket = player.socket
        perform = functools.partial(self._perform, player)
        try:
            while not socket.is_done:
                cues = await self._cues_from(player)
                at_end = await play(
                    cues, perform, player.clock, may_stop=lambda: not socket.is_inside_message
                )
                # The last cue may have been sought away from while the client was slow to take it.
                if at_end and player.from_ns is None:
                    self._stage.played(socket)
                    if self._stage.settings.at_end == "close":
                        await socket.close(END_OF_RECORDING)
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
            cues = player.place.over(stage.source.cues(script, later_ns=later_ns))
            # Fragments of what an account may see in part cannot be sent as they are.
            return cues if socket.sight.everything else whole_messages(cues)

        cues = cues_to_play(
            stage.settings,
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
        cues = await skip_to(cues, position_ns, told, state)
        player.view = _View(state, seeks=seeks, number=socket.number)
        self._keep(player)
        for message in told.messages():
            stage.learn(message)
            seen = socket.sight.filtered(message)
            if seen is not None:
                await socket.send(text_frame(seen))
        return cues

    async def _perform(self, player: _Player, cue: Cue) -> None:
        stage, socket = self._stage, player.socket
        if cue.kind == "close":
            await socket.close(cue.data)
            return
        message = cue.message if cue.text else None
        if message is not None:
            if uuids := ping_uuids(message):
                stage.expect_pongs(socket, uuids)
            stage.learn(message)
        if socket.sight.everything or message is None:
            await socket.send(cue.data)
        else:
            seen = socket.sight.filtered(message)
            if seen is not None:
                await socket.send(cue.data if seen is message else text_frame(seen))
            message = seen
        if cue.message is not None:
            self._taken[self._script_of(socket)].add(player.place.number)
        if message is not None:
            self._show(player, message)
        else:
            player.view.played += 1
        if player.held and not socket.is_inside_message:
            for held in player.held:
                self._show(player, held)
            player.held.clear()

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
