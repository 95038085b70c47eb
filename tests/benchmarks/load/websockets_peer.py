"""The asyncio server of `websockets` on uvloop, without compression and pings.

The plan: ``texts``, that each socket is sent when it opens. Commands: ``open`` and ``broadcast``,
as those of our fake.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve


async def main() -> None:
    """Serve until standard input ends."""
    commands = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    plan = json.loads(await commands.readline())

    async def handle(connection: ServerConnection) -> None:
        for text in plan["texts"]:
            await connection.send(text)
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        say(port=next(iter(server.sockets)).getsockname()[1])
        while line := await commands.readline():
            command = json.loads(line)
            match command["do"]:
                case "open":
                    say(sockets=len(server.connections))
                case "broadcast":
                    text = "x" * command["size_bytes"]
                    connections = server.connections
                    begun_s = time.monotonic()
                    for _ in range(command["times"]):
                        broadcast(connections, text)
                        await asyncio.sleep(0)
                    say(begun_s=begun_s)
        # Its clients are still there, and would be waited for.
        os._exit(0)


def say(**answer: Any) -> None:
    """Answer the command."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
