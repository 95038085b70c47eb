"""LiveServer: a TrackServer over a real backend, seen through the recording proxy."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlencode

import msgspec
import trio

from fake_server.connection import now_ns
from fake_server.expectations import Expectation, Expectations
from fake_server.findings import Finding, findings_of, open_socket_words
from fake_server.journal import Doing, Journal
from fake_server.server import FakeServer
from fake_server.testing.expect import Expect
from fake_server.testing.loops import Loop
from fake_server.testing.observing import Observer
from fake_server.testing.proxied import Proxied, proxying, words_of_proxy
from fake_server.testing.server import TrackServer
from fake_server.testing.settings import Settings
from fake_server.testing.thread import in_thread
from fake_server.testing.values import Login, OpenSocket
from recorder.backend import SESSION_PATH, Backend
from recorder.credentials import Credentials
from recorder.errors import RecorderError, Unreachable
from recorder.login import check_login
from recorder.redaction import Redactor
from recorder.track.violations import Violation

__all__ = ["LiveServer", "NeedsFake", "run_live_server"]

__tracebackhide__ = True
"""A failing test shows its own lines, not these."""

_LOGIN_TIMEOUT_S: Final = 30.0
_ROUND_TRIP_S: Final = 0.5


class NeedsFake(RecorderError):
    """A test asked for what a backend does for nobody. The message says what, and what to do."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}: only a fake server can do that, and this test runs against the backend"
            " (--track-mode=live, or to be recorded). Keep it out of that: in place of"
            ' recording=True give it a recording by its path, recording="some.track.jsonl", or'
            " none for the synthetic fleet"
        )


def _of_a_fake(name: str) -> Callable[..., NoReturn]:
    def refuse(self: TrackServer, *arguments: Any, **values: Any) -> NoReturn:
        raise NeedsFake(name)

    refuse.__name__ = name
    refuse.__doc__ = "Raises NeedsFake."
    return refuse


class LiveServer(TrackServer):
    """A backend as a test sees it that else runs against a fake: what clients do by way of the
    proxy is noted, judged and recorded.

    ``email`` and ``password`` are those of the credentials. Numbers of connections are the
    recording's, a socket's ``position_s`` is for how long it is open.

    *Error handling:* NeedsFake from all that steers a server; DiskFailed from any method once the
    recording cannot be written.
    """

    def __init__(
        self,
        proxied: Proxied,
        observer: Observer,
        journal: Journal,
        settings: Settings,
        credentials: Credentials,
        loop: Loop,
    ) -> None:
        super().__init__(
            None,
            settings,
            Backend.parse(proxied.base_url),
            credentials,
            loop,
            flush=proxied.flush,
            recorded_to=proxied.recorded_to,
        )
        self._proxied = proxied
        self._observer = observer
        self._noted = journal
        self._expectations = Expectations(journal)

    def __repr__(self) -> str:
        return f"<LiveServer at {self.base_url}>"

    # The recording

    def keep(self) -> None:
        """The recording shall take its place when the block ends, unless that fails. Of this and
        :meth:`keep_at` the last call counts.
        """
        self._proxied.keep()

    def keep_at(self, path: Path) -> None:
        """The recording shall go to ``path`` when the block ends, even if that fails, in place of
        its own.
        """
        self._proxied.keep_at(path)

    @property
    def was_used(self) -> bool:
        """Whether a client came: a request was answered or a socket opened."""
        return self._loop.call(
            lambda: bool(self._noted.counts["request"] or self._noted.counts["socket"])
        )

    # What clients did

    @property
    def violations(self) -> list[Violation]:
        """What clients did against the rules, as far as the bytes alone tell; the latest 10 000."""
        return self._loop.call(lambda: list(self._observer.violations.latest))

    @property
    def sockets(self) -> list[OpenSocket]:
        """The sockets that are open."""
        return self._loop.call(self._open_sockets)

    @property
    def expect(self) -> Expect:
        """Waits for what a client does. A pong may answer the backend's next PING, so that it is
        waited for longer by the interval of PINGs.
        """
        return Expect(self._fulfil, self.wait)

    @property
    def _journal(self) -> Journal:
        return self._noted

    def _open_sockets(self) -> list[OpenSocket]:
        return self._observer.sockets(self.email, self._proxied.now_ns())

    async def _fulfil(self, expectation: Expectation, *, within_s: float) -> Doing:
        if expectation.kind == "played":
            raise NeedsFake("expect.played")
        if expectation.kind == "pong" and not expectation.uuid:
            # A fake sends a PING at once, where none is unanswered.
            within_s += self.settings.rules.ping_interval_s
        return await self._expectations.fulfil(expectation, within_s=within_s)

    # What the server shall do

    def login(self, email: str | None = None) -> Login:
        """A new session, begun at the backend by ``POST /api/session`` (manual section 2); as no
        client did that, it is not among :attr:`doings`.

        Raises LookupError on another email than that of the credentials, LoginRefused, and
        Unreachable if there is no answer.
        """
        if email not in (None, self.email):
            raise LookupError(f"there is no password of {email!r}; there is one of {self.email}")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_LOGIN_TIMEOUT_S)
        try:
            connection.connect()
            host, port = connection.sock.getsockname()
            self._loop.call(lambda: self._observer.own_peers.add(f"{host}:{port}"))
            connection.request(
                "POST",
                SESSION_PATH,
                urlencode({"email": self.email, "password": self.password}),
                {"Content-Type": "application/x-www-form-urlencoded"},
            )
            answer = connection.getresponse()
            return Login(_session_cookie(answer, answer.read()))
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"POST {SESSION_PATH}: no answer of the backend: {error}") from error
        finally:
            connection.close()

    push = _of_a_fake("push")
    ping = _of_a_fake("ping")
    inject = _of_a_fake("inject")
    remove_fault = _of_a_fake("remove_fault")
    drop = _of_a_fake("drop")
    advance = _of_a_fake("advance")
    pause = _of_a_fake("pause")
    resume = _of_a_fake("resume")
    step = _of_a_fake("step")
    seek = _of_a_fake("seek")
    set_speed = _of_a_fake("set_speed")
    reset = _of_a_fake("reset")
    call = _of_a_fake("call")

    @property
    def fake(self) -> FakeServer:
        """Raises NeedsFake."""
        raise NeedsFake("fake")

    @property
    def admin_url(self) -> str:
        """Raises NeedsFake."""
        raise NeedsFake("admin_url")

    # The end

    async def _settled(self, *, open_sockets: bool) -> None:
        await super()._settled(open_sockets=open_sockets)
        if open_sockets:
            # That a client hung up without a close frame, the backend is to tell.
            with trio.move_on_after(_ROUND_TRIP_S):
                while self._open_sockets():
                    await self._journal.changed()

    def _found(self, allow: Sequence[str]) -> list[Finding]:
        redactor = Redactor("secrets")
        redactor.learn("password", self.password)
        problems = self._proxied.problems
        left_open = [
            open_socket_words(one.number, one.account, one.open_s, one.connection)
            for one in self._open_sockets()
        ]
        return findings_of(
            failures=[*self._observer.failures, *(f"the backend: {one}" for one in problems)],
            violations=self._observer.violations,
            left_open=left_open,
            redactor=redactor,
            allow=allow,
        )


@contextlib.contextmanager
def run_live_server(
    upstream_url: str,
    credentials: Credentials,
    path: Path,
    settings: Settings | None = None,
    *,
    ca_file: Path | None = None,
    check: bool = True,
    **values: Any,
) -> Iterator[LiveServer]:
    """Stand before the backend at ``upstream_url``, in a thread of its own on a free port of this
    machine, until the block ends. What passes is recorded and goes to ``path`` if
    :meth:`LiveServer.keep` is called, an old recording there or not.

    Of ``settings``, or of ``values`` for :meth:`Settings.of`, only ``rules``, the backend's, and
    ``allow`` count: the rest says how the recording is played. ``check`` is as in
    :func:`~fake_server.testing.server.run_track_server`.

    Raises NeedsFake on settings with faults, and what
    :func:`~fake_server.testing.proxied.proxying` raises.
    """
    settings = Settings.of(**values) if settings is None else settings
    if settings.faults:
        raise NeedsFake("faults")
    opened = partial(_opened, upstream_url, credentials, path, settings, ca_file)
    with in_thread(opened) as server:
        try:
            yield server
            if check:
                server.check()
        except BaseException:
            server._proxied.block_failed()
            raise


@contextlib.asynccontextmanager
async def _opened(
    upstream_url: str,
    credentials: Credentials,
    path: Path,
    settings: Settings,
    ca_file: Path | None,
    loop: Loop,
) -> AsyncIterator[LiveServer]:
    journal = Journal(now_ns)
    journal.learn_passwords([credentials.password])
    # That breaches are refused is ours, and no backend's.
    observer = Observer(journal, msgspec.structs.replace(settings.rules, strict=False))
    async with proxying(
        upstream_url,
        path,
        force=True,
        accounts=[credentials],
        ca_file=ca_file,
        observe=observer.feed,
    ) as proxied:
        yield LiveServer(proxied, observer, journal, settings, credentials, loop)


def _session_cookie(answer: http.client.HTTPResponse, body: bytes) -> str:
    """What stands in ``Cookie`` after this login."""
    why = words_of_proxy(answer.status, body)
    if why is not None:
        raise Unreachable(why)
    cookies = [value.partition(";")[0] for value in answer.headers.get_all("Set-Cookie", [])]
    return check_login("the backend", answer.status, "; ".join(cookies))
