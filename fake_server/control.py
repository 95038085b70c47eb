"""What a test or a person may do to a running server: playback, clocks, sockets, reset.

All of it is synchronous and takes effect at once, but :meth:`Control.expect`, which waits; the
control API (:mod:`fake_server.admin`) offers the same over HTTP.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from typing import Any, Final, Literal

from fake_server.accounts import Accounts
from fake_server.connection import Socket, now_ns
from fake_server.desk import SessionDesk
from fake_server.expectations import Expectation, Expectations
from fake_server.faults import FaultBoard
from fake_server.hub import Hub
from fake_server.journal import Doing, Journal
from fake_server.messages import ping_message
from fake_server.violation_log import ViolationLog
from fake_server.written import Written
from recorder.track.sessions import SESSION_NOTE
from recorder.wire.frames import CloseCode, close_frame

__all__ = ["Control"]

_MAX_POSITION_S: Final = 31 * 86400.0
"""An endless playback could be sought for ever."""


class Control:
    """Steers a server.

    *Error handling:* ValueError, saying what was given and what was expected, on a value that
    cannot be; LookupError on a socket or fault that is not there.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        accounts: Accounts,
        desk: SessionDesk,
        violations: ViolationLog,
        journal: Journal,
        written: Written,
        faults: FaultBoard,
        failures: list[str],
        on_note: Callable[[str], None] | None,
    ) -> None:
        self.hub = hub
        self.desk = desk
        self.violations = violations
        self.journal = journal
        self.expectations = Expectations(journal)
        self.written = written
        self.faults = faults
        self._accounts = accounts
        self._failures = failures
        self._on_note = on_note

    # Playback

    def pause(self) -> None:
        """Playback stands still, of sockets that open later too. PINGs and sessions go on."""
        self.hub.playback.paused = True
        for clock in self.hub.playback.clocks():
            clock.pause()

    def resume(self) -> None:
        """Playback goes on from where it stands."""
        self.hub.playback.paused = False
        for clock in self.hub.playback.clocks():
            clock.resume()

    def step(self, cues: int = 1) -> None:
        """While paused: the next ``cues`` frames of every playback go out now."""
        if cues < 1:
            raise ValueError(f"step {cues}: expected a count, 1 or more")
        if not self.hub.playback.paused:
            raise ValueError("step: playback is not paused; pause it first")
        for clock in self.hub.playback.clocks():
            clock.step(cues)

    def seek(self, position_s: float) -> None:
        """Every playback goes on from ``position_s`` seconds behind its start. Clients are told the
        state there, one message a kind, then the changes.
        """
        if not 0 <= position_s <= _MAX_POSITION_S:
            raise ValueError(
                f"seek {position_s:g}: expected seconds from 0 to {_MAX_POSITION_S:g} (31 days)"
            )
        self.hub.playback.seek(round(position_s * 1e9))

    def set_speed(self, speed: float) -> None:
        """Playback goes on at ``speed`` times the recorded pace; infinity makes all due at once."""
        if not speed > 0:
            raise ValueError(f"speed {speed:g}: expected a factor above 0")
        self.hub.playback.speed = speed
        for clock in self.hub.playback.clocks():
            clock.set_speed(speed)

    # Sessions

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass for sessions, and for nothing else."""
        self.desk.advance(seconds)
        self.hub.session_clock_jumped()

    def login(self, email: str | None = None) -> str:
        """Log an account in, the first unless it is named, without a request of a client; returns
        what stands in ``Cookie`` from now on. Raises LookupError where there is no such account.
        """
        emails = self._accounts.emails
        email = next(iter(emails), "") if email is None else email
        if email not in emails:
            there = ", ".join(emails) or "none"
            raise LookupError(f"there is no account {email[:80]!r}; there are: {there}")
        session = self.desk.login(email)
        if self._on_note is not None:
            self._on_note(SESSION_NOTE)
        self.hub.playback.on_login()
        return self.desk.set_cookie_header(session).partition(";")[0]

    # Sockets

    def ping(self, socket: int | None = None) -> list[str]:
        """Send a PING now, to one socket or to all; returns the uuids. It is to be answered like
        every other. Faults may still change, keep or lose it, and between the fragments of a
        message it waits.
        """
        sockets = self.open_sockets if socket is None else [self.socket(socket)]
        return [_ping(one) for one in sockets]

    def push(self, message: bytes, *, socket: int | None = None) -> int:
        """Send a text message to one socket, by its number, or to all that may see it; returns to
        how many.
        """
        return self.hub.push(message, socket=None if socket is None else self.socket(socket))

    def drop(
        self,
        *,
        socket: int | None = None,
        how: Literal["close", "fin", "rst"] = "close",
        code: int = CloseCode.GOING_AWAY,
        reason: str = "",
    ) -> int:
        """End one socket, or all, whatever faults would have: with a close frame, or TCP by FIN or
        RST; returns how many.
        """
        sockets = self.open_sockets if socket is None else [self.socket(socket)]
        if how not in ("close", "fin", "rst"):
            raise ValueError(f"drop {how!r}: expected close, fin or rst")
        if not 0 <= code <= 65535:
            raise ValueError(f"code {code}: expected a close code from 0 to 65535")
        frame = close_frame(code, reason).serialize()
        for one in sockets:
            if how == "close":
                one.finish(frame)
            else:
                one.cut(how)
        return len(sockets)

    @property
    def open_sockets(self) -> list[Socket]:
        """Those that messages can be sent to: not the ones that are being closed."""
        return [socket for socket in self.hub.sockets if socket.is_open]

    def socket(self, number: int) -> Socket:
        """The open socket of that number."""
        for socket in self.open_sockets:
            if socket.number == number:
                return socket
        open_ones = ", ".join(str(one.number) for one in self.open_sockets) or "none"
        raise LookupError(f"there is no open socket {number}; open are: {open_ones}")

    # What clients do

    async def expect(self, expectation: Expectation, *, within_s: float = 2.0) -> Doing:
        """Wait until a client does this, or take what it did and nobody expected before.

        Who expects a pong need not wait for the next PING: where none is unanswered, one is sent to
        each of the sockets, also to those that open meanwhile. Raises ExpectationFailed after
        ``within_s`` seconds.
        """
        pinged: set[int] = set()

        def ping() -> None:
            sockets = [one for one in self.open_sockets if expectation.socket in (None, one.number)]
            if not any(one.heartbeat.unanswered for one in sockets):
                for one in sockets:
                    if one.number not in pinged:
                        pinged.add(one.number)
                        _ping(one)

        needs_ping = expectation.kind == "pong" and not expectation.uuid
        return await self.expectations.fulfil(
            expectation, within_s=within_s, urge=ping if needs_ping else None
        )

    # All of it

    def reset(self) -> None:
        """Be as after the start: what clients did and wrote, faults, violations, failures of the
        server, sessions and playback are forgotten, and every socket is closed with 1001.
        """
        self.faults.reset()
        self.written.reset()
        self._accounts.reset()
        self.desk.reset()
        self.violations.clear()
        self._failures.clear()
        self.hub.restart()
        self.journal.clear()
        self.expectations.clear()

    def status(self) -> dict[str, Any]:
        """What is going on, as JSON has it. Sessions are shown without their ids, accounts as
        their emails."""
        playback = self.hub.playback
        positions = playback.position_ns()
        at_ns = now_ns()
        return {
            "playback": {
                "mode": self.hub.settings.mode,
                "paused": playback.paused,
                "speed": "max" if playback.speed == math.inf else playback.speed,
            },
            "sockets": [
                {
                    "number": socket.number,
                    "connection": socket.connection,
                    "account": socket.session.account,
                    "open_s": round((at_ns - socket.opened_ns) / 1e9, 3),
                    "position_s": round(positions.get(socket.number, 0) / 1e9, 3),
                    "messages_sent": socket.messages_sent,
                    "pings": socket.heartbeat.pings,
                    "pongs": socket.heartbeat.answered,
                    "unanswered": list(socket.heartbeat.unanswered),
                }
                for socket in self.open_sockets
            ],
            "sockets_accepted": self.hub.accepted,
            "accounts": list(self._accounts.emails),
            "sessions": [
                {
                    "account": session.account,
                    "expires_in_s": round((self.desk.expires_in_ns(session.id) or 0) / 1e9, 3),
                }
                for session in self.desk.live
            ],
            "faults": len(self.faults.injections),
            "violations": dict(sorted(self.violations.counts.items())),
        }


def _ping(socket: Socket) -> str:
    new = str(uuid.uuid4())
    socket.offer_message(ping_message(new), ping=new)
    return new
