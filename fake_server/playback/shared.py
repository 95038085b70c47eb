"""One playback to all sockets."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping

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
from replayer.playing.timeline import Cue
from replayer.state import OBJECT_KINDS, State

__all__ = ["Shared"]


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
        self._place = Place()
        self._taken = Taken()
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
            stage.played(socket)
            if stage.settings.at_end == "close":
                stage.start(functools.partial(socket.close, END_OF_RECORDING))

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
        self._taken = Taken()
        self._forget()
        self.run()

    def untaken(self) -> Iterator[Untaken]:
        """The recorded messages that were sent while no socket was open, or not at all; of a source
        without an end none. Who joins later is told the state instead, which takes nothing.
        """
        source = self._stage.source
        if source.ends:
            left_out = kinds_left_out(self._stage.settings, with_timeout=False)
            yield from self._taken.missing(source.all_cues(), left_out, socket=0)

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
            cues = cues_to_play(
                stage.settings,
                lambda later_ns: self._place.over(stage.source.all_cues(later_ns=later_ns)),
                with_timeout=False,
                with_close=False,
            )
            if from_ns is not None:
                self._forget()
                cues = await skip_to(cues, from_ns, self._played, self._shown)
                for message in self._played.messages():
                    stage.learn(message)
                    stage.broadcast(text_frame(message), message)
            await play(cues, self._perform, clock)
            self._is_over = True
            for socket in stage.sockets:
                stage.played(socket)
            if stage.settings.at_end == "close":
                for socket in stage.sockets:
                    stage.start(functools.partial(socket.close, END_OF_RECORDING))

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
        if cue.message is not None and any(socket.is_open for socket in stage.sockets):
            self._taken.add(self._place.number)
        if not self._is_paced:
            # Nothing but the readers' pace holds this playback up.
            for socket in list(stage.sockets):
                await socket.keep_up()
        # Cues that are due at once must not keep others from running.
        await trio.lowlevel.checkpoint()
