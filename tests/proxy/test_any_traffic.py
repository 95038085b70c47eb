"""Any traffic through the proxy: both sides see what they would without it, and it is recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import Response, Sender
from recorder.wire.frames import Frame, FrameParser
from tests.profiles import examples
from tests.proxy.support import (
    Ending,
    Script,
    Seen,
    Send,
    bodies_of,
    directly,
    jump,
    of_kind,
    through_proxy,
    wire_of,
)
from tests.proxy.traffic import Conversation, Head, conversations

SENDERS: tuple[Sender, Sender] = ("client", "server")
MAX_FRAME_BYTES = 64 * 1024 * 1024


def as_request(head: Head, *, got: bool) -> tuple[Any, ...]:
    return (*(head.got_first if got else head.first), head.got_headers if got else head.headers)


def as_response(head: Head, *, got: bool) -> tuple[Any, ...]:
    return (int(head.first[0]), *head.first[1:], head.got_headers if got else head.headers)


def head_of(entry: Any) -> tuple[Any, ...]:
    if isinstance(entry, Response):
        return (entry.status, entry.reason, entry.http_version, entry.headers)
    return (entry.method, entry.target, entry.http_version, entry.headers)


def frames_in(data: bytes) -> list[bytes]:
    """The whole frames at the start of what a sender sent."""
    parser = FrameParser(max_frame_bytes=MAX_FRAME_BYTES)
    return [event.serialize() for event in parser.feed(data) if isinstance(event, Frame)]


def check_recording(
    entries: list[Any], legs: tuple[list[Any], list[Any]], made: Conversation
) -> None:
    """The recording says all of the conversation, on either leg."""
    client_leg, upstream_leg = legs
    numbers = [entry.exchange for entry in of_kind(client_leg, "request")]
    assert numbers == list(range(1, len(made.exchanges) + 1))
    for leg, is_upstream in ((client_leg, False), (upstream_leg, True)):
        assert [head_of(entry) for entry in of_kind(leg, "request")] == [
            as_request(exchange.request, got=is_upstream) for exchange in made.exchanges
        ]
        assert [(entry.exchange, *head_of(entry)) for entry in of_kind(leg, "response")] == [
            (number, *as_response(head, got=not is_upstream))
            for number, exchange in zip(numbers, made.exchanges, strict=True)
            for head in exchange.heads
        ]
    assert {entry.kind for entry in upstream_leg} <= {"open", "request", "response", "closed"}
    expected = {
        (number, sender): (body, True)
        for number, exchange in zip(numbers, made.exchanges, strict=True)
        for sender, body in (
            ("client", exchange.asked.body),
            ("server", exchange.answered.body),
        )
        if body
    }
    assert bodies_of(client_leg) == expected
    for sender in SENDERS:
        said = made.said[sender] if made.said else b""
        trailers = b"".join(
            (exchange.asked if sender == "client" else exchange.answered).trailer
            for exchange in made.exchanges
        )
        assert wire_of(client_leg, sender) == trailers + said
        assert [
            entry.frame().serialize()
            for entry in of_kind(client_leg, "frame")
            if entry.sender == sender
        ] == frames_in(said)
    assert [entry.connection for entry in of_kind(entries, "open")] == [1, 2]
    assert [entry.paired_with for entry in of_kind(entries, "open")] == [None, 1]
    for leg in legs:
        assert [entry.kind for entry in leg].index("closed") == len(leg) - 1


@given(conversations(), st.booleans())
@settings(max_examples=examples(80))
def test_both_sides_see_the_same_bytes_but_for_the_listed_changes_and_all_is_recorded(
    made: Conversation, lockstep: bool
) -> None:
    async def main() -> Seen:
        return await through_proxy(
            made.client, made.server, upstream=made.upstream, lockstep=lockstep
        )

    seen = jump(main)
    assert seen.server is not None
    assert bytes(seen.server.read) == made.sent("client")
    assert bytes(seen.client.read) == made.sent("server")
    assert (seen.client.end, seen.server.end) == ("eof", "eof")
    check_recording(seen.entries, (seen.of("client"), seen.of("upstream")), made)
    by = "client" if made.client.ending == "eof" else "server"
    assert [(entry.by, entry.how) for entry in of_kind(seen.entries, "closed")] == [(by, "eof")] * 2
    opens = of_kind(seen.entries, "open")
    assert opens[1].url == made.upstream
    offers = sum(
        name.lower() == "sec-websocket-extensions"
        for exchange in made.exchanges
        for name, _ in exchange.request.headers
    )
    assert bool(of_kind(seen.entries, "note")) == bool(offers)


# Ends anywhere


def shortened(script: Script, size_bytes: int, ending: Ending) -> Script:
    """What `script` sends up to there, and then the end."""
    sends: list[Send] = []
    for send in script.sends:
        if size_bytes <= 0:
            break
        sends.append(send._replace(data=send.data[:size_bytes]))
        size_bytes -= len(send.data)
    return Script(sends, ending)


@st.composite
def ended_somewhere(draw: st.DrawFn) -> tuple[Conversation, str]:
    """A conversation whose heads change in nothing, ended by one side at any byte."""
    made = draw(conversations(neutral=True))
    by = draw(st.sampled_from(["client", "server"]))
    ending: Ending = draw(st.sampled_from(["eof", "eof", "close", "reset"]))
    if by == "client":
        # Behind the first head: what there is a server for.
        least = len(made.exchanges[0].request.sent)
        size = draw(st.integers(least, len(made.sent("client"))))
        client, server = shortened(made.client, size, ending), made.server._replace(ending="answer")
    else:
        size = draw(st.integers(0, len(made.sent("server"))))
        client, server = made.client._replace(ending="answer"), shortened(made.server, size, ending)
    return replace(made, client=client, server=server), by


@given(ended_somewhere(), st.booleans())
@settings(max_examples=examples(80))
def test_an_end_at_any_byte_is_the_same_for_the_other_side_with_the_proxy_and_without(
    ended: tuple[Conversation, str], lockstep: bool
) -> None:
    made, by = ended

    async def main() -> tuple[Seen, Seen]:
        straight = await directly(made.client, made.server, lockstep=lockstep)
        return straight, await through_proxy(made.client, made.server, lockstep=lockstep)

    straight, relayed = jump(main)
    assert straight.server is not None
    assert relayed.server is not None
    ender, other = ("client", "server") if by == "client" else ("server", "client")
    ending = getattr(made, ender).ending
    there, here = getattr(straight, other), getattr(relayed, other)
    if ending in ("close", "reset"):
        # An answer that meets nobody ends all: a torn head, or what waits behind an offer, is late.
        assert there.read.startswith(here.read)
    else:
        assert bytes(here.read) == bytes(there.read)
    assert here.end != "open" or getattr(relayed, ender).end == "open"
    if ending == "eof":
        assert bytes(getattr(relayed, ender).read) == bytes(getattr(straight, ender).read)
        assert (here.end, getattr(relayed, ender).end) == ("eof", "eof")
    closed = of_kind(relayed.entries, "closed")
    how = "reset" if ending == "reset" else "eof"
    assert {entry.how for entry in closed} <= {how, "reset"}
    if ending in ("eof", "reset"):
        assert [(entry.by, entry.how) for entry in closed] == [(ender, how)] * 2
    check_torn_recording(relayed, made)


def check_torn_recording(seen: Seen, made: Conversation) -> None:
    """What was recorded is what passed: as much of the socket, and of each body, and no more."""
    leg = seen.of("client")
    assert seen.server is not None
    read = {"client": bytes(seen.server.read), "server": bytes(seen.client.read)}
    opened = 101 in [entry.status for entry in of_kind(leg, "response")]
    if opened:
        for sender in SENDERS:
            whole = made.sent(sender)
            assert made.said is not None
            before = len(whole) - len(made.said[sender])
            trailers = [
                (exchange.asked if sender == "client" else exchange.answered).trailer
                for exchange in made.exchanges
            ]
            recorded = wire_of(leg, sender).removeprefix(b"".join(trailers))
            assert made.said[sender].startswith(recorded)
            assert recorded.startswith(read[sender][before:])
    for (number, sender), (data, ended) in bodies_of(leg).items():
        exchange = made.exchanges[number - 1]
        body = (exchange.asked if sender == "client" else exchange.answered).body
        names = {name.lower() for name, _ in exchange.heads[-1].headers}
        # Without a length any end is the body's (RFC 9112 section 6.3).
        sized = sender == "client" or names & {"content-length", "transfer-encoding"}
        assert body == data if ended and sized else body.startswith(data)
    for number, entry in enumerate(of_kind(leg, "request")):
        assert head_of(entry) == as_request(made.exchanges[number].request, got=False)
    assert {entry.connection for entry in of_kind(leg, "closed")} == {1}


@pytest.mark.parametrize("ending", ["eof", "close"])
def test_what_is_behind_an_offer_passes_whole_however_much_it_is(ending: Ending) -> None:
    """It waits for the answer, which tells whether it is frames or the next request."""
    offer = (
        b"GET / HTTP/1.1\r\nHost: up.test:8082\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    opened = b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    one = Frame.make(2, b"x" * 1000, mask=b"abcd").serialize()
    for count in (1, 500):
        sends = [Send(offer), *[Send(one)] * count]
        client = Script(sends, ending, len(opened))
        server = Script([Send(opened, len(offer), 2.0)], "answer")
        seen = jump(through_proxy, client, server)
        assert seen.server is not None
        assert bytes(seen.server.read) == offer + one * count
        assert wire_of(seen.entries, "client") == one * count
        assert bytes(seen.client.read) == opened


def test_what_is_behind_an_offer_passes_where_no_answer_can_come_any_more() -> None:
    first = b"HEAD / HTTP/1.1\r\nHost: up.test:8082\r\n\r\n"
    offer = (
        first.replace(b"HEAD", b"GET")[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    for torn in (b"HTTP/1.1 100 X\r\n\r\n", b"HTTP/1.1 100 X\r\nTE: ", b""):
        for pause_s in (0.0, 5.0):
            client = Script([Send(first), Send(offer + b"\x81\x01a", 0, pause_s)], "answer")
            server = Script([Send(torn, len(first), 1.0)], "eof")
            seen = jump(through_proxy, client, server)
            assert seen.server is not None
            assert bytes(seen.server.read) == first + offer + b"\x81\x01a"
            assert bytes(seen.client.read) == torn
