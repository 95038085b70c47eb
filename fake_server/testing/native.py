"""A fake server in the test's own trio run: on its clock, over memory streams.

Under :class:`trio.testing.MockClock` with autojump nobody waits: a day of PINGs, playback and
sessions passes as fast as the client under test answers.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final

import trio
import trio.testing

from fake_server.testing import memory
from fake_server.testing.loops import Here
from fake_server.testing.server import TrackServer, watched
from fake_server.testing.settings import Settings
from recorder.backend import Backend

if TYPE_CHECKING:
    import httpx
    from trio_websocket import WebSocketConnection

__all__ = ["NativeTrackServer", "open_track_server"]

__tracebackhide__ = True
"""A failing test shows its own lines, not these."""

_ADDRESS: Final = Backend(tls=False, host="127.0.0.1", port=80)
"""Nobody listens there: it is the name by which requests call the server."""


class NativeTrackServer(TrackServer):
    """A :class:`TrackServer` of the caller's own trio run; what waits is awaited. ``nursery``
    serves the connections that are made here.
    """

    def __init__(self, nursery: trio.Nursery, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._nursery = nursery

    def http_client(self, **options: Any) -> httpx.AsyncClient:
        """An httpx client, to be used as a context manager, whose requests reach this server;
        ``options`` are those of httpx.AsyncClient.
        """
        return memory.http_client(self.fake, self._nursery, **options)

    def open_websocket(
        self, cookie: str | None = None
    ) -> AbstractAsyncContextManager[WebSocketConnection]:
        """A socket by trio-websocket, closed at the end of the block; ``cookie`` is the value of
        the ``Cookie`` header, a new session's if there is none. Raises HandshakeRefused.
        """
        own = self.login().cookie if cookie is None else cookie
        return memory.open_websocket(self.fake, self._nursery, cookie=own)

    def connect(self) -> trio.abc.HalfCloseableStream:
        """A raw connection, for a client that brings its own protocol. The caller closes it."""
        return memory.connect(self.fake, self._nursery)


@contextlib.asynccontextmanager
async def open_track_server(
    settings: Settings | None = None,
    *,
    nursery: trio.Nursery | None = None,
    check: bool = True,
    **values: Any,
) -> AsyncIterator[NativeTrackServer]:
    """Run a server in this trio run until the block ends, in ``nursery`` or one of its own.

    ``values`` are those of :meth:`Settings.of`, if no ``settings`` are given. ``check``: at the end
    of a block that raised nothing, raise ContractBroken if something is wrong. What the block
    raises comes out as it is.
    """
    settings = Settings.of(**values) if settings is None else settings
    raised: BaseException | None = None
    async with contextlib.AsyncExitStack() as stack:
        fake, _ = await stack.enter_async_context(watched(settings, None, _ADDRESS))
        if nursery is None:
            nursery = await stack.enter_async_context(trio.open_nursery())
        scope = trio.CancelScope()

        async def run(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            with scope:
                async with trio.open_nursery() as connections:
                    await connections.start(fake.run)
                    server.append(
                        NativeTrackServer(
                            connections,
                            fake,
                            settings,
                            _ADDRESS,
                            fake.accounts.credentials[0],
                            Here(),
                        )
                    )
                    task_status.started()
                    await trio.sleep_forever()

        server: list[NativeTrackServer] = []
        await nursery.start(run)
        try:
            yield server[0]
            if check:
                await trio.testing.wait_all_tasks_blocked()
                server[0].check()
        except BaseException as error:  # noqa: BLE001 - raised below, outside of the nursery
            raised = error
        finally:
            with trio.CancelScope(shield=True):
                await fake.stop()
            scope.cancel()
    if raised is not None:
        raise raised
