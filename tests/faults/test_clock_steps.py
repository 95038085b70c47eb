"""A wall clock that is set forwards or backwards while a proxy records."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from recorder.backend import Backend
from recorder.model import Clock, Entry
from recorder.proxy import Proxy
from recorder.recording import Reader, Writer
from recorder.redaction import Redactor
from recorder.sink import Sink, wall_clock_ns
from tests.fake_server.support import handshake
from tests.faults.support import frames
from tests.faults.test_ends import SAID, SWITCHING
from tests.recording.files import NoSync
from tests.strategies import make_header

DAY_NS = 86_400 * 10**9
START_NS = 1_795_400_000 * 10**9


@pytest.mark.parametrize("step_ns", [DAY_NS, -DAY_NS, 2 * 10**9, 10**8])
async def test_a_step_of_the_wall_clock_is_noted_and_moves_no_offset(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, step_ns: int
) -> None:
    stepped_ns = 0

    def clock() -> int:
        return round(trio.current_time() * 1e9)

    path = tmp_path / "a.track.jsonl"
    writer = Writer.create(path, make_header(mode="proxy"), clock=clock, file_of=NoSync)
    started_ns = clock()
    sink = Sink(
        writer,
        Redactor(),
        started_ns=started_ns,
        clock=clock,
        wall_clock=lambda: START_NS + clock() + stepped_ns,
    )
    client, theirs = trio.testing.memory_stream_pair()
    server, ours = trio.testing.memory_stream_pair()

    async def dial() -> tuple[trio.abc.Stream, str | None]:
        return ours, None

    backend = Backend.parse("http://track.example")
    proxy = Proxy(backend, sink, tls=None, dial=dial)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sink.run)
        nursery.start_soon(proxy.handle, theirs)
        await client.send_all(handshake(None))
        await server.receive_some(65536)
        await server.send_all(SWITCHING)
        for second in range(20):
            if second == 10:
                stepped_ns = step_ns
            await server.send_all(SAID)
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    sink.close()
    with Reader(path) as reader:
        entries = [entry for entry in reader if isinstance(entry, Entry)]
    said = [(one.offset_ns or 0) // 10**9 for one in frames(entries, "server")]
    assert said == list(range(20))
    offsets = [one.offset_ns or 0 for one in entries]
    assert offsets == sorted(offsets)
    clocks = [one for one in entries if isinstance(one, Clock)]
    if abs(step_ns) <= 10**9:
        assert clocks == []
    else:
        # Looked at every second.
        [one] = clocks
        assert one.offset_ns is not None
        assert 10 * 10**9 <= one.offset_ns <= 11 * 10**9
        assert wall_clock_ns(one.wall) == START_NS + started_ns + one.offset_ns + step_ns
