"""What a recording does not know, asked of the backend and added to the recording."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import trio

from fake_server.exchange import Answer, HttpRequest
from fake_server.testing.proxied import words_of_proxy
from recorder.backend import SESSION_PATH
from recorder.credentials import Credentials
from recorder.destination import unfinished_path
from recorder.errors import Unreachable
from recorder.login import check_login, cookie_header, login_form
from recorder.sink import wall_clock_text
from replayer.editing.heading import edited_header
from replayer.editing.merging import Merging
from replayer.editing.strands import strands_of, survey
from replayer.editing.writing import Source, write_edited

__all__ = ["Forwarder", "joined"]

_TIMEOUT_S: Final = 30.0
_FORWARDED: Final = ("accept", "content-type")


class Forwarder:
    """Asks the backend at ``base_url``, a recording proxy before it, in a session of its own.

    An async context manager; leaving it closes its connections. The session begins with the first
    request (manual section 2).
    """

    def __init__(self, base_url: str, credentials: Credentials) -> None:
        self._credentials = credentials
        self._logging_in = trio.Lock()
        self._is_logged_in = False
        self._client = httpx.AsyncClient(
            base_url=base_url,
            timeout=_TIMEOUT_S,
            trust_env=False,
            headers={"Accept-Encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def ask(self, request: HttpRequest) -> Answer:
        """The backend's answer to a client's request. The client's cookies are not the backend's,
        and stay here. Raises LoginRefused, and Unreachable if there is no answer.
        """
        headers = {name: value for name in _FORWARDED if (value := request.header(name))}
        # As a fake answers it: the answer to a GET, whose body stays behind.
        method = "GET" if request.method == "HEAD" else request.method
        async with self._logging_in:
            if not self._is_logged_in:
                await self._log_in()
        response = await self._send(method, request.target, content=request.body, headers=headers)
        content_type = response.headers.get("content-type")
        return Answer(
            response.status_code,
            response.content,
            () if content_type is None else (("Content-Type", content_type),),
        )

    async def _log_in(self) -> None:
        response = await self._send("POST", SESSION_PATH, data=login_form(self._credentials))
        check_login("the backend", response.status_code, cookie_header(self._client))
        self._is_logged_in = True

    async def _send(self, method: str, target: str, **content: Any) -> httpx.Response:
        try:
            response = await self._client.request(method, target, **content)
            why = words_of_proxy(response.status_code, response.content)
        except httpx.TransportError as error:
            response, why = None, str(error)
        if response is None or why is not None:
            raise Unreachable(
                f"{method} {target.partition('?')[0]} was forwarded to the backend, which did not"
                f" answer: {why}"
            )
        return response


def joined(path: Path, added: Path) -> Path:
    """What ``added`` holds behind what ``path`` holds, as ``track-replayer edit merge`` does it;
    but it still tells when ``path`` was begun. It is written beside ``path``, to take its place.

    Raises what reading recordings raises, RecordingError if one has no times, and DiskFailed.
    """
    final, _ = unfinished_path(path, force=True)
    whole = final.with_name(f".joined-{os.getpid()}-{final.name}")
    with ExitStack() as opened:
        sources = [opened.enter_context(Source([one])) for one in (path, added)]
        pieces = []
        for source in sources:
            with Source(source.paths) as first:
                pieces.append(survey(first.name, first.header, first.entries(), source.entries))
        merging = Merging(strands_of(pieces))
        header = edited_header(
            [source.header for source in sources],
            "merge",
            {},
            started_at=wall_clock_text(merging.start_ns),
        )
        write_edited(whole, header, merging.entries(), sources, force=True)
    return whole
