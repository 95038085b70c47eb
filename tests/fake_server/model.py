"""What the fake shall do, told once more and otherwise: a small model of playback, sight, writes,
sessions and PINGs that shares no code with the server.

It takes the same steps as a server, at the same moments, and says which frames each socket is sent
and when, and what REST lists. Times are seconds of the test's clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from recorder.wire.frames import close_frame
from tests.fake_server.model_state import (
    KINDS,
    Account,
    Known,
    Obj,
    Writes,
    message,
    obj,
    read,
    text_frame,
)

PING_S: Final = 30.0
GRACE_S: Final = 0.01
"""So long a server may wait for a pong of the very moment at which it is due."""


class Cue(NamedTuple):
    """The frames that are due at once; `message` is what they complete."""

    at_s: float
    frames: tuple[bytes, ...]
    message: bytes | None
    begins: bool


def whole(cues: Iterable[Cue]) -> list[Cue]:
    """Each message whole, when its last fragment is due."""
    found: list[Cue] = []
    frames: tuple[bytes, ...] = ()
    for cue in cues:
        frames += cue.frames
        if cue.message is not None:
            found.append(Cue(cue.at_s, frames, cue.message, True))
            frames = ()
    return found


class Player:
    """Where a playback stands."""

    def __init__(self, cues: list[Cue], now_s: float, *, speed: float, paused: bool) -> None:
        self.cues = cues
        self.next = 0
        self.position_s = 0.0
        self.since_s = now_s
        self.speed = speed
        self.paused = paused

    @property
    def due_s(self) -> float:
        if self.paused or self.next == len(self.cues):
            return math.inf
        at_s = self.cues[self.next].at_s
        return max(self.since_s, self.since_s + (at_s - self.position_s) / self.speed)

    def change(
        self, now_s: float, *, speed: float | None = None, paused: bool | None = None
    ) -> None:
        if not self.paused:
            self.position_s += (now_s - self.since_s) * self.speed
        self.since_s = now_s
        self.speed = self.speed if speed is None else speed
        self.paused = self.paused if paused is None else paused

    def take(self) -> Cue:
        cue = self.cues[self.next]
        self.next += 1
        if self.paused:
            self.position_s = max(self.position_s, cue.at_s)
        return cue

    def set(self, position_s: float, now_s: float) -> list[bytes]:
        """Go on from there; returns the messages that were skipped."""
        self.next = next(
            (n for n, cue in enumerate(self.cues) if cue.at_s >= position_s and cue.begins),
            len(self.cues),
        )
        self.position_s, self.since_s = position_s, now_s
        return [cue.message for cue in self.cues[: self.next] if cue.message is not None]


class Sent(NamedTuple):
    """What a socket is sent at a moment. `why` is `played`, `told` (the state after a seek; `first`
    of it forgets what was before), `written`, or `own`.
    """

    at_s: float
    frames: tuple[bytes, ...]
    why: str
    message: bytes | None = None
    first: bool = False


class View:
    """What a socket was shown since it opened, or since the last seek: REST shows the furthest of a
    session's, of equals that of the first socket.
    """

    def __init__(self, opening: Known, *, seeks: int, number: int) -> None:
        self.state = Known(opening)
        self.seeks = seeks
        self.number = number
        self.played = 0

    @property
    def rank(self) -> tuple[int, int, int]:
        return self.seeks, self.played, -self.number


class Session:
    """A login; `view` is the furthest."""

    def __init__(self, account: Account, last_s: float) -> None:
        self.account = account
        self.last_s = last_s
        self.is_over = False
        self.view: View | None = None


class Socket:
    """What one socket is sent."""

    def __init__(self, model: Model, session: Session, now_s: float, *, answers: bool) -> None:
        self.model = model
        self.session = session
        self.account = session.account
        self.opened_s = now_s
        self.answers = answers
        self.is_open = True
        self.sent: list[Sent] = []
        self.pings: list[float] = []
        self.number = model.accepted
        self.view = self._new_view()
        self.player: Player | None = None
        self.has_lost = False
        self._unanswered: list[float] = []
        """The deadlines of the PINGs that went out."""
        self._beat_s = now_s + PING_S
        self._close_s = math.inf
        self._inside = False
        self._held: list[Callable[[float], None]] = []

    @property
    def due_s(self) -> float:
        played_s = math.inf if self.player is None else self.player.due_s
        return min(played_s, self._beat_s, self._close_s) if self.is_open else math.inf

    def due(self, now_s: float) -> None:
        """Do what is due first."""
        if self._close_s <= now_s:
            self.end(now_s, close_frame(1001, "Idle timeout expired: 30000/30000 ms").serialize())
        elif self._beat_s <= now_s:
            self._beat(now_s)
        else:
            self.perform(now_s)

    # Frames

    def send(self, sent: Sent) -> bool:
        """Through the faults, which know only whole texts. Whether it went out."""
        is_text = len(sent.frames) == 1 and sent.frames[0][:1] == b"\x81"
        times = self.model.times(read(sent.message)[0].kind) if is_text and sent.message else 1
        self.has_lost |= not times
        self.sent += [sent] * times
        return bool(times)

    def own(
        self, now_s: float, why: str, payload: bytes, act: Callable[[], None] | None = None
    ) -> None:
        """A message that is not of the playback waits for the end of one in fragments."""

        def go(at_s: float) -> None:
            self.send(Sent(at_s, (text_frame(payload),), why, payload))
            if act is not None:
                act()

        self._soon(now_s, go)

    def _soon(self, now_s: float, go: Callable[[float], None]) -> None:
        if self._inside:
            self._held.append(go)
        else:
            go(now_s)

    # Playback

    def perform(self, now_s: float) -> None:
        assert self.player is not None
        cue = self.player.take()
        self.view.played += 1
        if cue.message is None or self.account.everything:
            self.model.learn(cue.message)
            self.send(Sent(now_s, cue.frames, "played", cue.message))
            seen = cue.message
        else:
            self.model.learn(cue.message)
            seen = self.account.seen(cue.message)
            if seen is not None:
                frames = cue.frames if seen is cue.message else (text_frame(seen),)
                self.send(Sent(now_s, frames, "played", seen))
        if seen is not None:
            self.show(seen)
        self._inside = cue.message is None
        if not self._inside:
            held, self._held = self._held, []
            for go in held:
                go(now_s)

    def show(self, payload: bytes) -> None:
        self.view.state.fold(payload)
        self._keep()

    def _keep(self) -> None:
        view = self.session.view
        if view is None or self.view.rank > view.rank:
            self.session.view = self.view

    def _new_view(self) -> View:
        return View(self.model.opening, seeks=self.model.seeks, number=self.number)

    def push(self, now_s: float, payload: bytes) -> bool:
        seen = self.account.seen(payload)
        if seen is None or not self.is_open:
            return False

        def act() -> None:
            self.view.played += 1
            self.show(seen)

        self.own(now_s, "played", seen, act if self.player is not None else None)
        return True

    def seek(self, position_s: float, now_s: float) -> None:
        assert self.player is not None
        while self._inside:
            self.perform(now_s)
        told = Known()
        self.view = self._new_view()
        for skipped in self.player.set(position_s, now_s):
            told.fold(skipped)
            self.view.state.fold(skipped)
        self._keep()
        self.tell(now_s, told.told())

    def tell(self, now_s: float, messages: list[bytes]) -> None:
        """The state after a seek."""
        first = True
        for payload in messages:
            self.model.learn(payload)
        for payload in messages:
            seen = self.account.seen(payload)
            if seen is not None:
                self.send(Sent(now_s, (text_frame(seen),), "told", seen, first))
                first = False
        if first:
            self.sent.append(Sent(now_s, (), "told", None, True))

    # PINGs and the end

    def _beat(self, now_s: float) -> None:
        due_s = self._beat_s
        self._beat_s += PING_S
        if any(deadline_s <= due_s for deadline_s in self._unanswered):
            self._close_s = due_s + GRACE_S
        else:
            self._soon(due_s, self._ping)

    def _ping(self, now_s: float) -> None:
        times = self.model.times("PING")
        self.pings += [now_s] * times
        if times and not self.answers:
            left_s = self._beat_s - now_s
            self._unanswered.append(self._beat_s if left_s >= PING_S / 2 else now_s + PING_S)

    def answer(self) -> None:
        """All PINGs are answered."""
        self._unanswered.clear()

    def end(self, now_s: float, frame: bytes | None) -> None:
        if self.is_open and frame is not None:
            self.sent.append(Sent(now_s, (frame,), "own"))
        self.is_open = False


class Model:
    """A server that plays `sockets`, one playback for all where `shared`."""

    def __init__(
        self,
        sockets: list[tuple[float, list[Cue]]],
        snapshot: dict[str, list[bytes]],
        accounts: list[Account],
        *,
        shared: bool,
        timeout_s: float,
        shows_timeout: list[bool],
    ) -> None:
        self.recorded = [cues for _, cues in sockets]
        self.shows_timeout = shows_timeout
        self.accounts = accounts
        self.is_shared = shared
        self.timeout_s = timeout_s
        self.merged = sorted(
            (
                cue._replace(at_s=cue.at_s + opened_s)
                for opened_s, cues in sockets
                for cue in whole(cues)
                # It is of the opening of one socket, not of a playback for all.
                if not (cue.message or b"").startswith(b'{"webSessionTimeout"')
            ),
            key=lambda cue: cue.at_s,
        )
        self.opening = Known()
        for kind, texts in snapshot.items():
            for text in texts:
                self.opening.put(kind, obj(text.decode()))
        for cue in self.merged:
            self.opening.fold(cue.message or b"", only_new=True)
        self.learn(*self.opening.told())
        self.sockets: list[Socket] = []
        self.sessions: list[Session] = []
        self.forget()

    def forget(self) -> None:
        """As after the start."""
        self.accepted = self.seeks = 0
        self.writes = Writes()
        self.faults: dict[int, tuple[str, tuple[str, ...]]] = {}
        self.speed, self.paused, self.ahead_s = 1.0, False, 0.0
        self.player: Player | None = None
        self.played, self.shown = Known(), Known(self.opening)
        for session in self.sessions:
            session.is_over = True
        for account in self.accounts:
            account.created.clear()

    def learn(self, *messages: bytes | None) -> None:
        """Accounts may name devices that stand in a message."""
        for payload in messages:
            for text in read(payload or b""):
                if text.kind == "devices":
                    for account in self.accounts:
                        account.learn(text.objects)

    def times(self, kind: str) -> int:
        """How often a whole text of a kind comes."""
        times = 1
        for fault, kinds in self.faults.values():
            if not kinds or kind in kinds:
                times *= {"loss": 0, "duplicate": 2}[fault]
        return times

    # Time

    @property
    def due_s(self) -> float:
        """When something happens by itself."""
        shared_s = math.inf if self.player is None else self.player.due_s
        return min([shared_s, *(one.due_s for one in self.sockets)])

    def let_pass(self, until_s: float) -> None:
        while (due_s := self.due_s) <= until_s:
            if self.player is not None and self.player.due_s == due_s:
                self.perform(due_s)
            else:
                min(self.sockets, key=lambda one: one.due_s).due(due_s)

    # Sessions

    def login(self, account: Account, now_s: float) -> Session:
        session = Session(account, now_s + self.ahead_s)
        self.sessions.append(session)
        self.begin(now_s)
        return session

    def lives(self, session: Session, now_s: float) -> bool:
        return not session.is_over and now_s + self.ahead_s - session.last_s < self.timeout_s

    def touch(self, session: Session, now_s: float) -> bool:
        """A call with its cookie."""
        if not self.lives(session, now_s):
            session.is_over = True
            return False
        session.last_s = now_s + self.ahead_s
        return True

    def state_for(self, session: Session) -> Known:
        if self.is_shared:
            return self.shown
        return self.opening if session.view is None else session.view.state

    def rest(self, session: Session, kind: str) -> list[bytes]:
        """What REST lists."""
        objects = self.writes.over(kind, self.state_for(session))
        return [one.text for one in objects if session.account.sees(kind, one)]

    def get(self, session: Session, kind: str, object_id: Any) -> Obj | None:
        known = self.state_for(session).get(kind, object_id)
        found = self.writes.get(kind, object_id, known)
        return found if found is not None and session.account.sees(kind, found) else None

    # Sockets

    def open(self, session: Session, now_s: float, *, answers: bool) -> Socket:
        self.accepted += 1
        socket = Socket(self, session, now_s, answers=answers)
        self.sockets.append(socket)
        script = min(self.accepted, len(self.recorded)) - 1
        timeout = b'{"webSessionTimeout":[%d]}' % round(self.timeout_s)
        if self.is_shared or not self.shows_timeout[script]:
            socket.own(now_s, "own", timeout)
        if not self.is_shared:
            cues = self.recorded[script]
            if not socket.account.everything:
                cues = whole(cues)
            socket.player = Player(cues, now_s, speed=self.speed, paused=self.paused)
            return socket
        for kind in KINDS:
            if self.played.lists[kind]:
                texts = [one.text for one in self.writes.over(kind, self.played)]
                seen = socket.account.seen(message(kind, texts)) if texts else None
                if seen is not None:
                    socket.send(Sent(now_s, (text_frame(seen),), "told", seen))
        self.begin(now_s)
        return socket

    def write(self, session: Session, kind: str, one: Obj, now_s: float, *, created: bool) -> None:
        """POST or PUT: it is pushed to the sockets that may see it."""
        self.writes.now[kind, one.id] = one
        if created and kind != "positions":
            session.account.created.add((kind, one.id))
        if created and kind == "positions":
            self.writes.created.append(one.id)
        payload = message(kind, [one.text])
        self.learn(payload)
        for socket in self.sockets:
            seen = socket.account.seen(payload)
            if socket.is_open and seen is not None:
                socket.own(now_s, "written", seen)

    def delete(self, kind: str, object_id: Any) -> None:
        self.writes.now[kind, object_id] = None

    def push(self, payload: bytes, now_s: float, socket: Socket | None) -> int:
        """A message that no recording holds, to one or to all; returns to how many. In shared
        playback the server's state has it even where nobody hears it.
        """
        self.learn(payload)
        if self.is_shared:
            self.fold_shared(payload)
        return sum(one.push(now_s, payload) for one in ([socket] if socket else self.sockets))

    # Playback

    @property
    def players(self) -> list[tuple[Player, Callable[[float], None]]]:
        """Those that play, and how each performs."""
        if self.is_shared:
            return [] if self.player is None else [(self.player, self.perform)]
        return [(one.player, one.perform) for one in self.sockets if one.player and one.is_open]

    def begin(self, now_s: float) -> None:
        if self.is_shared and self.player is None:
            self.player = Player(self.merged, now_s, speed=self.speed, paused=self.paused)

    def perform(self, now_s: float) -> None:
        """The next of shared playback."""
        assert self.player is not None
        cue = self.player.take()
        assert cue.message is not None
        self.learn(cue.message)
        self.fold_shared(cue.message)
        for socket in self.sockets:
            seen = socket.account.seen(cue.message)
            if socket.is_open and seen is not None:
                frames = cue.frames if seen is cue.message else (text_frame(seen),)
                socket.send(Sent(now_s, frames, "played", seen))

    def fold_shared(self, payload: bytes) -> None:
        self.played.fold(payload)
        self.shown.fold(payload)

    def change(
        self, now_s: float, *, speed: float | None = None, paused: bool | None = None
    ) -> None:
        self.speed = self.speed if speed is None else speed
        self.paused = self.paused if paused is None else paused
        for player, _ in self.players:
            player.change(now_s, speed=speed, paused=paused)

    def step(self, cues: int, now_s: float) -> None:
        for player, perform in self.players:
            for _ in range(min(cues, len(player.cues) - player.next)):
                perform(now_s)

    def seek(self, position_s: float, now_s: float) -> None:
        self.seeks += 1
        if not self.is_shared:
            for socket in self.sockets:
                if socket.is_open:
                    socket.seek(position_s, now_s)
                    assert socket.player is not None
                    socket.player.change(now_s, speed=self.speed, paused=self.paused)
            return
        self.player = Player(self.merged, now_s, speed=self.speed, paused=self.paused)
        self.played, self.shown = Known(), Known(self.opening)
        for skipped in self.player.set(position_s, now_s):
            self.fold_shared(skipped)
        for socket in self.sockets:
            if socket.is_open:
                socket.tell(now_s, self.played.told())
