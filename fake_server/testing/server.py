"""TrackServer: the running fake that a test holds in its hands."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

import msgspec
import trio

from fake_server.exchange import Answer, HttpRequest
from fake_server.findings import Finding, caught_up, findings, report
from fake_server.server import FakeServer
from fake_server.testing.loops import Elsewhere, Loop, Waited, running_library
from fake_server.testing.settings import FaultLike, Settings, fault_of
from fake_server.testing.thread import in_thread
from fake_server.testing.values import ContractBroken, Login, OpenSocket
from recorder.backend import Backend
from recorder.credentials import Credentials
from recorder.track.violations import Violation

if TYPE_CHECKING:
    from fake_server.journal import Doing, Journal
    from fake_server.recording import ServerRecording
    from fake_server.testing.expect import Expect

__all__ = ["Forwards", "TrackServer", "run_track_server"]

__tracebackhide__ = True
"""A failing test shows its own lines, not these."""

T = TypeVar("T")

Forwards: TypeAlias = AbstractAsyncContextManager[Callable[[HttpRequest], Awaitable[Answer]]]
"""Gives what answers requests that are neither computed nor recorded. It is entered in the server's
trio run before the server, and left after it.
"""


class TrackServer:
    """A fake that runs, for a test in plain code, asyncio or trio alike.

    ``base_url`` and ``ws_url`` are where clients find it, ``email`` and ``password`` those of its
    first account. All methods act at once, before they return; those of :attr:`expect`, and
    :meth:`wait_for`, wait: a plain test is blocked meanwhile, a test in asyncio or trio writes
    ``await`` before them.

    *Error handling:* ValueError on a value that cannot be, LookupError on a socket or fault that is
    not there, RuntimeError once the server has ended.
    """

    def __init__(
        self,
        fake: FakeServer | None,
        settings: Settings,
        address: Backend,
        account: Credentials,
        loop: Loop,
        *,
        flush: Callable[[], None] | None = None,
        recorded_to: Path | None = None,
    ) -> None:
        self._fake = fake
        self.settings = settings
        self.base_url = address.http_url
        self.ws_url = address.socket_url
        self.host, self.port = address.host, address.port
        self.email = account.email
        self.password = account.password
        self.recorded_to = recorded_to
        """Where what clients do is recorded, None where it is not."""
        self.waits: list[Waited[Any]] = []
        """All that was waited for."""
        self._loop = loop
        self._flush = flush

    def __repr__(self) -> str:
        return f"<TrackServer at {self.base_url}>"

    @property
    def fake(self) -> FakeServer:
        """The server itself. Only from the loop that it runs in: see :meth:`call`."""
        if self._fake is None:
            raise RuntimeError("there is no fake server here")
        return self._fake

    @property
    def admin_url(self) -> str:
        """Where the control API answers."""
        return f"{self.base_url}/__admin"

    def call(self, do: Callable[[FakeServer], T]) -> T:
        """Call ``do`` with the server in its own loop; it must not wait."""
        return self._loop.call(functools.partial(do, self.fake))

    # What clients did

    @property
    def violations(self) -> list[Violation]:
        """What clients did against the rules, in order; the latest 10 000."""
        return self.call(lambda fake: list(fake.violations.latest))

    @property
    def sockets(self) -> list[OpenSocket]:
        """The sockets that are open."""
        status = self.call(lambda fake: fake.control.status())
        return [
            msgspec.convert({**one, "unanswered": tuple(one["unanswered"])}, OpenSocket)
            for one in status["sockets"]
        ]

    @property
    def doings(self) -> list[Doing]:
        """What clients did, in order; the latest 10 000."""
        return self._loop.call(lambda: list(self._journal.kept))

    @property
    def requests(self) -> list[Doing]:
        """The HTTP requests that came, with what they were answered."""
        return [doing for doing in self.doings if doing.kind == "request"]

    def last_frames(self, count: int = 12) -> list[str]:
        """The last messages and HTTP exchanges, a line each, as ``track-replayer show`` has them;
        without secrets. Empty if nothing is recorded.
        """
        if self._flush is None or self.recorded_to is None:
            return []
        from fake_server.last_frames import last_frames

        self._loop.call(self._flush)
        return last_frames(self.recorded_to, count)

    # Waiting

    @property
    def expect(self) -> Expect:
        """Waits for what a client does, and says what it did instead."""
        from fake_server.testing.expect import Expect

        return Expect(self.fake.control.expect, self.wait)

    def wait_for(
        self, holds: Callable[[TrackServer], object], *, within_s: float = 2.0, what: str = ""
    ) -> Waited[Any]:
        """Wait until ``holds`` of this server is true; gives what it returned. It is asked again
        whenever a client did something. ``what`` names it in the error, an ExpectationFailed.
        """
        from fake_server.testing.expect import until

        here = copy.copy(self)
        here._loop = _HERE
        words = what or getattr(holds, "__name__", "what was waited for")
        wait = functools.partial(until, self._journal, lambda: holds(here), words, within_s)
        return self.wait(f"wait_for {words}", wait)

    @property
    def _journal(self) -> Journal:
        return self.fake.journal

    def wait(self, words: str, do: Callable[[], Any]) -> Waited[Any]:
        """Await ``do`` in the server's loop."""
        waited: Waited[Any] = self._loop.wait(words, do)
        self.waits.append(waited)
        return waited

    # What the server shall do

    def login(self, email: str | None = None) -> Login:
        """A new session of an account, the first unless named, without a request for it."""

        return Login(self.call(lambda fake: fake.control.login(email)))

    def push(self, message: str | bytes | Mapping[str, Any], *, socket: int | None = None) -> int:
        """Send a message that no recording holds to one socket, or to all that may see it; returns
        to how many. A text goes out as it is, a mapping as JSON.
        """
        match message:
            case str():
                data = message.encode()
            case bytes():
                data = message
            case _:
                data = msgspec.json.encode(message)
        return self.call(lambda fake: fake.control.push(data, socket=socket))

    def ping(self, socket: int | None = None) -> list[str]:
        """Send a PING now, to one socket or to all; returns their uuids."""
        return self.call(lambda fake: fake.control.ping(socket))

    def inject(self, fault: FaultLike) -> int:
        """Set a fault, on open sockets too; returns its number."""
        injection = fault_of(fault)
        return self.call(lambda fake: fake.faults.add(injection))

    def remove_fault(self, number: int | None = None) -> None:
        """Take a fault away, or all."""

        def do(fake: FakeServer) -> None:
            if number is None:
                fake.faults.clear()
            elif not fake.faults.remove(number):
                raise LookupError(f"there is no fault {number}")

        self.call(do)

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass for sessions. Playback and PINGs keep their time."""
        self.call(lambda fake: fake.control.advance(seconds))

    def drop(
        self,
        socket: int | None = None,
        *,
        how: Literal["close", "fin", "rst"] = "close",
        code: int = 1001,
        reason: str = "",
    ) -> int:
        """End one socket or all, by a close frame, or TCP by FIN or RST; returns how many."""
        return self.call(
            lambda fake: fake.control.drop(socket=socket, how=how, code=code, reason=reason)
        )

    def pause(self) -> None:
        """Playback stands still."""
        self.call(lambda fake: fake.control.pause())

    def resume(self) -> None:
        """Playback goes on."""
        self.call(lambda fake: fake.control.resume())

    def step(self, cues: int = 1) -> None:
        """While paused, let the next frames out."""
        self.call(lambda fake: fake.control.step(cues))

    def seek(self, position_s: float) -> None:
        """Playback goes on from there."""
        self.call(lambda fake: fake.control.seek(position_s))

    def set_speed(self, speed: float) -> None:
        """Playback goes on so many times as fast; infinity makes all due at once."""
        self.call(lambda fake: fake.control.set_speed(speed))

    def reset(self) -> None:
        """Be as after the start."""
        self.call(lambda fake: fake.control.reset())

    # The end

    def findings(self, *, open_sockets: bool = True) -> list[Finding]:
        """What a test shall fail for, as things stand: the server first does what is still to do.
        ``open_sockets``: whether a socket that is open is one of them.
        """
        allow = self.settings.allow if open_sockets else (*self.settings.allow, "socket.left-open")
        if running_library() is None and isinstance(self._loop, Elsewhere):
            settled = functools.partial(self._settled, open_sockets=open_sockets)
            self._loop.wait("the server", settled)
        return self._loop.call(lambda: self._found(allow))

    async def _settled(self, *, open_sockets: bool) -> None:
        """Wait until what clients did is known. Whether ``open_sockets`` matter."""
        await caught_up()

    def _found(self, allow: Sequence[str]) -> list[Finding]:
        return findings(self.fake, require_all=self.settings.require_all, allow=allow)

    def check(self) -> None:
        """Raise ContractBroken if there are :meth:`findings`."""
        found = self.findings()
        if found:
            raise ContractBroken("\n".join(report(found)), found)


class _Here:
    def call(self, do: Callable[[], T]) -> T:
        return do()

    def wait(self, words: str, do: Callable[[], Any]) -> Waited[Any]:
        raise RuntimeError(f"{words}: what is waited for must not wait itself")


_HERE: Final = _Here()


@contextlib.contextmanager
def run_track_server(
    settings: Settings | None = None,
    *,
    record_to: Path | None = None,
    check: bool = True,
    adding: Forwards | None = None,
    **values: Any,
) -> Iterator[TrackServer]:
    """Run a server in a thread of its own, on a free port of this machine, until the block ends.

    ``values`` are those of :meth:`Settings.of`, if no ``settings`` are given. ``record_to``: what
    clients do is recorded there, without secrets. ``check``: at the end of a block that raised
    nothing, raise ContractBroken if something is wrong. ``adding`` gives what answers requests that
    are neither computed nor recorded.

    Raises what reading the files of the settings raises, and what ``adding`` does.
    """
    settings = Settings.of(**values) if settings is None else settings
    with in_thread(functools.partial(_opened, settings, record_to, adding)) as server:
        yield server
        if check:
            server.check()


@contextlib.asynccontextmanager
async def _opened(
    settings: Settings, record_to: Path | None, adding: Forwards | None, loop: Loop
) -> AsyncIterator[TrackServer]:
    """A server that listens, in this trio run; its sockets are closed with 1001 at the end."""
    async with contextlib.AsyncExitStack() as stack:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        for listener in listeners:
            await stack.enter_async_context(listener)
        host, port = listeners[0].socket.getsockname()[:2]
        address = Backend(tls=False, host=host, port=port)
        fake, recording = await stack.enter_async_context(
            watched(settings, record_to, address, adding)
        )
        nursery = await stack.enter_async_context(trio.open_nursery())
        await nursery.start(fake.run)
        await nursery.start(trio.serve_listeners, fake.handle, listeners)
        yield TrackServer(
            fake,
            settings,
            address,
            fake.accounts.credentials[0],
            loop,
            flush=None if recording is None else recording.flush,
            recorded_to=record_to,
        )
        await fake.stop()
        nursery.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def watched(
    settings: Settings,
    record_to: Path | None,
    address: Backend,
    adding: Forwards | None = None,
) -> AsyncIterator[tuple[FakeServer, ServerRecording | None]]:
    """A server made of settings, and what records it; both ``adding`` and the recording are ended
    with the block.
    """
    source = settings.source()
    accounts = settings.accounts()
    async with contextlib.AsyncExitStack() as stack:
        forward = None if adding is None else await stack.enter_async_context(adding)
        recording = _recording(record_to, accounts.credentials, address) if record_to else None
        if recording is not None:
            stack.callback(recording.close)
        yield (
            FakeServer(
                source,
                accounts=accounts,
                rules=settings.rules,
                playback=settings.playback_settings(),
                faults=settings.faults,
                fault_seed=settings.fault_seed,
                tap=None if recording is None else lambda stream, _: recording.tap(stream),
                forward=forward,
                last_frames=None
                if recording is None or record_to is None
                else functools.partial(_last_frames, recording, record_to),
                on_note=None if recording is None else recording.note,
            ),
            recording,
        )


async def _last_frames(recording: ServerRecording, path: Path, count: int) -> list[str]:
    # Imported where somebody asks: that is after a failure.
    from fake_server.last_frames import last_frames_of

    return await last_frames_of(recording, path)(count)


def _recording(path: Path, accounts: Sequence[Credentials], address: Backend) -> ServerRecording:
    from fake_server.recording import ServerRecording

    return ServerRecording.open(
        path,
        upstream_url=address.http_url,
        passwords=[one.password for one in accounts],
        clock=lambda: round(trio.current_time() * 1e9),
    )
