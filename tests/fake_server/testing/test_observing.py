"""What a recording proxy saw, noted as the fake itself would have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import msgspec
import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fake_server.connection import now_ns
from fake_server.journal import Doing, Journal
from fake_server.testing.observing import Observer
from fake_server.testing.proxied import ObservedSink
from recorder.backend import Backend
from recorder.model import AnyEntry, Bytes, Closed, Entry, FrameEntry, Open, Request, Response
from recorder.proxy import Proxy
from recorder.redaction import Redactor
from recorder.track.rules import Rules
from recorder.wire.frames import Frame, Opcode, close_frame
from replayer.conformance import MAX_CLIENT_MESSAGE_BYTES
from tests.fake_server.support import (
    KEY,
    MASK,
    PING,
    Client,
    Fake,
    ns,
    quiet,
    said,
    serving,
)
from tests.profiles import examples
from tests.proxy.support import NO_TLS, jump

UUID = "a0b34365-908f-4868-a52a-84a3ed83bd59"


def observer(rules: Rules | None = None) -> tuple[Observer, Journal]:
    journal = Journal(lambda: 0)
    return Observer(journal, rules or Rules()), journal


def opened(at_s: float = 0.0) -> list[Entry]:
    """A socket on both legs of a connection: 2 is the client's, 3 the upstream's."""
    at = {"offset_ns": ns(at_s), "exchange": 1}
    headers = [
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
        ("Cookie", "JSESSIONID=one"),
    ]
    asks = {"method": "GET", "target": "/api/socket", "headers": headers}
    return [
        Open(offset_ns=ns(at_s), connection=2, leg="client"),
        Request(**at, connection=2, **asks),
        Open(offset_ns=ns(at_s), connection=3, leg="upstream", paired_with=2),
        Request(**at, connection=3, **asks),
        Response(**at, connection=3, status=101, headers=[]),
        Response(**at, connection=2, status=101, headers=[]),
    ]


def sent(payload: bytes | Frame, at_s: float) -> FrameEntry:
    """A frame of the client, a text unless it is given whole."""
    frame = payload if isinstance(payload, Frame) else Frame.make(Opcode.TEXT, payload, mask=MASK)
    return FrameEntry.of(frame, connection=2, sender="client", offset_ns=ns(at_s))


def closed(at_s: float) -> list[Entry]:
    return [Closed(connection=one, offset_ns=ns(at_s), by="client", how="eof") for one in (2, 3)]


def asked(target: str, status: int, *, connection: int = 2, exchange: int = 1) -> list[Entry]:
    common = {"connection": connection, "exchange": exchange, "offset_ns": 0}
    return [
        Request(**common, method="GET", target=target, headers=[]),
        Response(**common, status=100, headers=[]),
        Response(**common, status=status, headers=[]),
    ]


def fed(*entries: AnyEntry, rules: Rules | None = None) -> tuple[Observer, list[str]]:
    """What the entries are noted as, in words."""
    it, journal = observer(rules)
    for entry in entries:
        it.feed(entry)
    assert it.failures == []
    return it, [journal.words(one) for one in journal.kept]


def test_a_ping_that_is_answered_in_time_is_noted_once() -> None:
    ping = PING % UUID.encode()
    it, words = fed(*opened(), said(ping, 30), sent(b"pong " + UUID.encode(), 31), *closed(40))
    assert words == [
        "opened socket 1",
        f"PING {UUID} to socket 1",
        f"pong {UUID} on socket 1",
        "socket 1 ended",
    ]
    assert list(it.violations.latest) == []


def test_a_pong_that_is_late_is_a_text_and_a_violation() -> None:
    ping = PING % UUID.encode()
    it, words = fed(*opened(), said(ping, 30), sent(b"pong " + UUID.encode(), 61))
    assert words[2:] == [f"sent 'pong {UUID}' on socket 1"]
    [found] = it.violations.latest
    assert (found.rule, found.connection, found.at_ns) == ("pong.late", 2, ns(61))


def test_an_open_socket_is_told_until_a_close_frame_passes() -> None:
    ping = PING % UUID.encode()
    it, _ = fed(*opened(1), said(b"{}", 2), said(ping, 31))
    [socket] = it.sockets("a@b.example", ns(41))
    assert (socket.number, socket.connection, socket.account) == (1, 2, "a@b.example")
    assert (socket.open_s, socket.messages_sent) == (40, 2)
    assert (socket.pings, socket.pongs, socket.unanswered) == (1, 0, (UUID,))
    for close in (sent(close_frame(1000, mask=MASK), 2), said(close_frame(1001), 2)):
        it, _ = fed(*opened(), close)
        assert it.sockets("", 0) == []


def test_what_a_client_sends_behind_its_close_is_not_read() -> None:
    _, words = fed(*opened(), sent(close_frame(1000, mask=MASK), 1), sent(b"hello", 2))
    assert words == ["opened socket 1", "closed socket 1 with 1000"]


def test_bytes_that_are_no_frame_end_what_is_read() -> None:
    torn = Bytes(connection=2, offset_ns=1, sender="client", why="the stream ended", text="\x81")
    it, words = fed(*opened(), torn, sent(b"hello", 2))
    assert words == ["opened socket 1"]
    assert it.sockets("", 0) == []


def test_what_is_behind_a_broken_frame_is_not_read() -> None:
    for broken in (
        Frame.make(Opcode.TEXT, b"unmasked"),
        Frame.make(Opcode.CONTINUATION, b"of nothing", mask=MASK),
        Frame.make(Opcode.TEXT, bytes(MAX_CLIENT_MESSAGE_BYTES + 1), mask=MASK),
    ):
        it, words = fed(*opened(), sent(broken, 1), sent(b"hello", 2))
        assert words == ["opened socket 1"]
        assert it.sockets("", 0) == []
        assert [one.rule for one in it.violations.latest] == ["frame.broken"]


def test_text_behind_what_the_backend_closes_for_is_not_read() -> None:
    hello = [sent(b"hello", 1), sent(b"hello", 2)]
    assert len(fed(*opened(), *hello)[1]) == 3
    assert len(fed(*opened(), *hello, rules=Rules(other_client_text="close"))[1]) == 2


def test_a_request_is_noted_with_its_final_answer_and_once_for_both_legs() -> None:
    _, words = fed(
        Open(connection=2, offset_ns=0, leg="client"),
        Open(connection=3, offset_ns=0, leg="upstream", paired_with=2),
        *asked("/api/devices?id=1", 200),
        *asked("/api/devices?id=1", 200, connection=3),
        *asked("/api/socket", 503, exchange=2),
        *closed(1),
    )
    assert words == ["GET /api/devices?id=1, answered 200", "GET /api/socket, answered 503"]


def test_requests_of_our_own_are_not_noted_but_those_of_the_next_from_that_port() -> None:
    it, journal = observer()
    it.own_peers.add("127.0.0.1:5000")
    entries: list[AnyEntry] = [
        Open(connection=2, offset_ns=0, leg="client", peer="127.0.0.1:5000"),
        *asked("/api/session", 200),
        *closed(1),
    ]
    for entry in entries:
        it.feed(entry)
    assert journal.last_number == 0
    for entry in entries:
        it.feed(entry)
    assert [one.target for one in journal.kept] == ["/api/session"]


def test_an_error_of_its_own_is_kept_and_raises_nothing() -> None:
    it, journal = observer()
    for entry in opened():
        it.feed(entry)
    good = sent(b"hello", 1)
    for _ in range(30):
        it.feed(msgspec.structs.replace(good, head=""))
    it.feed(good)
    assert len(it.failures) == 20
    assert "ValueError: a frame's head has at least 2 bytes" in it.failures[0]
    assert [one.kind for one in journal.kept] == ["socket", "text"]


# A fake and a proxy before it see the same


class Nowhere:
    """A writer that writes nothing."""

    def write(self, entry: AnyEntry) -> None:
        pass


class Seen(NamedTuple):
    """A fake, clients of it by way of a proxy, and what was observed there."""

    fake: Fake
    clients: Fake
    observer: Observer
    journal: Journal


class ByProxy(Fake):
    """Clients that connect to a proxy before a fake."""

    def __init__(self, fake: Fake, proxy: Proxy, nursery: trio.Nursery) -> None:
        super().__init__(fake.server, nursery)
        self._proxy = proxy
        self._tasks = nursery

    def connect(self, *, lockstep: bool = False) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        self._tasks.start_soon(self._proxy.handle, theirs)
        return ours


@asynccontextmanager
async def proxied(rules: Rules) -> AsyncIterator[Seen]:
    journal = Journal(now_ns)
    it = Observer(journal, rules)
    sink = ObservedSink(
        Nowhere(),
        Redactor("none"),
        started_ns=now_ns(),
        clock=now_ns,
        wall_clock=now_ns,
        observe=it.feed,
    )
    async with serving(quiet(b"{}"), rules=rules) as fake, trio.open_nursery() as nursery:

        async def dial() -> tuple[trio.abc.Stream, None]:
            return fake.connect(), None

        upstream = Backend(tls=False, host="up.test", port=80)
        proxy = Proxy(upstream, sink, tls=NO_TLS, dial=dial)
        yield Seen(fake, ByProxy(fake, proxy, nursery), it, journal)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


AT_ONCE_S = 1e-9
BESIDE_S = 0.02
"""No client acts in the moment of grace by which a PING of the fake may be late: a pong may be in
time for one and not for the other then.
"""

FRAMES = st.sampled_from(
    [
        Frame.make(Opcode.BINARY, b"pong x", mask=MASK),
        Frame.make(Opcode.PING, b"x", mask=MASK),
        Frame.make(Opcode.TEXT, b"pong", fin=False, mask=MASK),
        Frame.make(Opcode.CONTINUATION, b" x", mask=MASK),
        Frame.make(Opcode.TEXT, b"\xff", mask=MASK),
        Frame.make(Opcode.TEXT, b"unmasked"),
        Frame.make(11, b"", mask=MASK),
        Frame.make(Opcode.CLOSE, b"", mask=MASK),
        close_frame(1000, "bye", mask=MASK),
        close_frame(1005, mask=MASK),
    ]
)
WHICH = st.integers(0, 2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("open")),
        st.tuples(st.just("wait"), st.integers(0, 70)),
        st.tuples(st.just("listen"), WHICH, st.integers(0, 70), st.booleans()),
        st.tuples(
            st.just("text"), WHICH, st.sampled_from(["hello", "pong", "pong x", "PONG x", "{}"])
        ),
        st.tuples(st.just("frame"), WHICH, FRAMES),
        st.tuples(st.just("hang up"), WHICH),
        st.tuples(st.just("ask"), st.sampled_from(["/api/devices", "/api/none?x=%20", "/"])),
        st.tuples(st.just("no cookie")),
        st.tuples(st.just("drop")),
        st.tuples(st.just("ping")),
    ),
    max_size=12,
)


async def drain(client: Client) -> None:
    """Read what came. A client that the server has hung up on does so too, as every client does."""
    await client.listen(trio.current_time() + AT_ONCE_S, answer=False)
    if client.at_end:
        await client.stream.aclose()


async def act(seen: Seen, cookie: str, sockets: list[Client], step: tuple[Any, ...]) -> None:
    match step:
        case ("open",):
            sockets.append(await seen.clients.socket(cookie))
        case ("wait", seconds):
            await trio.sleep(seconds + BESIDE_S)
        case ("ask", target):
            await seen.clients.http().ask(target, Cookie=cookie)
        case ("no cookie",):
            await seen.clients.http().ask("/api/socket")
        case ("drop",):
            seen.fake.server.control.drop()
        case ("ping",):
            for client in sockets:
                await drain(client)
            # Answered at once: till when it may be is the server's to know.
            seen.fake.server.control.ping()
            for client in sockets:
                await client.listen(trio.current_time() + AT_ONCE_S)
        case (what, which, *more) if which < len(sockets):
            client = sockets[which]
            if what != "listen":
                await drain(client)
            if what == "listen":
                seconds, answers = more
                await client.listen(trio.current_time() + seconds + BESIDE_S, answer=answers)
            elif what == "text":
                await client.text(more[0])
            elif what == "frame":
                await client.send(more[0])
            else:
                await client.stream.aclose()


def by_socket(doings: Iterator[Doing]) -> dict[int, list[tuple[Any, ...]]]:
    """What was done on each socket; of requests under 0."""
    told: dict[int, list[tuple[Any, ...]]] = {}
    for one in doings:
        if one.kind != "played":
            what = (one.kind, one.method, one.target, one.status, one.uuid, one.payload, one.code)
            told.setdefault(one.socket, []).append(what)
    return told


@example([("open",), ("listen", 0, 70, False)], "close")
@example([("open",), ("listen", 0, 70, False), ("listen", 0, 30, True)], "ignore")
@example(
    [("open",), ("ping",), ("open",), ("ping",), ("frame", 1, close_frame(1000, mask=MASK))],
    "close",
)
@given(STEPS, st.sampled_from(["close", "ignore"]))
@settings(max_examples=examples(40))
def test_a_proxy_sees_what_the_fake_behind_it_sees(
    steps: list[tuple[Any, ...]], unanswered: str
) -> None:
    rules = Rules(unanswered_ping=unanswered)  # type: ignore[arg-type]

    async def main() -> None:
        async with proxied(rules) as seen:
            cookie = await seen.clients.cookie()
            sockets: list[Client] = []
            for step in steps:
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await act(seen, cookie, sockets, step)
                await trio.testing.wait_all_tasks_blocked()
            server = seen.fake.server
            assert [
                (one.number, one.account, one.pings, one.pongs, one.unanswered)
                for one in seen.observer.sockets("demo@example.com", 0)
            ] == [
                (
                    one.number,
                    one.session.account,
                    one.heartbeat.pings,
                    one.heartbeat.answered,
                    one.heartbeat.unanswered,
                )
                for one in server.control.open_sockets
            ]
            for client in sockets:
                await client.stream.aclose()
            await trio.testing.wait_all_tasks_blocked()
            assert seen.observer.failures == []
            assert by_socket(iter(seen.journal.kept)) == by_socket(iter(server.journal.kept))

    jump(main)
