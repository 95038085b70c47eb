"""What a recording lacks is asked of the backend while a fake plays it, and added at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType

from fake_server.exchange import Answer, HttpRequest
from fake_server.testing.forwarding import Forwarder, joined
from fake_server.testing.proxied import proxying
from recorder.credentials import Credentials

__all__ = ["Adding"]


class Adding:
    """An async context manager for the trio run of the fake that plays ``recording``: it gives what
    asks the backend at ``upstream_url`` in the place of a 404.

    What is asked is recorded at ``added`` by a proxy, redacted. After the block :meth:`joined` puts
    it into the recording. ``ca_file`` (PEM) holds the authorities to trust. Entering raises what
    :func:`~fake_server.testing.proxied.proxying` does.
    """

    def __init__(
        self,
        recording: Path,
        upstream_url: str,
        credentials: Credentials,
        *,
        added: Path,
        ca_file: Path | None = None,
    ) -> None:
        self.asked: list[str] = []
        """What was asked: method and path."""
        self._recording = recording
        self._upstream_url = upstream_url
        self._credentials = credentials
        self._added = added
        self._ca_file = ca_file
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Callable[[HttpRequest], Awaitable[Answer]]:
        async with contextlib.AsyncExitStack() as stack:
            proxied = await stack.enter_async_context(
                proxying(
                    self._upstream_url,
                    self._added,
                    accounts=[self._credentials],
                    ca_file=self._ca_file,
                )
            )
            forwarder = await stack.enter_async_context(
                Forwarder(proxied.base_url, self._credentials)
            )
            proxied.keep()
            self._open = stack.pop_all()

        async def ask(request: HttpRequest) -> Answer:
            self.asked.append(f"{request.method} {request.path.partition(';')[0]}")
            return await forwarder.ask(request)

        return ask

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._open.__aexit__(kind, error, trace)

    def joined(self) -> Path:
        """What was asked, put into the recording; after the block. What it gives and raises is as
        of :func:`~fake_server.testing.forwarding.joined`.
        """
        return joined(self._recording, self._added)
