"""Faults on a served socket: a client that keeps to the rules is never blamed for them, and the
server outlives them.
"""

from __future__ import annotations

import pytest
import trio
import trio.testing

from fake_server.faults import FAULTS, fault_type
from fake_server.faults.base import MessageFault, MomentFault
from fake_server.playback import Playback
from recorder.track.kinds import ping_uuids
from recorder.wire.frames import Frame, FrameParser, Opcode, close_frame
from recorder.wire.messages import MessageAssembler, Problem
from tests.fake_server.faults.support import THREE, injections
from tests.fake_server.support import MASK, PING, Client, quiet, serving

FIELDS = {"flood": ":messages=20"}
ON_SOCKETS = [
    name + (":key=id" if name.startswith("field-") else FIELDS.get(name, ""))
    for name in FAULTS
    if issubclass(fault_type(name), MessageFault | MomentFault)
]


async def obey(client: Client, until_s: float) -> int:
    """Do what RFC 6455 and the manual want of a client; returns how many PINGs it answered."""
    frames, messages, answered = FrameParser(), MessageAssembler(), 0
    data = client.read
    with trio.move_on_at(until_s):
        while True:
            for frame in frames.feed(data):
                broken = not isinstance(frame, Frame) or frame.check("server")
                events = messages.feed(frame) if isinstance(frame, Frame) else []
                if broken or any(isinstance(event, Problem) for event in events):
                    await client.send(close_frame(1002, mask=MASK))
                    return answered
                if isinstance(frame, Frame) and frame.opcode == Opcode.CLOSE:
                    await client.send(Frame.make(Opcode.CLOSE, frame.payload, mask=MASK))
                for event in events:
                    payload = b"" if isinstance(event, Problem) else event.payload
                    for uuid in dict.fromkeys(ping_uuids(payload)):
                        await client.text(f"pong {uuid}")
                        answered += 1
            data = bytes(await client.stream.receive_some(65536))
            if not data:
                return answered
    return answered


@pytest.mark.parametrize("schedule", ["count=0", "after=2", "at_s=45", "kinds=PING"])
@pytest.mark.parametrize("fault", ON_SOCKETS)
async def test_a_client_that_obeys_is_not_blamed(
    fault: str, schedule: str, autojump_clock: trio.testing.MockClock
) -> None:
    text = f"{fault}{',' if ':' in fault else ':'}{schedule}"
    async with serving(quiet(*THREE), faults=injections([text])) as fake:
        cookie = await fake.cookie()
        client = await fake.socket(cookie)
        await obey(client, trio.current_time() + 200)
        await client.stream.aclose()
        assert fake.rules_broken == []
        fake.server.faults.clear()
        # Later than a client that reconnects without delay.
        await trio.sleep(5)
        assert await obey(await fake.socket(await fake.cookie()), trio.current_time() + 100) == 3
        assert fake.rules_broken == []
        await fake.server.stop()


@pytest.mark.parametrize(
    "faults",
    [
        ["duplicate", "ping-doubled"],
        ["ping-repeated", "ping-late:delay_s=40"],
        ["joined-texts:texts=5", "ping-doubled"],
        ["chunking:size_bytes=1,pause_s=1", "ping-late:delay_s=20"],
        ["fragmentation:pieces=40,control_between=true", "ping-repeated", "delay:delay_s=29"],
        ["loss:probability=0.5", "reorder:by=3,probability=0.5", "duplicate:probability=0.5"],
        ["flood:at_s=29,messages=100,messages_per_s=1", "ping-late"],
    ],
)
async def test_nor_for_several_at_once(
    faults: list[str], autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet(*THREE), faults=injections(faults)) as fake:
        await obey(await fake.socket(), trio.current_time() + 400)
        assert fake.rules_broken == []


@pytest.mark.parametrize(
    "fault", ["ping-absent", "ping-late:delay_s=40", "ping-doubled", "loss:kinds=PING"]
)
async def test_nor_where_pings_are_those_of_the_recording(
    fault: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(
        quiet(PING % b"recorded-1", *THREE),
        faults=injections([fault]),
        playback=Playback(pings="recorded"),
    ) as fake:
        await obey(await fake.socket(), trio.current_time() + 200)
        assert fake.rules_broken == []
