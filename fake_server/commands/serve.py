"""`track-fake-server serve`."""

from __future__ import annotations

import signal
from pathlib import Path

import click
import trio

from fake_server.accounts import DEMO_ACCOUNT
from fake_server.commands.assembly import Parts, parts_of
from fake_server.commands.options import ServerOptions, server_options
from fake_server.commands.serving import serving, tell_the_end
from fake_server.commands.telling import plural
from recorder.console import out, say

__all__ = ["serve_command"]


@click.command("serve")
@click.argument("recordings", type=click.Path(path_type=Path), nargs=-1, metavar="[REC...]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8082,
    show_default=True,
    help="Port; 0 takes any free one.",
)
@server_options
def serve_command(
    recordings: tuple[Path, ...], host: str, port: int, options: ServerOptions
) -> int:
    """Serve the recording REC as a Track backend would, or a small synthetic fleet without one.
    Several files are the parts of one series and are played as one; a part plays alone, too.

    Clients log in at /api/session, ask and write by REST, and open /api/socket, where each PING
    must be answered with its uuid. What they do against the manual is told on stderr, and listed at
    the end. /__admin steers the server meanwhile. Ctrl-C stops.
    """
    parts = parts_of(options, *recordings)
    return trio.run(_serve, parts, options, host, port)


async def _serve(parts: Parts, options: ServerOptions, host: str, port: int) -> int:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with serving(parts, options, host=host, port=port) as served:
            out(served.address.http_url)
            say(f"playing {parts.what}; the socket is {served.address.socket_url}")
            if options.user_file is None:
                say(f"log in as {DEMO_ACCOUNT.email}, password {DEMO_ACCOUNT.password}")
            else:
                say(f"{plural(len(parts.accounts.emails), 'account')} may log in")
            if options.tls_self_signed is not None:
                say(f"clients shall trust the CA in {options.tls_self_signed}")
            say("Ctrl-C stops")
            await anext(signals)
    return tell_the_end(served, options)
