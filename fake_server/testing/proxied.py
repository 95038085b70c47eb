"""A recording proxy before a real backend, for a test that records or runs live."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import trio

from recorder.backend import Backend
from recorder.credentials import Credentials
from recorder.destination import unfinished_path
from recorder.dial import client_tls
from recorder.errors import DiskFailed, OutputExists, the_one_of
from recorder.listening import open_listeners
from recorder.model import AnyEntry
from recorder.proxy import Proxy
from recorder.proxy.relay import OF_PROXY
from recorder.recording import Writer
from recorder.redaction import Redactor
from recorder.sink import Sink, live_header

__all__ = ["ObservedSink", "Proxied", "proxying", "words_of_proxy"]

_HOST: Final = "127.0.0.1"


class Proxied:
    """A proxy that runs, as :func:`proxying` gives it.

    ``base_url`` and ``ws_url`` are where clients find the backend by way of it; ``recorded_to`` is
    where it is being recorded, until the block ends. ``problems`` say, without secrets, why it
    could not relay.
    """

    def __init__(
        self, own: Backend, proxy: Proxy, sink: Sink, recorded_to: Path, final: Path
    ) -> None:
        self.base_url = own.http_url
        self.ws_url = own.socket_url
        self.recorded_to = recorded_to
        self.problems: list[str] = []
        self._final = final
        self._proxy = proxy
        proxy.progress.on_problem = self.problems.append
        self._sink = sink
        self._served = trio.Event()
        self._background = trio.CancelScope()
        self._closed = False
        self._failed = False
        self._goes_to: Path | None = None

    def keep(self) -> None:
        """The recording shall take its place when the block ends, unless that is by an exception.
        Of this and :meth:`keep_at` the last call counts.
        """
        self._goes_to = self._final

    def keep_at(self, path: Path) -> None:
        """The recording shall go to ``path`` when the block ends, however that is and whatever is
        there, in place of its own; its folder is made.
        """
        self._goes_to = path

    def block_failed(self) -> None:
        """Whoever uses the block has failed: as if an exception had come out of it."""
        self._failed = True

    def flush(self) -> None:
        """Let readers of ``recorded_to`` see what passed. Raises DiskFailed."""
        self._sink.flush()

    def now_ns(self) -> int:
        """The ``offset_ns`` of this moment."""
        return self._sink.now_ns()

    async def finish(self) -> None:
        """Stop relaying and end the recording; what is open counts as stopped. Does nothing the
        second time; the end of the block does it too. Raises DiskFailed.
        """
        self._proxy.stop()
        with trio.CancelScope(shield=True):
            await self._served.wait()
        self._background.cancel()
        if not self._closed:
            self._closed = True
            try:
                self._sink.close()
            except DiskFailed:
                self._sink.abort()
                raise

    async def _serve(self, listeners: list[trio.SocketListener]) -> None:
        try:
            await self._proxy.serve(listeners)
        finally:
            self._served.set()

    async def _stay_durable(self) -> None:
        with self._background:
            await self._sink.run()

    def _settle(self, *, failed: bool) -> None:
        """Put the recording where it was decided that it goes, or away. Raises DiskFailed."""
        try:
            failed = failed or self._failed
            if self._goes_to is None or (failed and self._goes_to is self._final):
                return
            self._goes_to.parent.mkdir(parents=True, exist_ok=True)
            if self._goes_to is self._final:
                os.replace(self.recorded_to, self._final)
            else:
                # It may be on another file system.
                shutil.move(self.recorded_to, self._goes_to)
        except OSError as exc:
            raise DiskFailed(
                f"{self._goes_to} could not be written: {exc.strerror}; nothing was recorded"
            ) from exc
        finally:
            self.recorded_to.unlink(missing_ok=True)


@asynccontextmanager
async def proxying(
    upstream_url: str,
    path: Path,
    *,
    force: bool = False,
    redact: Literal["secrets", "none"] = "secrets",
    accounts: Iterable[Credentials] = (),
    ca_file: Path | None = None,
    observe: Callable[[AnyEntry], None] | None = None,
) -> AsyncIterator[Proxied]:
    """A proxy on a free port of 127.0.0.1 before the backend at ``upstream_url``, in this trio run.

    What passes is recorded beside ``path``, redacted before it is written, and appears there at the
    end, whole, if :meth:`Proxied.keep` was called; else an old recording stays as it is. Emails and
    passwords of ``accounts`` are masked wherever they stand. ``ca_file`` (PEM) holds the
    authorities to trust. ``observe`` is called with each entry, as it is before redaction; it must
    not raise.

    Raises ValueError on a URL that is none; OutputExists if there is such a file and not ``force``,
    or if its folder cannot be made; CannotRead on the ``ca_file``; Unreachable if there is no port;
    DiskFailed once writing failed. What the block raises comes out as it is.
    """
    upstream = Backend.parse(upstream_url)
    tls = client_tls(ca_file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputExists(f"{path.parent} cannot be made: {exc.strerror}") from exc
    final, partial = unfinished_path(path, force=force)
    redactor = Redactor(redact)
    for account in accounts:
        redactor.learn("password", account.password)
        redactor.learn("email", account.email)
    listeners = await open_listeners(
        _HOST, 0, if_taken="try again", if_unknown="this machine has no loopback interface"
    )
    own = Backend(tls=False, host=_HOST, port=listeners[0].socket.getsockname()[1])
    try:
        sink = _sink(partial, redactor, upstream, observe)
    except BaseException:
        for listener in listeners:
            listener.socket.close()
        raise
    proxied = Proxied(own, Proxy(upstream, sink, tls=tls), sink, partial, final)
    failure: BaseException | None = None
    ended_well = False
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(proxied._stay_durable)
            nursery.start_soon(proxied._serve, listeners)
            try:
                yield proxied
            finally:
                await proxied.finish()
        ended_well = True
    except BaseExceptionGroup as group:
        failure = _cause(group)
    finally:
        proxied._settle(failed=not ended_well)
    if failure is not None:
        raise failure


def words_of_proxy(status: int, body: bytes) -> str | None:
    """Why this is an answer of the proxy itself, which could not reach the backend; None if the
    backend gave it.
    """
    text = body.decode("utf-8", "replace")
    if status != 502 or not text.startswith(OF_PROXY):
        return None
    return text.removeprefix(OF_PROXY).strip()


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What the nursery ended with: a disk that failed is why clients failed as well; else what the
    block raised, as it is.
    """
    failed, others = group.split(DiskFailed)
    if failed is not None:
        failure = the_one_of(failed)
        if others is not None:
            failure.__cause__ = others
        return failure
    return group.exceptions[0] if len(group.exceptions) == 1 else group


class ObservedSink(Sink):
    """A sink whose entries are shown to somebody as well, once they are safe."""

    def __init__(
        self, *arguments: Any, observe: Callable[[AnyEntry], None], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._observe = observe

    def write(self, entries: Iterable[AnyEntry]) -> None:
        """Write them, and show them."""
        seen = list(entries)
        super().write(seen)
        for entry in seen:
            self._observe(entry)


def _sink(
    path: Path,
    redactor: Redactor,
    upstream: Backend,
    observe: Callable[[AnyEntry], None] | None,
) -> Sink:
    started_ns, started_wall_ns = time.monotonic_ns(), time.time_ns()
    header = live_header("proxy", upstream.http_url, redactor, started_wall_ns=started_wall_ns)
    # One that was left by a process of the same number is nobody's.
    writer = Writer.create(path, header, force=True)
    if observe is None:
        return Sink(writer, redactor, started_ns=started_ns)
    return ObservedSink(writer, redactor, started_ns=started_ns, observe=observe)
