"""What a recording does not know, asked of the backend and added to the recording."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
import trio

from fake_server.exchange import Answer, HttpRequest
from recorder.backend import SESSION_PATH
from recorder.credentials import Credentials
from recorder.errors import Unreachable
from recorder.login import check_login, login_form
from recorder.sink import wall_clock_text
from replayer.editing.heading import edited_header
from replayer.editing.merging import Merging
from replayer.editing.strands import strands_of, survey
from replayer.editing.writing import Source, write_edited

__all__ = ["Forwarder", "add_to_recording"]

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
        try:
            async with self._logging_in:
                if not self._is_logged_in:
                    await self._log_in()
            response = await self._client.request(
                request.method, request.target, content=request.body, headers=headers
            )
        except httpx.TransportError as error:
            raise Unreachable(
                f"{request.method} {request.path} was forwarded to the backend, which did not "
                f"answer: {error}; is --track-url right?"
            ) from error
        content_type = response.headers.get("content-type")
        return Answer(
            response.status_code,
            response.content,
            () if content_type is None else (("Content-Type", content_type),),
        )

    async def _log_in(self) -> None:
        response = await self._client.post(SESSION_PATH, data=login_form(self._credentials))
        check_login("the backend", self._client, response)
        self._is_logged_in = True


def add_to_recording(path: Path, added: Path) -> None:
    """Put what ``added`` holds behind what ``path`` holds, as ``track-replayer edit merge`` does;
    ``path`` is replaced when all is written, and still tells when it was begun.

    Raises what reading recordings raises, RecordingError if one has no times, and DiskFailed.
    """
    joined = path.with_name(f".joined-{os.getpid()}-{path.name}")
    try:
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
            write_edited(joined, header, merging.entries(), sources, force=True)
        joined.replace(path)
    finally:
        joined.unlink(missing_ok=True)
