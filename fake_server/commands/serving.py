"""A server on a port, from the options: TLS, recording, and what is told at its end."""

from __future__ import annotations

import contextlib
import functools
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import trio

from fake_server.commands.assembly import Parts
from fake_server.commands.options import ServerOptions
from fake_server.commands.telling import Telling, listed, plural
from fake_server.connection import now_ns
from fake_server.findings import Finding, report
from fake_server.front import TapStream
from fake_server.server import FakeServer, LastFrames
from recorder.backend import Backend
from recorder.console import say
from recorder.errors import the_one_of
from recorder.exits import Exit
from recorder.listening import accept_troubles, open_listeners
from recorder.tls import (
    HandshakeFailed,
    TlsStream,
    context_from_files,
    secured,
    self_signed_context,
)
from recorder.track.rules import Rules

if TYPE_CHECKING:
    from fake_server.recording import ServerRecording

__all__ = ["Served", "serving", "tell_the_end"]


class Served(msgspec.Struct, frozen=True):
    """A server that runs. ``address`` is where."""

    address: Backend
    server: FakeServer
    telling: Telling


@contextlib.asynccontextmanager
async def serving(
    parts: Parts, options: ServerOptions, *, host: str, port: int
) -> AsyncIterator[Served]:
    """Serve until the block ends; then the sockets are closed with 1001 and a recording is ended.

    Raises Unreachable if it cannot listen there, what making the TLS context and the recording
    raise, and DiskFailed, in the middle of the block, once the recording cannot be written.
    """
    telling = Telling(now_ns())
    async with contextlib.AsyncExitStack() as stack:
        listeners = await open_listeners(
            host,
            port,
            if_taken="try --port 0",
            if_unknown="--host names an address of this machine",
        )
        for listener in listeners:
            await stack.enter_async_context(listener)
        # Behind the listening: where the port is taken, another server's CA file stays what it is.
        tls = _tls(options, host)
        bound = listeners[0].socket.getsockname()
        address = Backend(tls=tls is not None, host=bound[0], port=bound[1])
        recording = _recording(parts, options, address)
        if recording is not None:
            stack.callback(recording.close)
        server = FakeServer(
            parts.source,
            accounts=parts.accounts,
            rules=parts.rules,
            playback=parts.playback,
            faults=parts.faults,
            fault_seed=parts.fault_seed,
            admin_token=parts.admin_token,
            on_violation=telling,
            tap=_tap(recording) if recording is not None else None,
            last_frames=_last_frames(recording, options) if recording is not None else None,
            on_note=recording.note if recording is not None else None,
        )
        handle = server.handle
        if tls is not None:
            handle = functools.partial(_handle_tls, server, tls, telling)
        stack.enter_context(accept_troubles(functools.partial(telling.line, "waiting connections")))
        try:
            async with trio.open_nursery() as nursery:
                if recording is not None:
                    nursery.start_soon(recording.run)
                await nursery.start(server.run)
                # One moment for what is told at once, of findings and by the control API.
                telling.started_ns = server.hub.started_ns
                await nursery.start(trio.serve_listeners, handle, listeners)
                yield Served(address, server, telling)
                if recording is not None:
                    recording.stopping()
                await server.stop()
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise the_one_of(group) from None


def tell_the_end(
    served: Served,
    options: ServerOptions,
    *,
    found: Sequence[Finding] | None = None,
    last: Sequence[str] = (),
    check: bool = False,
) -> Exit:
    """Say what there is to say of a server that has ended, and with what code its command ends.

    ``found``, where it was looked for, is told in place of the violations, and ``last``, lines,
    behind it; with ``check`` it is a failure.
    """
    telling = served.telling
    for line in telling.summary() if found is None else report(found, how_to_allow="option"):
        say(line)
    for line in last:
        say(line)
    board = served.server.faults
    for number, injection in board.injections.items():
        name = injection.to_builtins()["fault"]
        struck = board.struck(number)
        times = f"struck {plural(struck, 'time')}" if struck else "never struck"
        say(f"fault {name}: {times}")
    if options.record is not None:
        broken = _conformance_of(options.record, served.server.rules)
        say(f"recorded {options.record}")
        say(f"violations of handshakes and sockets in it: {listed(broken)}")
    broke = options.strict and bool(telling.counts)
    failed = check and bool(found)
    sockets = plural(served.server.hub.accepted, "socket")
    total = telling.total()
    if broke:
        total += f", which --strict ends with {Exit.DIFFERENT:d}"
    if found is not None:
        total += f", {plural(len(found), 'finding')}" if found else ", no findings"
        if failed:
            total += f", which --check ends with {Exit.DIFFERENT:d}"
    say(f"stopped: {sockets} served, {total}")
    return Exit.DIFFERENT if broke or failed else Exit.OK


def _tls(options: ServerOptions, host: str) -> ssl.SSLContext | None:
    if options.tls_cert is not None:
        return context_from_files(options.tls_cert, options.tls_key)
    if options.tls_self_signed is not None:
        return self_signed_context(options.tls_self_signed, [host])
    return None


async def _handle_tls(
    server: FakeServer, tls: ssl.SSLContext, telling: Telling, stream: trio.SocketStream
) -> None:
    try:
        secure = await secured(stream, tls)
    except HandshakeFailed as failed:
        if failed.why:
            telling.line(
                "TLS handshakes that fail", f"a client's TLS handshake failed: {failed.why}"
            )
        return
    await server.handle(secure)


def _recording(parts: Parts, options: ServerOptions, address: Backend) -> ServerRecording | None:
    if options.record is None:
        return None
    from fake_server.recording import ServerRecording

    return ServerRecording.open(
        options.record,
        force=options.force,
        upstream_url=address.http_url,
        passwords=[one.password for one in parts.credentials],
    )


def _tap(recording: ServerRecording) -> TapStream:
    def tapped(stream: trio.abc.Stream, connection: int) -> trio.abc.Stream:
        if isinstance(stream, TlsStream):
            return recording.tap(stream, _peer(stream.transport_stream), tls=stream.version)
        return recording.tap(stream, _peer(stream))

    return tapped


def _last_frames(recording: ServerRecording, options: ServerOptions) -> LastFrames:
    from fake_server.last_frames import last_frames_of

    assert options.record is not None
    return last_frames_of(recording, options.record)


def _peer(stream: trio.abc.Stream) -> str | None:
    assert isinstance(stream, trio.SocketStream)
    try:
        host, port, *_ = stream.socket.getpeername()
    except OSError:
        # It hung up already.
        return None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _conformance_of(recording: Path, rules: Rules) -> Counter[str]:
    from recorder.recording import Reader
    from replayer.conformance import conformance

    with Reader(recording) as reader:
        found = conformance(reader, rules, from_start=True)
        return Counter(violation.rule for violation in found)
