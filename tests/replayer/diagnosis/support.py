"""A fake that is recorded over memory streams, and what a diagnosis of the recording says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
import trio.testing

from fake_server.recording import ServerRecording
from fake_server.server import FakeServer
from recorder.model import AnyEntry
from recorder.recording import Reader
from recorder.track.kinds import ping_uuids
from recorder.track.rules import Rules
from recorder.wire.frames import Frame, FrameParser, Opcode, close_frame
from recorder.wire.messages import MessageAssembler, Problem
from replayer.diagnosis.fold import diagnose
from replayer.diagnosis.model import Diagnosis, Finding
from tests.fake_server.faults.support import injections
from tests.fake_server.support import DEVICES, MASK, Client, Fake, quiet
from tests.replayer.recordings import header

START_NS = 1_700_000_000_000_000_000
BEACONS = b'{"beacons":[{"id":7,"name":"room"},{"id":8,"name":"hall"}]}'
FIRST = (
    b'{"positions":[{"id":11,"deviceId":1,"beaconId":7,"rssi":-64},'
    b'{"id":12,"deviceId":2,"beaconId":8,"rssi":-65.0}]}'
)
MOVED = b'{"positions":[{"id":13,"deviceId":1,"beaconId":8,"rssi":-63}]}'
NEWER = b'{"positions":[{"id":14,"deviceId":1,"beaconId":8,"rssi":-62}]}'
PUSHED = (DEVICES, BEACONS, FIRST, MOVED, NEWER)
"""What the fake says at once: the initial push, and two changes."""


def now_ns() -> int:
    return round(trio.current_time() * 1e9)


class Recorded(Fake):
    """A fake whose every connection is recorded."""

    def __init__(
        self, server: FakeServer, nursery: trio.Nursery, recording: ServerRecording
    ) -> None:
        super().__init__(server, nursery)
        self._recording = recording
        self._tasks = nursery
        self.cookie_header = ""

    def connect(self, *, lockstep: bool = False) -> trio.abc.Stream:
        assert not lockstep
        ours, theirs = trio.testing.memory_stream_pair()
        self._tasks.start_soon(self._handle, theirs)
        return ours

    async def _handle(self, stream: trio.abc.Stream) -> None:
        # Both number connections here, so that their numbers agree.
        await self.server.handle(self._recording.tap(stream, "a client"))

    async def cookie(self) -> str:
        self.cookie_header = await super().cookie()
        return self.cookie_header


@asynccontextmanager
async def recorded(
    path: Path,
    *faults: str | dict[str, Any],
    says: Iterable[bytes] = PUSHED,
    source: Any = None,
    rules: Rules | None = None,
    lead_s: float = 1,
    **options: Any,
) -> AsyncIterator[Recorded]:
    """A fake that says a few texts at once and then only PINGs, with these faults. It starts so
    long after its recording, which is whole behind the block."""
    recording = ServerRecording.open(path, clock=now_ns, wall_clock=lambda: START_NS + now_ns())
    await trio.sleep(lead_s)
    async with trio.open_nursery() as nursery:
        server = FakeServer(
            source or quiet(*says), rules=rules, faults=injections(faults), fault_seed=0, **options
        )
        fake = Recorded(server, nursery, recording)
        await nursery.start(server.run)
        yield fake
        await trio.testing.wait_all_tasks_blocked()
        recording.stopping()
        nursery.cancel_scope.cancel()
    recording.close()


async def obey(client: Client, for_s: float) -> None:
    """Do what RFC 6455 and the manual want of a client, for so long; then close in order."""
    frames, messages = FrameParser(), MessageAssembler()
    data = client.read
    with trio.move_on_after(for_s) as time:
        while True:
            for frame in frames.feed(data):
                broken = not isinstance(frame, Frame) or frame.check("server")
                events = messages.feed(frame) if isinstance(frame, Frame) else []
                if broken or any(isinstance(event, Problem) for event in events):
                    await client.send(close_frame(1002, mask=MASK))
                    await client.stream.aclose()
                    return
                if isinstance(frame, Frame) and frame.opcode == Opcode.CLOSE:
                    await client.send(Frame.make(Opcode.CLOSE, frame.payload, mask=MASK))
                for event in events:
                    payload = b"" if isinstance(event, Problem) else event.payload
                    for uuid in dict.fromkeys(ping_uuids(payload)):
                        await client.text(f"pong {uuid}")
            data = bytes(await client.stream.receive_some(65536))
            if not data:
                break
    if time.cancelled_caught:
        await client.send(close_frame(1000, mask=MASK))
        with trio.move_on_after(3):
            while await client.stream.receive_some(65536):
                pass
    await client.stream.aclose()


def diagnosis_of(path: Path, rules: Rules | None = None) -> Diagnosis:
    with Reader(path) as reader:
        return diagnose(reader.header, reader, rules)


def judged(entries: Iterable[AnyEntry], rules: Rules | None = None, **of_header: Any) -> Diagnosis:
    """The diagnosis of entries that are in no file."""
    return diagnose(header(**of_header), entries, rules)


def breaches(diagnosis: Diagnosis) -> list[Finding]:
    return [finding for finding in diagnosis.findings if finding.is_breach]


def rules_of(diagnosis: Diagnosis) -> list[str]:
    return [finding.rule for finding in diagnosis.findings]


def the(diagnosis: Diagnosis, rule: str) -> Finding:
    """The first finding of a rule."""
    found = [finding for finding in diagnosis.findings if finding.rule == rule]
    assert found, f"no {rule} in {diagnosis.counts}"
    return found[0]
