"""The options that `serve` and `run` share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import click
import msgspec

from fake_server.accounts import DEMO_ACCOUNT
from fake_server.faults import Injection, parse_injection

__all__ = ["ADMIN_TOKEN_VARIABLE", "DEFAULT_CA_FILE", "ServerOptions", "server_options"]

ADMIN_TOKEN_VARIABLE: Final = "TRACK_ADMIN_TOKEN"

DEFAULT_CA_FILE: Final = "track-ca.pem"


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says about the server, field by field as :func:`server_options` shows
    it; None is absent.
    """

    user_file: Path | None
    playback: Literal["per-connection", "shared"] | None
    start: Literal["login", "now"]
    speed: float
    at_end: Literal["close", "hold", "loop"]
    paused: bool
    rebase: Literal["now"] | None
    pings: Literal["live", "recorded"]
    ping_interval: float | None
    rules_file: Path | None
    strict: bool
    faults: tuple[Injection, ...]
    faults_file: Path | None
    fault_seed: int | None
    tls_cert: Path | None
    tls_key: Path | None
    tls_self_signed: Path | None
    admin_token_file: Path | None
    record: Path | None
    force: bool


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


class _Fault(click.ParamType[Any]):
    name = "NAME[:FIELD=VALUE,…]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Injection:
        if isinstance(value, Injection):
            return value
        try:
            return parse_injection(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


_FILE: Final = click.Path(path_type=Path)

_OPTIONS: Final = (
    click.option(
        "--user-file",
        type=_FILE,
        help="Accounts: EMAIL=… and PASSWORD=… lines, or TOML if its name ends so."
        f" [default: {DEMO_ACCOUNT.email}, password {DEMO_ACCOUNT.password}]",
    ),
    click.option(
        "--playback",
        type=click.Choice(["per-connection", "shared"]),
        help="Each socket plays the next recorded socket from its start (default with REC),"
        " or all hear one playback (default without).",
    ),
    click.option(
        "--start",
        type=click.Choice(["login", "now"]),
        default="login",
        help="What begins shared playback.",
        show_default=True,
    ),
    click.option(
        "--speed",
        type=_Speed(),
        default=1.0,
        help="Playback speed; max sends everything at once. PINGs keep real time. [default: 1]",
    ),
    click.option(
        "--at-end",
        type=click.Choice(["close", "hold", "loop"]),
        default="hold",
        show_default=True,
        help="After the last message.",
    ),
    click.option("--paused", is_flag=True, help="Playback waits to be resumed by /__admin."),
    click.option(
        "--rebase",
        type=click.Choice(["now"]),
        help="Move every date of REC, so that its last one is now.",
    ),
    click.option(
        "--pings",
        type=click.Choice(["live", "recorded"]),
        default="live",
        show_default=True,
        help="Send fresh PINGs, or the recorded ones with their uuids.",
    ),
    click.option(
        "--ping-interval",
        type=float,
        metavar="SECONDS",
        help="Seconds between live PINGs, and to answer one. [default: 30]",
    ),
    click.option(
        "--rules",
        "rules_file",
        type=_FILE,
        help="A TOML file of rules; see docs/track-protocol.md.",
    ),
    click.option(
        "--strict",
        is_flag=True,
        help="Refuse every violation, and end with 1 if there was one.",
    ),
    click.option(
        "--fault",
        "faults",
        type=_Fault(),
        multiple=True,
        help="Go wrong on purpose, as close:code=1011,after=3; again for more."
        " See docs/adding-a-fault.md.",
    ),
    click.option("--faults", "faults_file", type=_FILE, help="A TOML file of faults."),
    click.option(
        "--fault-seed", type=int, metavar="N", help="Decides all chance in faults. [default: 0]"
    ),
    click.option(
        "--tls-cert", type=_FILE, help="Serve TLS with this PEM certificate, and its chain."
    ),
    click.option("--tls-key", type=_FILE, help="Its key. [default: in the same file]"),
    click.option(
        "--tls-self-signed",
        type=_FILE,
        is_flag=False,
        flag_value=DEFAULT_CA_FILE,
        metavar="[CA_FILE]",
        help="Serve TLS with a certificate made for it, and write its CA's, which clients shall"
        f" trust, to CA_FILE, {DEFAULT_CA_FILE} unless named.",
    ),
    click.option(
        "--admin-token-file",
        type=_FILE,
        help="A file with the token that opens /__admin to other machines; without,"
        f" {ADMIN_TOKEN_VARIABLE}.",
    ),
    click.option(
        "--record", type=_FILE, metavar="NEW_REC", help="Record what clients do to this server."
    ),
    click.option("--force", is_flag=True, help="Overwrite NEW_REC."),
)


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a click callback these options; it gets them as one ``options``."""

    @functools.wraps(command)
    def gathered(**values: Any) -> Any:
        own = {name: values.pop(name) for name in ServerOptions.__struct_fields__}
        return command(options=ServerOptions(**own), **values)

    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered
