"""The opening of a socket: from when on its client may rely on it."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from fake_server.fleet import Fleet
from tests.fake_server.support import handshake, quiet, serving


async def test_whoever_is_told_the_101_is_sent_what_is_pushed() -> None:
    sent: list[int] = []
    async with serving(Fleet()) as fake, trio.open_nursery() as nursery:
        cookie = await fake.cookie()
        ours, theirs = trio.testing.memory_stream_pair()
        pass_on = theirs.send_stream.send_all_hook

        async def tell() -> None:
            await pass_on()
            sent.append(fake.server.control.push(b'{"events":[]}'))
            nursery.cancel_scope.cancel()

        theirs.send_stream.send_all_hook = tell
        nursery.start_soon(fake.server.handle, theirs)
        await ours.send_all(handshake(cookie))
    assert sent[0] == 1


@pytest.mark.parametrize("how", ["stop", "reset", "close", "fin", "rst"])
async def test_a_client_that_takes_no_101_holds_nobody_up_for_long(
    how: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake, trio.open_nursery() as nursery:
        cookie = await fake.cookie()
        ours, theirs = trio.testing.memory_stream_pair()
        theirs.send_stream.send_all_hook = trio.sleep_forever
        nursery.start_soon(fake.server.handle, theirs)
        await ours.send_all(handshake(cookie))
        await trio.testing.wait_all_tasks_blocked()
        control = fake.server.control
        (socket,) = fake.server.hub.sockets
        match how:
            case "stop":
                await fake.server.stop()
            case "reset":
                control.reset()
            case "close" | "fin" | "rst":
                assert control.drop(how=how) == 1
        await socket.ended()
        assert trio.current_time() < 6
        assert fake.server.failures == []
