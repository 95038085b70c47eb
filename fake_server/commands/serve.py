"""`track-fake-server serve`."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from fake_server.accounts import DEMO_ACCOUNT
from fake_server.commands.assembly import Parts, parts_of
from fake_server.commands.options import ServerOptions, server_options
from fake_server.commands.ready import check_ready_file, ready_facts, ready_file, ready_json
from fake_server.commands.serving import serving, tell_the_end
from fake_server.commands.telling import plural
from recorder.console import out, say, stop_signals

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
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path),
    metavar="F",
    help="A new file that tells in JSON where the server is; it is there while it listens.",
)
@click.option("--print-json", is_flag=True, help="The same JSON on stdout, in place of the URL.")
@server_options
def serve_command(
    recordings: tuple[Path, ...],
    host: str,
    port: int,
    ready_file: Path | None,
    print_json: bool,
    options: ServerOptions,
) -> int:
    """Serve the recording REC as a Track backend would, or a small synthetic fleet without one.
    Several files are the parts of one series and are played as one; a part plays alone, too.

    Clients log in at /api/session, ask and write by REST, and open /api/socket, where each PING
    must be answered with its uuid. What they do against the manual is told on stderr, and listed at
    the end. /__admin steers the server meanwhile. Ctrl-C stops.
    """
    parts = parts_of(options, *recordings)
    if ready_file is not None:
        check_ready_file(ready_file)
    return trio.run(_serve, parts, options, host, port, ready_file, print_json)


async def _serve(
    parts: Parts,
    options: ServerOptions,
    host: str,
    port: int,
    ready_path: Path | None,
    print_json: bool,
) -> int:
    with trio.open_signal_receiver(*stop_signals()) as signals:
        async with serving(parts, options, host=host, port=port) as served:
            facts = ready_facts(served.address, parts, options)
            out(ready_json(facts) if print_json else served.address.http_url)
            say(f"playing {parts.what}; the socket is {served.address.socket_url}")
            if options.user_file is None:
                say(f"log in as {DEMO_ACCOUNT.email}, password {DEMO_ACCOUNT.password}")
            else:
                say(f"{plural(len(parts.accounts.emails), 'account')} may log in")
            if options.tls_self_signed is not None:
                say(f"clients shall trust the CA in {options.tls_self_signed}")
            say("Ctrl-C stops")
            with ready_file(ready_path, facts):
                await anext(signals)
    return tell_the_end(served, options)
