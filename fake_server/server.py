"""FakeServer: everything behind one listener, put together."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias

import trio

from fake_server.accounts import Accounts
from fake_server.admin import Admin
from fake_server.connection import now_ns
from fake_server.control import Control
from fake_server.desk import SessionDesk
from fake_server.exchange import Answer, HttpRequest, is_for_admin
from fake_server.faults import FaultBoard, Injection
from fake_server.front import Front, TapStream
from fake_server.handshake import Gate
from fake_server.hub import Hub
from fake_server.journal import Journal
from fake_server.pace import Pace
from fake_server.playback import Playback
from fake_server.violation_log import ViolationLog
from fake_server.written import Written
from recorder.track.rules import Rules
from recorder.track.violations import Violation
from recorder.wire.frames import CloseCode, close_frame
from replayer.playing.script import Source

__all__ = ["FakeServer", "LastFrames"]

LastFrames: TypeAlias = Callable[[int], Awaitable[list[str]]]
"""The last so many messages and exchanges of a recording, a line each."""

_MAX_FAILURES: Final = 20
_STOPPING: Final = close_frame(CloseCode.GOING_AWAY, "the server stops").serialize()


class FakeServer:
    """A Track backend that plays ``source`` and enforces ``rules``.

    ``violations`` is what clients did against the manual, ``faults`` what goes wrong on purpose
    (``fault_seed`` decides all chance in it), ``control`` what a test or a person may do meanwhile:
    pause, push, drop, let a day pass. ``hub.sockets`` are the open sockets. ``admin_token`` opens
    ``/__admin`` to other machines. ``tap`` wraps each connection's stream, to record it.
    ``journal`` is what clients did. ``forward`` answers REST requests that are neither computed nor
    recorded, in the place of 404. ``last_frames`` gives the last of what ``tap`` records, in lines;
    ``on_note`` takes what that recording should tell and no bytes show.

    An error of the server's own while it serves a client is a bug: the tracebacks of the first 20
    are ``failures``, and ``on_error`` is called with each; without it they are printed.

    Times are of trio's clock, so that a test may serve under a mock clock over memory streams:
    ``await server.run()`` in a nursery, then ``await server.handle(stream)`` for each connection;
    :meth:`serve` does both for listeners.
    """

    def __init__(
        self,
        source: Source,
        *,
        accounts: Accounts | None = None,
        rules: Rules | None = None,
        playback: Playback | None = None,
        faults: Iterable[Injection] = (),
        fault_seed: int = 0,
        admin_token: str | None = None,
        on_violation: Callable[[Violation], None] | None = None,
        on_error: Callable[[BaseException], None] | None = None,
        tap: TapStream | None = None,
        forward: Callable[[HttpRequest], Awaitable[Answer]] | None = None,
        last_frames: LastFrames | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        self.rules = rules or Rules()
        self.accounts = accounts or Accounts()
        self.violations = ViolationLog(on_violation)
        self.journal = Journal(now_ns)
        self.journal.learn_passwords(one.password for one in self.accounts.credentials)
        self.failures: list[str] = []
        self.last_frames = last_frames
        self._on_error = on_error or traceback.print_exception
        self.desk = SessionDesk(self.rules, now_ns)
        self.written = Written()
        self.faults = FaultBoard(faults, seed=fault_seed)
        self._pace = pace = Pace(self.rules)
        self.hub = Hub(
            source,
            rules=self.rules,
            settings=playback or Playback(),
            accounts=self.accounts,
            desk=self.desk,
            violations=self.violations,
            journal=self.journal,
            written=self.written,
            faults=self.faults,
            pace=pace,
        )
        self.control = Control(
            self.hub,
            accounts=self.accounts,
            desk=self.desk,
            violations=self.violations,
            journal=self.journal,
            written=self.written,
            faults=self.faults,
            failures=self.failures,
            on_note=on_note,
        )
        self._source = source
        self._forward = forward
        self._rest: Callable[[HttpRequest], Answer] | None = None
        self._admin = Admin(self, token=admin_token)
        gate = Gate(rules=self.rules, desk=self.desk, pace=pace, violations=self.violations)
        self._front = Front(
            self._answer,
            self.hub,
            gate,
            faults=self.faults,
            journal=self.journal,
            on_error=self._failed,
            tap=tap,
        )

    def _failed(self, error: BaseException) -> None:
        if len(self.failures) < _MAX_FAILURES:
            self.failures.append("".join(traceback.format_exception(error)))
        self._on_error(error)

    def _answer(self, request: HttpRequest) -> Answer:
        if is_for_admin(request):
            return self._admin(request)
        return self._get_rest()(request)

    def _get_rest(self) -> Callable[[HttpRequest], Answer]:
        if self._rest is None:
            from fake_server.rest import Rest

            self._rest = Rest(
                self._source,
                self.hub.state_for,
                accounts=self.accounts,
                desk=self.desk,
                rules=self.rules,
                violations=self.violations,
                written=self.written,
                pace=self._pace,
                on_login=lambda session: self.hub.playback.on_login(),
                on_logout=self.hub.on_logout,
                on_written=self.hub.on_written,
                forward=self._forward,
            )
        return self._rest

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep time and playback going, until cancelled."""
        # The listener listens already, and nobody waits longer. Later there may be no file
        # descriptor left to import with.
        self._get_rest()
        await self.hub.run(task_status=task_status)

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection until it ends, and close it. Needs :meth:`run` beside it."""
        await self._front.handle(stream)

    async def stop(self) -> None:
        """Close every socket with 1001; cancel what runs the server after it."""
        await self.hub.close_all(_STOPPING)

    async def serve(
        self,
        listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve listeners until cancelled; they are closed then."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.run)
            await nursery.start(trio.serve_listeners, self._front.handle, list(listeners))
            task_status.started()
