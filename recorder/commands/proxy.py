"""`track-recorder proxy`."""

from __future__ import annotations

import contextlib
import ipaddress
import resource
import ssl
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from recorder.backend import Backend
from recorder.commands.conduct import Ending, conduct
from recorder.commands.live import Beside, LiveOptions, live_options
from recorder.commands.output import LiveRecording, OutputOptions, output_options
from recorder.commands.redaction_options import RedactionOptions, redaction_options
from recorder.console import out, say
from recorder.dial import client_tls
from recorder.errors import Unreachable
from recorder.listening import open_listeners
from recorder.proxy import Proxy
from recorder.tls import context_from_files, self_signed_context

__all__ = ["proxy_command"]

_FILE = click.Path(path_type=Path)


class _Address(click.ParamType[Any]):
    """``HOST:PORT``, an IPv6 address in brackets, or a port alone."""

    name = "HOST:PORT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
        if not (port.isascii() and port.isdigit() and int(port) < 65536):
            self.fail(f"{value!r} is no HOST:PORT, as 127.0.0.1:8090", param, ctx)
        return host, int(port)


@click.command("proxy")
@click.option(
    "--upstream", required=True, metavar="URL", help="The backend, as https://track.example.com."
)
@click.option(
    "--listen",
    type=_Address(),
    default="127.0.0.1:8090",
    show_default=True,
    help="Where clients connect; port 0 takes a free one.",
)
@output_options
@redaction_options
@live_options
@click.option("--ca-file", type=_FILE, help="PEM file of authorities to trust for the upstream.")
@click.option("--insecure", is_flag=True, help="Trust any certificate of the upstream.")
@click.option("--tls-cert", type=_FILE, help="Speak TLS with clients, by this PEM certificate.")
@click.option("--tls-key", type=_FILE, help="Its key. [default: in the same file]")
@click.option(
    "--tls-self-signed",
    type=_FILE,
    metavar="CA_FILE",
    help="Speak TLS with a new certificate; its CA's is written there, for clients to trust.",
)
def proxy_command(
    upstream: str,
    listen: tuple[str, int],
    output: OutputOptions,
    redaction: RedactionOptions,
    live: LiveOptions,
    ca_file: Path | None,
    insecure: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_self_signed: Path | None,
) -> None:
    """Stand before a backend and record everything that its clients do: browsers, apps, curl.

    Clients use the address of the proxy in place of the backend's. Ctrl-C ends the recording in
    order.
    """
    try:
        backend = Backend.parse(upstream)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--upstream") from error
    host, port = listen
    tls = client_tls(ca_file, insecure=insecure)
    clients_tls = _clients_tls(tls_cert, tls_key, tls_self_signed, host)
    if insecure and backend.tls:
        say("WARNING: --insecure: THE UPSTREAM'S CERTIFICATE IS NOT CHECKED. Whoever is in between")
        say("can read and change all that is sent, passwords too.")
    if not _is_loopback(host):
        say(f"note: other machines may reach {host}, and use the backend through this proxy")
    _allow_as_many_clients_as_possible()
    recording = output.open(redaction, mode="proxy", upstream=backend.http_url)
    proxy = Proxy(
        backend,
        recording.sink,
        tls=tls,
        client_tls=clients_tls,
        first_connection=recording.first_connection,
        first_exchange=recording.first_exchange,
    )
    beside = Beside(
        recording,
        live,
        line=proxy.progress.line,
        facts=proxy.progress.facts,
        about={"mode": "proxy", "upstream": backend.http_url},
    )
    proxy.progress.on_problem = partial(beside.tell, "problem")
    # At a terminal it stands above the lines that are kept up to date. A script looks for it on
    # stdout.
    is_told = live.manner == "json" or (live.manner == "terminal" and sys.stdout.isatty())
    announce = partial(beside.tell, "listening") if is_told else out

    async def serve() -> None:
        own, listeners = await _listen(host, port, tls=clients_tls is not None)
        if own.port == backend.port and _is_loopback(own.host) and _is_loopback(backend.host):
            raise Unreachable(
                f"{backend.http_url} is this proxy itself; --upstream names the backend"
            )
        # Whoever listens here has the port: from now on the recording takes the place of another.
        recording.keep()
        announce(f"{own.http_url} -> {backend.http_url}")
        await proxy.serve(listeners)

    conduct(
        recording,
        live,
        beside,
        serve,
        stop=proxy.stop,
        ending=lambda _: Ending("told to stop", _summary(proxy, recording), []),
    )


async def _listen(host: str, port: int, *, tls: bool) -> tuple[Backend, list[trio.SocketListener]]:
    """The listeners, and how clients reach them."""
    listeners = await open_listeners(
        host,
        port,
        if_taken=f"try --listen {host}:0",
        if_unknown="--listen names an address of this machine",
    )
    bound = listeners[0].socket.getsockname()
    return Backend(tls=tls, host=bound[0], port=bound[1]), listeners


def _clients_tls(
    cert: Path | None, key: Path | None, self_signed: Path | None, host: str
) -> ssl.SSLContext | None:
    if key is not None and cert is None:
        raise click.UsageError("--tls-key needs --tls-cert")
    if cert is not None and self_signed is not None:
        raise click.UsageError("--tls-cert or --tls-self-signed, not both")
    if cert is not None:
        return context_from_files(cert, key)
    return None if self_signed is None else self_signed_context(self_signed, [host])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _allow_as_many_clients_as_possible() -> None:
    """A client takes two file descriptors; the limit that is usual is for older programs."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _summary(proxy: Proxy, recording: LiveRecording) -> list[str]:
    progress = proxy.progress
    return [
        *recording.summary(),
        f"clients: connections {progress.connections}, exchanges {progress.exchanges},"
        f" sockets {progress.sockets}",
        f"frames: from the server {progress.frames['server']},"
        f" from clients {progress.frames['client']}",
        *([f"problems: {progress.problems}"] if progress.problems else []),
    ]
