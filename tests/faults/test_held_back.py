"""What redaction holds back, because a secret may stand across fragments, is what a crash loses."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import trio
import trio.testing

from recorder.model import Entry, FrameEntry
from recorder.recording import Reader, Writer
from recorder.redaction import Redactor
from recorder.sink import Sink
from recorder.wire.frames import Frame, Opcode
from tests.faults.processes import Listening, backend, open_socket, recording, texts
from tests.faults.support import until
from tests.faults.test_ends import SAID
from tests.recording.files import NoSync
from tests.strategies import make_header

HOLD_S: Final = 5.0
LOOKED_AT_EVERY_S: Final = 0.25
FLUSHED_AFTER_S: Final = 0.1
FRAME: Final = b'{"kind":"frame"'
BEGUN: Final = Frame.make(Opcode.TEXT, b'{"positions":[', fin=False)


def on_disk(path: Path) -> list[Entry]:
    with Reader(path) as reader:
        return [entry for entry in reader if isinstance(entry, Entry)]


async def test_an_unfinished_message_holds_back_what_comes_after_it_for_five_seconds(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    def clock() -> int:
        return round(trio.current_time() * 1e9)

    def frame(frame: Frame, connection: int) -> FrameEntry:
        return FrameEntry.of(frame, connection=connection, sender="server", offset_ns=sink.now_ns())

    path = tmp_path / "a.track.jsonl"
    writer = Writer.create(path, make_header(), clock=clock, file_of=NoSync)
    sink = Sink(writer, Redactor(), started_ns=clock(), clock=clock, wall_clock=clock)
    most_lost_s = 0.0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sink.run)
        sink.write([frame(BEGUN, 1)])
        while sink.now_ns() < 8e9:
            sink.write([frame(Frame.make(Opcode.TEXT, SAID), 2)])
            await trio.sleep(0.05)
            kept = on_disk(path)
            last_ns = (kept[-1].offset_ns or 0) if kept else 0
            most_lost_s = max(most_lost_s, (sink.now_ns() - last_ns) / 1e9)
        nursery.cancel_scope.cancel()
    sink.close()
    print(f"{most_lost_s:.2f} s")
    assert HOLD_S - 0.1 < most_lost_s < HOLD_S + LOOKED_AT_EVERY_S + FLUSHED_AFTER_S + 0.1
    begun = on_disk(path)[0]
    assert isinstance(begun, FrameEntry)
    assert begun.redacted
    assert b"positions" not in begun.data


@pytest.mark.parametrize("profile", ["secrets", "none"])
async def test_a_proxy_killed_inside_a_message_loses_what_came_since_it_began(
    tmp_path: Path, profile: str
) -> None:
    count = 100
    async with backend() as upstream, trio.open_nursery() as nursery:
        async with recording("proxy", upstream.url, tmp_path, "--redact", profile) as proxy:
            listening = Listening(await open_socket(proxy))
            nursery.start_soon(listening.run)
            server = await upstream.socket()
            await server.send_all(SAID)
            await until(lambda: proxy.path.read_bytes().count(FRAME) == 1)
            other = Listening(await open_socket(proxy))
            nursery.start_soon(other.run)
            other_server = await upstream.socket()
            await server.send_all(BEGUN.serialize())
            for number in range(count):
                await other_server.send_all(SAID)
                await other.has_heard(number + 1)
            if profile == "none":
                await until(lambda: proxy.path.read_bytes().count(FRAME) == count + 2)
            await proxy.kill()
            await until(lambda: other.ended and listening.ended)
        nursery.cancel_scope.cancel()
    entries, _ = proxy.recorded()
    assert len(texts(entries)) == (1 if profile == "secrets" else count + 2)
