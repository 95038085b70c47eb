"""FakeServer: everything behind one listener, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from fake_server.accounts import Accounts
from fake_server.asgi import ASGIApp
from fake_server.front import Front
from fake_server.hub import Hub, Playback
from fake_server.login import LoginFirst
from fake_server.violation_log import ViolationLog
from recorder.track.rules import Rules
from recorder.track.sessions import Sessions
from recorder.track.violations import Violation
from recorder.wire.frames import CloseCode, close_frame
from replayer.script import Source

__all__ = ["FakeServer"]


class FakeServer:
    """A Track backend that plays ``source`` and enforces ``rules``.

    ``hub.sockets`` are the open sockets, ``violations`` what clients did against the manual. Times
    are of trio's clock, so that a test may serve under a mock clock over memory streams: ``await
    server.run()`` in a nursery, then ``await server.handle(stream)`` for each connection;
    :meth:`serve` does both for listeners.
    """

    def __init__(
        self,
        source: Source,
        *,
        accounts: Accounts | None = None,
        rules: Rules | None = None,
        playback: Playback | None = None,
        on_violation: Callable[[Violation], None] | None = None,
    ) -> None:
        self.rules = rules or Rules()
        self.accounts = accounts or Accounts()
        self.violations = ViolationLog(on_violation)
        self.sessions = Sessions(self.rules)
        self.hub = Hub(
            source,
            rules=self.rules,
            playback=playback or Playback(),
            sessions=self.sessions,
            violations=self.violations,
        )
        self._source = source
        app = LoginFirst(
            self._make_rest,
            accounts=self.accounts,
            sessions=self.sessions,
            rules=self.rules,
            on_login=self.hub.on_login,
        )
        self._front = Front(
            app, self.hub, sessions=self.sessions, rules=self.rules, violations=self.violations
        )

    def _make_rest(self) -> ASGIApp:
        from fake_server.rest import rest_application

        app: ASGIApp = rest_application(
            self._source,
            self.hub.state_for,
            accounts=self.accounts,
            sessions=self.sessions,
            rules=self.rules,
            violations=self.violations,
        )
        return app

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep time and playback going, until cancelled."""
        await self.hub.run(task_status=task_status)

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection until it ends, and close it. Needs :meth:`run` beside it."""
        await self._front.handle(stream)

    async def stop(self) -> None:
        """Close every socket with 1001; cancel what runs the server after it."""
        await self.hub.close_all(close_frame(CloseCode.GOING_AWAY, "the server stops").serialize())

    async def serve(
        self,
        listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve listeners until cancelled; they are closed then."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.run)
            await nursery.start(trio.serve_listeners, self.handle, list(listeners))
            task_status.started()
