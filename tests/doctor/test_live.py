"""The steps upgrade, push, ping and close."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from fake_server.faults import parse_injection
from recorder.exits import Exit
from recorder.wire.frames import Frame, Opcode
from tests.doctor.support import (
    NOT_LOGGED_IN,
    backend,
    examine,
    examine_fake,
    outcomes,
    page,
    says,
)
from tests.fake_server.support import (
    BEACONS,
    DEVICES,
    MOVED,
    POSITION,
    quiet,
    said,
    script_of,
    serving,
    upgrade,
)
from tests.recorder.scripted import (
    COOKIE,
    Peer,
    Script,
    accepting,
    answer,
    close,
    ping,
    pong,
    saying,
    text,
)

PUSH = text(b'{"webSessionTimeout":[86400]}') + text(DEVICES) + text(POSITION)
THREE = (DEVICES, BEACONS, POSITION)


async def faulty(*faults: str, **options: Any) -> Any:
    """What the doctor says of a fake with these faults."""
    injections = [parse_injection(fault) for fault in faults]
    async with serving(quiet(*THREE), faults=injections) as fake:
        return await examine_fake(fake, **options)


# All of it


async def test_a_backend_where_everything_is_right(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(*THREE)) as fake:
        results = await examine_fake(fake)
    assert outcomes(results) == "ooow" + "o" * 8
    says(results["upgrade"], "ok", "101 Switching Protocols", "answers the key", "socket is open")
    says(
        results["push"],
        "ok",
        "4 messages",
        "beacons 1, devices 2, positions 1, webSessionTimeout 1",
        "the first after",
    )
    says(
        results["ping"],
        "ok",
        "a PING 30.0 s after the opening, answered",
        "a ping frame of ours came back",
        "The socket lives on",
    )
    says(results["close"], "ok", "1000 was answered with 1000")
    assert "left open" not in repr(results["close"])
    assert fake.rules_broken == []
    assert trio.current_time() == pytest.approx(31, abs=0.5)


# Upgrade


SOCKET_IS_NONE: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "400": (answer("400 Bad Request"), ("took Upgrade or Connection out", "proxy_http_version")),
    "401": (answer("401 Unauthorized"), ("does not accept the session", "sticky")),
    "403": (page("403 Forbidden"), ("forbids it", "let /api/socket through")),
    "404": (answer("404 Not Found"), ("There is no socket at this path", "pass /api/socket on")),
    "405": (answer("405 Method Not Allowed"), ("a plain GET", "proxy_set_header Upgrade")),
    "426": (answer("426 Upgrade Required"), ("HTTP/1.0", "proxy_http_version 1.1")),
    "429": (answer("429 Too Many Requests"), ("too many sockets",)),
    "502": (page("502 Bad Gateway"), ("did not take the upgrade",)),
    "503": (answer("503 Service Unavailable"), ("without a valid session", "takes Cookie out")),
    "504": (page("504 Gateway Time-out"), ("waited for the backend in vain",)),
    "500": (answer("500 Internal Server Error"), ("does not open a socket here",)),
    "200": (page("200 OK"), ("a page (HTML) in place of a socket", "took Upgrade out")),
    "204": (answer("200 OK", body=b"{}"), ("2 bytes in place of a socket",)),
    "redirect": (answer("302 Found", "Location: https://sso.example/"), ("sends to https://sso",)),
    "silent": (b"", ("hung up without an answer",)),
    "no http": (b"\x81\x02{}", ("the answer is no HTTP",)),
}


@pytest.mark.parametrize(("data", "words"), SOCKET_IS_NONE.values(), ids=SOCKET_IS_NONE)
async def test_an_upgrade_that_is_refused(data: bytes, words: tuple[str, ...]) -> None:
    async def refuse(peer: Peer, head: bytes) -> None:
        await peer.send(data)

    results = await examine(backend(refuse))
    says(results["upgrade"], "fail", *words, exit_code=Exit.HANDSHAKE_REFUSED)
    assert outcomes(results) == "ooowoooof" + "sss"
    assert results["ping"].seen == ("upgrade failed",)


async def test_the_upgrade_request_is_that_of_the_manual() -> None:
    heads: list[str] = []

    async def listen(peer: Peer, head: bytes) -> None:
        heads.append(head.decode())

    await examine(backend(listen))
    (head,) = heads
    lines = head.split("\r\n")
    assert lines[0] == "GET /api/socket HTTP/1.1"
    for line in (
        "Host: track.example",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Origin: http://track.example",
        "Sec-WebSocket-Version: 13",
        f"Cookie: JSESSIONID={COOKIE}",
    ):
        assert line in lines
    assert "Extensions" not in head


async def test_who_refuses_is_told_where_it_is_another() -> None:
    nginx = answer("403 Forbidden", "Server: nginx")
    first = NOT_LOGGED_IN.replace(b"\r\n", b"\r\nServer: Jetty\r\n", 1)
    results = await examine(backend(saying(nginx), first=saying(first)))
    assert "REST was answered by Jetty, this by nginx" in results["upgrade"].seen


def accepted(*headers: str, without: str = "", accept: str | None = None) -> Script:
    """A 101 with these fields more, and without one."""

    async def script(peer: Peer, head: bytes) -> None:
        lines = accepting(head, accept).decode().split("\r\n")
        lines = [line for line in lines if not (without and line.startswith(without))]
        await peer.send("\r\n".join([*lines[:-2], *headers, "", ""]).encode())
        await peer.read_to_end()

    return script


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (accepted(accept="bm90IHRoZSBhbnN3ZXI="), ("does not answer the key", "cache")),
        (accepted(without="Sec-WebSocket-Accept"), ("has no Sec-WebSocket-Accept",)),
        (accepted(without="Upgrade"), ("does not say Upgrade: websocket",)),
        (
            accepted("Sec-WebSocket-Extensions: permessage-deflate"),
            ("extensions that nobody offered: permessage-deflate", "only to what is offered"),
        ),
    ],
    ids=["wrong accept", "no accept", "no upgrade", "extensions"],
)
async def test_a_101_that_does_not_hold(script: Script, words: tuple[str, ...]) -> None:
    results = await examine(backend(script))
    says(results["upgrade"], "fail", *words, exit_code=Exit.HANDSHAKE_REFUSED)


async def test_the_fault_of_a_wrong_accept() -> None:
    results = await faulty("wrong-accept")
    says(results["upgrade"], "fail", "does not answer the key", exit_code=Exit.HANDSHAKE_REFUSED)


async def test_the_fault_of_silence(autojump_clock: trio.testing.MockClock) -> None:
    results = await faulty("silence")
    says(
        results["upgrade"],
        "fail",
        "no answer within 15 s",
        "swallows",
        exit_code=Exit.HANDSHAKE_REFUSED,
    )


async def test_a_socket_that_opens_to_anyone_is_a_warning(
    autojump_clock: trio.testing.MockClock,
) -> None:
    rest = {"/api/devices": saying(answer("401 Unauthorized"))}
    results = await examine(backend(lively(), rest=rest), credentials=None)
    says(results["upgrade"], "warn", "opens without a login")
    assert results["push"].outcome == "ok"


# Push


def lively(push: bytes = PUSH, *, ping_after_s: float = 5.0, then: Script | None = None) -> Script:
    """A socket that pushes, sends one PING, and does ``then`` once it is answered; a client's ping
    and close frames are answered.
    """

    async def script(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=push)
        await trio.sleep(ping_after_s)
        await peer.send(text(ping(1)))
        assert await peer.read_text() == pong(1)
        if then is not None:
            await then(peer, head)
            return
        while (frame := await peer.read_frame()).opcode != Opcode.CLOSE:
            await peer.send(Frame.make(Opcode.PONG, frame.payload).serialize())
        await peer.send(close(1000))

    return script


async def test_what_is_pushed_is_counted(autojump_clock: trio.testing.MockClock) -> None:
    joined = text(DEVICES + b"~" + POSITION) + text(MOVED) + text(b"{}")
    results = await examine(backend(lively(joined)))
    says(results["push"], "ok", "3 messages", "devices 2", "empty 1", "positions 2")


async def test_a_push_that_comes_late_is_waited_for(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    late = [*upgrade(), said(DEVICES, 8.0), said(POSITION, 8.9), said(MOVED, 10.5)]
    async with serving(script_of(tmp_path, late)) as fake:
        results = await examine_fake(fake)
    says(results["push"], "ok", "3 messages", "devices 2, positions 1", "the first after 0.0 ms")


async def test_nothing_is_pushed(autojump_clock: trio.testing.MockClock) -> None:
    results = await examine(backend(lively(b"", ping_after_s=20)))
    says(
        results["push"],
        "warn",
        "nothing within 10 s",
        "sends all devices, beacons and positions at first",
        "buffers",
    )
    says(results["ping"], "ok", "a PING 20.0 s after the opening")


async def test_a_ping_alone_is_no_push(autojump_clock: trio.testing.MockClock) -> None:
    results = await examine(backend(lively(b"", ping_after_s=2)))
    says(results["push"], "warn", "nothing within 10 s")
    says(results["ping"], "ok", "a PING 2.0 s after the opening, answered")


async def test_a_push_without_objects_is_a_warning(autojump_clock: trio.testing.MockClock) -> None:
    results = await examine(backend(lively(text(b'{"webSessionTimeout":[86400]}'))))
    says(results["push"], "warn", "webSessionTimeout 1", "sends no device, beacon or position")


async def test_a_server_that_never_stops_is_not_listened_to_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def chatter(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        while True:
            await peer.send(text(MOVED))
            await trio.sleep(0.5)

    results = await examine(backend(chatter), push_s=4, wait_s=3)
    says(results["push"], "ok", "positions 8")
    # What comes does not make the wait longer, and is a sign of life.
    says(results["ping"], "warn", "no PING within 3 s", "did not come back within 5 s")
    assert trio.current_time() < 20


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("masked-frame", "a server's frame is masked"),
        ("reserved-bits", "reserved bits"),
        ("reserved-opcode", "is reserved"),
        ("bad-utf8", "not UTF-8"),
    ],
)
async def test_a_broken_protocol_is_a_warning(
    fault: str, words: str, autojump_clock: trio.testing.MockClock
) -> None:
    results = await faulty(fault)
    says(results["push"], "warn", f"against the protocol: {words}"[:20], words, "Record it with -o")


ENDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "1011": ("close:code=1011,after=1", ("closed it with 1011", "The server failed")),
    "1001": ("close:code=1001,after=1", ("closed it with 1001", "goes away")),
    "1008": ("close:code=1008,after=1", ("closed it with 1008", "by its policy")),
    "4000": ("close:code=4000,after=1", ("closed it with 4000", "ended it by itself")),
    "fin": ("fin:after=1", ("ended it without a close frame", "proxy_read_timeout")),
    "torn": ("torn-frame", ("ended it inside a frame",)),
}


@pytest.mark.parametrize(("fault", "words"), ENDS.values(), ids=ENDS)
async def test_a_socket_that_ends_early(
    fault: str, words: tuple[str, ...], autojump_clock: trio.testing.MockClock
) -> None:
    results = await faulty(fault)
    says(
        results["push"],
        "fail",
        "the socket ended after 0.0 s",
        *words,
        exit_code=Exit.CONNECTION_LOST,
    )
    assert results["close"].seen == ("push failed",)


async def test_what_is_no_frame_ends_it(autojump_clock: trio.testing.MockClock) -> None:
    async def nonsense(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES) + b"\x81\x7f" + b"\xff" * 8)
        await peer.read_to_end()

    results = await examine(backend(nonsense))
    says(
        results["push"],
        "fail",
        "devices 2",
        "no frame any more",
        exit_code=Exit.CONNECTION_LOST,
    )


# Ping


async def test_no_ping_within_the_wait_is_a_warning(autojump_clock: trio.testing.MockClock) -> None:
    results = await faulty("ping-absent", wait_s=40)
    says(
        results["ping"],
        "warn",
        "no PING within 40 s",
        "a ping frame of ours came back",
        "every 30 s",
        "--wait",
    )
    assert results["close"].outcome == "ok"


async def test_a_socket_through_which_nothing_comes_is_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def asleep(peer: Peer, head: bytes) -> None:
        await peer.accept(head)
        await peer.read_to_end()

    results = await examine(backend(asleep))
    says(
        results["ping"],
        "fail",
        "no PING within 35 s",
        "did not come back within 5 s",
        "something in between forgot the connection",
        exit_code=Exit.CONNECTION_LOST,
    )


async def closes(peer: Peer, head: bytes) -> None:
    await peer.send(close(1001, "Idle timeout expired: 30000/30000 ms"))


async def ends(peer: Peer, head: bytes) -> None:
    await trio.sleep(0.5)


async def ends_on_the_ping(peer: Peer, head: bytes) -> None:
    assert (await peer.read_frame()).opcode == Opcode.PING


@pytest.mark.parametrize(
    ("then", "words"),
    [
        (closes, "closed it with 1001 Idle timeout expired"),
        (ends, "ended it without a close frame"),
        (ends_on_the_ping, "ended it without a close frame"),
    ],
    ids=["close frame", "end", "end on a ping frame"],
)
async def test_a_socket_that_does_not_outlive_its_pong(
    then: Script, words: str, autojump_clock: trio.testing.MockClock
) -> None:
    results = await examine(backend(lively(then=then)))
    says(
        results["ping"],
        "fail",
        "a PING 5.0 s after the opening, answered",
        words,
        exit_code=Exit.CONNECTION_LOST,
    )


async def test_a_socket_that_ends_while_a_ping_is_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def idle(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES))
        await trio.sleep(20)

    results = await examine(backend(idle))
    says(
        results["ping"],
        "fail",
        "the socket ended after 20.0 s",
        "timeout for idle connections",
        exit_code=Exit.CONNECTION_LOST,
    )


async def test_a_server_that_does_not_answer_a_ping_frame_is_a_warning(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def deaf(peer: Peer, head: bytes) -> None:
        while (await peer.read_frame()).opcode != Opcode.CLOSE:
            pass
        await peer.send(close(1000))

    results = await examine(backend(lively(then=deaf)))
    says(results["ping"], "warn", "did not come back within 5 s", "as RFC 6455 says")


async def test_ping_frames_of_the_server_are_answered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    got: list[Frame] = []

    async def pinging(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=Frame.make(Opcode.PING, b"you?").serialize())
        got.append(await peer.read_frame())
        await closes(peer, head)
        got.append(await peer.read_frame())

    await examine(backend(pinging))
    assert [(frame.opcode, frame.payload) for frame in got] == [
        (Opcode.PONG, b"you?"),
        # 1001 comes back without its reason.
        (Opcode.CLOSE, b"\x03\xe9"),
    ]
    assert all(frame.masking_key for frame in got)


async def test_every_ping_is_answered_at_once_also_twice_in_one_text(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def twice(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(ping(1) + b"~" + ping(2) + b"~" + DEVICES))
        assert [await peer.read_text(), await peer.read_text()] == [pong(1), pong(2)]
        while (frame := await peer.read_frame()).opcode != Opcode.CLOSE:
            await peer.send(Frame.make(Opcode.PONG, frame.payload).serialize())
        await peer.send(close(1000))

    results = await examine(backend(twice))
    assert outcomes(results) == "ooow" + "o" * 8
    says(results["push"], "ok", "1 message, ", "devices 2")


# Close


async def test_a_close_that_is_not_answered_is_a_warning(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def stubborn(peer: Peer, head: bytes) -> None:
        frame = await peer.read_frame()
        await peer.send(Frame.make(Opcode.PONG, frame.payload).serialize())
        await peer.read_to_end()

    results = await examine(backend(lively(then=stubborn)))
    says(results["close"], "warn", "1000 was not answered: no close frame within 5 s")


async def test_a_close_that_is_answered_by_the_end_is_a_warning(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def curt(peer: Peer, head: bytes) -> None:
        frame = await peer.read_frame()
        await peer.send(Frame.make(Opcode.PONG, frame.payload).serialize())
        assert (await peer.read_frame()).close_code == 1000

    results = await examine(backend(lively(then=curt)))
    says(results["close"], "warn", "1000 was not answered: the server ended it without")


async def test_a_connection_that_is_left_open_is_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def lingering(peer: Peer, head: bytes) -> None:
        frame = await peer.read_frame()
        await peer.send(Frame.make(Opcode.PONG, frame.payload).serialize())
        await peer.read_frame()
        await peer.send(close(1000))
        await peer.read_to_end()

    results = await examine(backend(lively(then=lingering)))
    says(results["close"], "ok", "1000 was answered with 1000", "left open")
