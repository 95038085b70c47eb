"""Our fake server under load.

The plan: ``texts``, pairs of ``at_ns`` and text that the one recorded socket says, and ``mode``, of
playback. Commands: ``open``, how many sockets are; ``broadcast`` a text of ``size_bytes`` so many
``times``; ``begun``, when the playback that is under way began (seconds of CLOCK_MONOTONIC).
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import trio

from fake_server import FakeServer, Playback
from recorder.model import Header, Redaction
from recorder.wire.frames import Frame, Opcode
from replayer.playing.script import Script
from replayer.playing.timeline import Cue

HEADER = Header(
    id="7d8f2c9e-5a53-4f0e-9c35-0f3a3f4f3b11",
    started_at="2026-11-22T17:00:00.000000000Z",
    tool="tracktape bench",
    mode="capture",
    fidelity="wire",
    timing="measured",
    redaction=Redaction(profile="none"),
)


async def main() -> None:
    """Serve until standard input ends."""
    commands = lines()
    plan = json.loads(await anext(commands))
    cues = [
        Cue(at_ns, "data", Frame.make(Opcode.TEXT, text.encode()).serialize(), text.encode())
        for at_ns, text in plan["texts"]
    ]
    source = Script(HEADER, [(0, cues)], {})
    playback = Playback(mode=plan["mode"], start="now")
    server = FakeServer(source, playback=playback)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, listeners)
        say(port=listeners[0].socket.getsockname()[1])
        async for line in commands:
            command = json.loads(line)
            match command["do"]:
                case "open":
                    say(sockets=len(server.hub.sockets))
                case "broadcast":
                    frame = Frame.make(Opcode.TEXT, b"x" * command["size_bytes"]).serialize()
                    begun_s = time.monotonic()
                    for _ in range(command["times"]):
                        broadcast(server, frame)
                        await trio.lowlevel.checkpoint()
                    say(begun_s=begun_s)
                case "begun":
                    # By the clock that cues are due by, not by what it took to send the first.
                    positions_ns = server.hub.playback.position_ns().values()
                    say(begun_s=time.monotonic() - max(positions_ns) / 1e9)
        nursery.cancel_scope.cancel()


def broadcast(server: FakeServer, frame: bytes) -> None:
    """One frame to every socket."""
    to_all = getattr(server.hub, "broadcast", None)
    if to_all is not None:
        to_all(frame)
        return
    for socket in server.hub.sockets:
        socket.offer(frame)


async def lines() -> AsyncIterator[bytes]:
    """The lines of standard input."""
    read = b""
    async for data in trio.lowlevel.FdStream(0):
        *whole, read = (read + data).split(b"\n")
        for line in whole:
            yield line


def say(**answer: Any) -> None:
    """Answer the command."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    trio.run(main)
