"""`track-fake-server serve`."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import Any, Literal

import click
import msgspec
import trio

from fake_server.accounts import DEMO_ACCOUNT, Accounts
from fake_server.hub import Playback
from fake_server.server import FakeServer
from recorder.console import out, say
from recorder.credentials import read_user_file
from recorder.errors import Unreachable
from recorder.track.rules import Rules, load_rules
from recorder.track.violations import Violation
from replayer.script import Source

__all__ = ["serve_command"]


class _Speed(click.ParamType[Any]):
    name = "X|max"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        if value == "max":
            return math.inf
        try:
            speed = float(str(value))
        except ValueError:
            speed = 0.0
        if not 0 < speed < math.inf:
            self.fail(f"{value!r} is no speed: a number above 0, or max", param, ctx)
        return speed


@click.command("serve")
@click.argument("recording", type=click.Path(path_type=Path), required=False, metavar="[REC]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8082,
    show_default=True,
    help="Port; 0 takes any free one.",
)
@click.option(
    "--user-file",
    type=click.Path(path_type=Path),
    help="Accounts: EMAIL=… and PASSWORD=… lines."
    f" [default: {DEMO_ACCOUNT.email}, password {DEMO_ACCOUNT.password}]",
)
@click.option(
    "--playback",
    type=click.Choice(["per-connection", "shared"]),
    help="Each socket plays the next recorded socket from its start (default with REC),"
    " or all hear one playback (default without).",
)
@click.option(
    "--start",
    type=click.Choice(["login", "now"]),
    default="login",
    help="What begins shared playback.",
    show_default=True,
)
@click.option(
    "--speed",
    type=_Speed(),
    default=1.0,
    help="Playback speed; max sends everything at once. PINGs keep real time.",
)
@click.option(
    "--at-end",
    type=click.Choice(["close", "hold", "loop"]),
    default="hold",
    show_default=True,
    help="After the last message.",
)
@click.option(
    "--pings",
    type=click.Choice(["live", "recorded"]),
    default="live",
    show_default=True,
    help="Send fresh PINGs, or the recorded ones with their uuids.",
)
@click.option(
    "--ping-interval",
    type=float,
    metavar="SECONDS",
    help="Seconds between live PINGs, and to answer one. [default: 30]",
)
@click.option(
    "--rules",
    "rules_file",
    type=click.Path(path_type=Path),
    help="A TOML file of rules; see docs/track-protocol.md.",
)
def serve_command(
    recording: Path | None,
    host: str,
    port: int,
    user_file: Path | None,
    playback: Literal["per-connection", "shared"] | None,
    start: Literal["login", "now"],
    speed: float,
    at_end: Literal["close", "hold", "loop"],
    pings: Literal["live", "recorded"],
    ping_interval: float | None,
    rules_file: Path | None,
) -> None:
    """Serve the recording REC as a Track backend would, or a small synthetic fleet without one.

    Clients log in at /api/session, ask /api/devices, /api/beacons and /api/positions, and open
    /api/socket, where each PING must be answered with its uuid. What they do against the manual is
    told on stderr. Ctrl-C stops.
    """
    accounts = Accounts(read_user_file(user_file)) if user_file is not None else Accounts()
    rules = load_rules(rules_file) if rules_file is not None else Rules()
    if ping_interval is not None:
        try:
            rules = msgspec.structs.replace(rules, ping_interval_s=ping_interval)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--ping-interval") from error
    if pings == "recorded" and recording is None:
        raise click.UsageError("--pings recorded needs a recording")
    source, what = _source(recording)
    server = FakeServer(
        source,
        accounts=accounts,
        rules=rules,
        playback=Playback(
            mode=playback or ("shared" if recording is None else "per-connection"),
            speed=speed,
            at_end=at_end,
            pings=pings,
            start=start,
        ),
        on_violation=_tell,
    )
    trio.run(_serve, server, host, port, what, user_file is None)


def _source(recording: Path | None) -> tuple[Source, str]:
    if recording is None:
        from fake_server.fleet import Fleet

        return Fleet(), "a synthetic fleet"
    from replayer.script import load_script

    script = load_script(recording)
    return script, f"{recording} ({script.sockets} socket{'s' if script.sockets != 1 else ''})"


async def _serve(server: FakeServer, host: str, port: int, what: str, demo_account: bool) -> None:
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise Unreachable(f"cannot listen on {host}:{port}: {why}; try --port 0") from error
    address = listeners[0].socket.getsockname()
    shown_host = f"[{address[0]}]" if ":" in address[0] else address[0]
    url = f"http://{shown_host}:{address[1]}"
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(server.serve, listeners)
            out(url)
            say(f"playing {what}; the socket is ws://{shown_host}:{address[1]}/api/socket")
            if demo_account:
                say(f"log in as {DEMO_ACCOUNT.email}, password {DEMO_ACCOUNT.password}")
            else:
                say(f"{len(server.accounts.emails)} account(s) may log in")
            say("Ctrl-C stops")
            await anext(signals)
            await server.stop()
            nursery.cancel_scope.cancel()
    _summarise(server)


def _tell(violation: Violation) -> None:
    say(f"violation: {violation}")


def _summarise(server: FakeServer) -> None:
    counts = server.violations.counts
    listed = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items())) or "none"
    say(f"stopped: {server.hub.accepted} socket(s) served; violations: {listed}")
