"""The end of a stream: in order, for the client to tell it from a cut."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing
import trustme

from recorder.transport import Transport, tcp_socket_of


async def test_over_tls_hanging_up_is_said_in_tls() -> None:
    ca = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("fake.test").configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    ca.configure_trust(client_tls)
    client_side, server_side = trio.testing.memory_stream_pair()
    client = trio.SSLStream(client_side, client_tls, server_hostname="fake.test")
    transport = Transport(trio.SSLStream(server_side, server_tls, server_side=True))

    async def serve() -> None:
        await transport.stream.send_all(b"last")
        await transport.hang_up()
        await trio.aclose_forcefully(transport.stream)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        assert await client.receive_some() == b"last"
        # An end that TLS does not know of would raise BrokenResourceError.
        assert await client.receive_some() == b""
        await client.aclose()


async def test_hanging_up_ends_our_half_and_reads_until_the_other_ends() -> None:
    client, server = trio.testing.memory_stream_pair()
    ended = trio.Event()

    async def hang_up() -> None:
        await Transport(server).hang_up()
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hang_up)
        assert await client.receive_some() == b""
        await client.send_all(b"a pong that was on its way")
        await trio.testing.wait_all_tasks_blocked()
        assert not ended.is_set()
        await client.aclose()
    assert ended.is_set()


@pytest.mark.parametrize("is_broken", [False, True])
async def test_hanging_up_on_one_that_hung_up_raises_nothing(is_broken: bool) -> None:
    client, server = trio.testing.memory_stream_pair()
    await trio.aclose_forcefully(client)
    if is_broken:
        await trio.aclose_forcefully(server)
    await Transport(server).hang_up()


async def test_a_tcp_socket_that_is_closed_already_is_not_reset_any_more() -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        stream = await trio.testing.open_stream_to_socket_listener(listener)
        other = await listener.accept()
        transport = Transport(stream)
        await stream.aclose()
        transport.reset_at_close()
        await other.aclose()


def test_a_stream_in_memory_has_no_tcp_socket_to_reset() -> None:
    _, server = trio.testing.memory_stream_pair()
    assert tcp_socket_of(server) is None
    Transport(server).reset_at_close()
