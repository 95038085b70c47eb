"""The command line of `track-fake-server` in this process: quick, its server at hand."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple
from unittest.mock import patch

import click
import pytest
import trio

from fake_server.cli import cli
from fake_server.commands.assembly import parts_of
from fake_server.commands.options import ServerOptions, server_options
from fake_server.commands.serving import Served, serving
from recorder.console import run_command
from tests.fake_server.support import Client, Http, handshake

_GIVEN_UP_S: Final = 20.0


class Ended(NamedTuple):
    """How a command ended."""

    code: object
    out: str
    errors: str


def ended(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    """Run a command that ends by itself. One that serves instead is stopped, as by Ctrl-C."""
    line = ["track-fake-server", *map(str, arguments)]
    stop = threading.Timer(_GIVEN_UP_S, os.kill, (os.getpid(), signal.SIGINT))
    stop.start()
    try:
        with patch.object(sys, "argv", line), pytest.raises(SystemExit) as exit_:
            run_command(cli)
    finally:
        stop.cancel()
        stop.join()
    return Ended(exit_.value.code, *capsys.readouterr())


def options(*arguments: object) -> ServerOptions:
    """What a command line says."""
    found: list[ServerOptions] = []

    def keep(options: ServerOptions) -> None:
        found.append(options)

    command = click.command()(server_options(keep))
    command.main([str(one) for one in arguments], standalone_mode=False)
    return found[0]


class Here:
    """A server of the command line, and clients of it over TCP."""

    def __init__(self, served: Served, stack: AsyncExitStack) -> None:
        self.served = served
        self._stack = stack

    async def http(self) -> Http:
        address = self.served.address
        stream = await trio.open_tcp_stream(address.host, address.port)
        return Http(await self._stack.enter_async_context(stream))

    async def cookie(self) -> str:
        answer = await (await self.http()).log_in()
        assert answer.status == 200
        return (answer.header("Set-Cookie") or "").partition(";")[0]

    async def socket(self) -> Client:
        cookie = await self.cookie()
        http = await self.http()
        await http.send(handshake(cookie))
        assert (await http.head()).status == 101
        return Client(http.stream, http.rest())


@asynccontextmanager
async def served_here(recording: Path | None, *arguments: object) -> AsyncIterator[Here]:
    """`serve [REC] [OPTION]...` on a free port, until the block ends."""
    found = options(*arguments)
    parts = parts_of(found, recording)
    async with serving(parts, found, host="127.0.0.1", port=0) as served, AsyncExitStack() as stack:
        yield Here(served, stack)
