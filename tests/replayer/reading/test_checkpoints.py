"""Reading goes on from a checkpoint, whatever it says."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import AnyEntry, Checkpoint, FrameEntry, Open, Request, Response
from recorder.wire.frames import Frame, Opcode
from replayer.conformance import conformance
from replayer.reading.checkpoints import read_checkpoint, state_of
from replayer.reading.conversation import BrokenMessage, DataMessage, Exchange, converse
from replayer.reading.statistics import gather
from tests.profiles import examples
from tests.replayer.recordings import PING, frame, header, ms
from tests.replayer.traffic import KEY
from tests.strategies import as_raw, entry_lists, json_texts

UUID = "a0b34365-908f-4868-a52a-84a3ed83bd59"
UPGRADE = [
    *(("Upgrade", "websocket"), ("Sec-WebSocket-Key", KEY)),
    *(("Sec-WebSocket-Version", "13"), ("Cookie", "JSESSIONID=c")),
]
DAY_MS = 86_400_000


def raw(**members: Any) -> Any:
    return as_raw(json.dumps(members))


def open_socket(connection: int = 1, **members: Any) -> Any:
    request = {"method": "GET", "target": "/api/socket", "headers": UPGRADE}
    answered = {"status": 101, "reason": "", "headers": []}
    return raw(
        connection=connection,
        leg="client",
        exchange=9,
        **{"request": request, "response": answered, **members},
    )


def waiting(method: str, target: str, connection: int = 1) -> Any:
    return open_socket(
        connection, request={"method": method, "target": target, "headers": []}, response=None
    )


def checkpoint(*connections: Any, at: float = 1000, **lists: Any) -> Checkpoint:
    return Checkpoint(offset_ns=ms(at), connections=list(connections), **lists)


def fragment(data: str, sender: str = "server", opcode: str | int = "text") -> Any:
    return raw(connection=1, sender=sender, opcode=opcode, text=data)


def asked(target: str, cookie: str, at: float, *, method: str = "GET", status: int) -> list[Any]:
    common: dict[str, Any] = {"connection": 7, "exchange": round(at), "offset_ns": ms(at)}
    fields = [("Cookie", f"JSESSIONID={cookie}")]
    return [
        Request(**common, method=method, target=target, headers=fields),
        Response(**common, status=status, headers=[]),
    ]


def rules_in(*entries: AnyEntry, **options: Any) -> list[str]:
    return [one.rule for one in conformance(entries, **options)]


def rest(sender: Any, data: bytes, at: float = 1001, connection: int = 1) -> FrameEntry:
    return frame(sender, data, at=at, opcode=Opcode.CONTINUATION, connection=connection)


# Conversation


def test_a_message_that_was_begun_is_whole() -> None:
    start = checkpoint(open_socket(), fragments=[fragment('{"dev')])
    items = list(converse([start, rest("server", b'ices":[]}')]))
    (message,) = [item for item in items if isinstance(item, DataMessage)]
    assert (message.payload, message.fragments) == (b'{"devices":[]}', 2)
    assert start in items
    masked = msgspec.structs.replace(start, redacted=True)
    found = converse([masked, rest("server", b'ices":[]}')])
    assert [item.redacted for item in found if isinstance(item, DataMessage)] == [True]


def test_a_message_of_any_opcode_that_was_begun_is_whole() -> None:
    for opcode, base64 in (("binary", "AP8="), (3, "AP8=")):
        begun = raw(connection=1, sender="client", opcode=opcode, base64=base64)
        items = list(converse([checkpoint(open_socket(), fragments=[begun]), rest("client", b"x")]))
        assert [(item.opcode, item.payload) for item in items if isinstance(item, DataMessage)] == [
            (opcode, b"\x00\xffx")
        ]


def test_a_response_finds_the_request_that_was_sent_before() -> None:
    answer = Response(connection=1, exchange=9, offset_ns=ms(1001), status=200, headers=[])
    items = converse([checkpoint(waiting("GET", "/api/devices")), answer])
    (exchange,) = [item for item in items if isinstance(item, Exchange)]
    assert exchange.request is not None
    assert (exchange.request.target, exchange.took_ns) == ("/api/devices", None)


def test_a_request_that_was_answered_waits_for_no_response() -> None:
    items = list(converse([checkpoint(open_socket())]))
    assert [item for item in items if isinstance(item, Exchange)] == []


def test_what_a_checkpoint_does_not_name_has_ended_before_it() -> None:
    begun = frame("server", b"begun", at=0, fin=False)
    request = Request(connection=2, exchange=1, offset_ns=0, method="GET", target="/", headers=[])
    start = checkpoint(open_socket(), waiting("GET", "/", connection=3))
    kinds = [type(item) for item in converse([begun, request, start])]
    assert kinds == [BrokenMessage, Exchange, Checkpoint, Exchange]


# Conformance


def test_a_pong_in_fragments_counts_over_the_cut() -> None:
    entries = [
        checkpoint(
            open_socket(),
            fragments=[fragment("pong a0b", sender="client")],
            pings=[raw(connection=1, uuid=UUID, offset_ns=0)],
        ),
        rest("client", UUID[3:].encode()),
    ]
    assert rules_in(*entries) == []


def test_a_pong_that_comes_too_late_does_so_over_the_cut() -> None:
    entries = [
        checkpoint(open_socket(), pings=[raw(connection=1, uuid=UUID, offset_ns=0)]),
        frame("client", f"pong {UUID}".encode(), at=30_001),
    ]
    assert rules_in(*entries) == ["pong.late"]


def test_a_ping_in_fragments_is_one_over_the_cut() -> None:
    ping = (PING % UUID.encode()).decode()
    entries = [
        checkpoint(open_socket(), fragments=[fragment(ping[:20])]),
        rest("server", ping[20:].encode()),
        frame("client", f"pong {UUID}".encode(), at=1002),
    ]
    assert rules_in(*entries) == []


def test_the_upgrade_before_a_checkpoint_is_not_judged_again() -> None:
    bad = {"method": "GET", "target": "/api/socket", "headers": [("Upgrade", "websocket")]}
    assert rules_in(checkpoint(open_socket(request=bad))) == []


def test_the_cookie_of_an_open_socket_is_known_and_expires() -> None:
    start = checkpoint(open_socket())
    in_time = asked("/api/devices", "c", DAY_MS, status=401)
    late = asked("/api/devices", "c", DAY_MS + 1000, status=401)
    assert rules_in(start, *in_time) == []
    assert rules_in(start, *late) == ["session.expired-cookie"]


def test_a_session_that_was_logged_out_stays_so_behind_a_checkpoint() -> None:
    out = asked("/api/session", "c", 1, method="DELETE", status=204)
    use = asked("/api/devices", "c", 2000, status=401)
    assert rules_in(*out, checkpoint(open_socket()), *use) == ["session.unknown-cookie"]


def test_logins_before_a_checkpoint_were_not_seen() -> None:
    use = asked("/api/devices", "other", 2000, status=401)
    assert rules_in(*use, from_start=True) == ["session.unknown-cookie"]
    assert rules_in(checkpoint(), *use, from_start=True) == []


def test_a_login_is_one_over_the_cut() -> None:
    sets = [("Set-Cookie", "JSESSIONID=new; Path=/api")]
    answer = Response(connection=1, exchange=9, offset_ns=ms(1001), status=200, headers=sets)
    use = asked("/api/devices", "new", DAY_MS + 2000, status=401)
    found = rules_in(checkpoint(waiting("POST", "/api/session")), answer, *use)
    assert found == ["session.expired-cookie"]


# Statistics


def test_what_was_open_counts_from_the_checkpoint_on() -> None:
    entries = [
        checkpoint(
            open_socket(peer="127.0.0.1:5"),
            raw(connection=4, leg="client"),
            raw(connection=5, leg="upstream", paired_with=4),
            at=60_000,
            pings=[raw(connection=1, uuid=UUID, offset_ns=ms(59_000))],
        ),
        frame("server", b"{}", at=70_000),
    ]
    facts = gather(header(), entries)
    assert (facts.from_ns, facts.duration_ns) == (ms(60_000), ms(10_000))
    assert facts.rate is not None
    assert facts.rate.mean == 0.1
    assert (facts.client_connections, facts.upstream_connections) == (2, 1)
    assert facts.silences == facts.gaps == []
    first, second = facts.connections
    assert (first.before, first.opened_ns, first.peer) == (True, ms(60_000), "127.0.0.1:5")
    assert (first.handshake_status, second.handshake_status) == (101, None)
    assert (first.pings.sent, first.pings.undecided) == (1, 1)


def test_what_happened_in_a_gap_is_no_silence_no_fault_and_no_end_of_a_socket() -> None:
    common: dict[str, Any] = {"connection": 1, "offset_ns": 0}
    entries: list[AnyEntry] = [
        Open(**common, leg="client"),
        Response(**common, exchange=9, status=101, headers=[]),
        frame("server", PING % UUID.encode(), at=1),
        # Whether it was answered in the 60 s that are missing, nobody saw.
        checkpoint(open_socket(), raw(connection=2, leg="client"), at=60_000),
        frame("server", b"{}", at=60_001),
        checkpoint(open_socket(), raw(connection=2, leg="client"), at=90_000),
    ]
    facts = gather(header(), entries)
    assert (facts.silences, facts.gaps, facts.violations) == ([], [], {})
    assert facts.from_ns == 0
    assert facts.client_connections == 2
    assert [(each.connection, each.before) for each in facts.connections] == [
        *((1, False), (1, True), (2, True), (1, True), (2, True)),
    ]


# Whatever it says


@settings(max_examples=examples(40))
@given(
    st.lists(json_texts.map(as_raw), max_size=4),
    st.lists(st.sampled_from(["connections", "fragments", "pings", "devices"])),
    entry_lists(),
)
def test_what_cannot_be_read_is_passed_over(
    odd: list[Any], names: list[str], entries: list[AnyEntry]
) -> None:
    control = raw(connection=1, sender="server", opcode="ping", text="")
    wrong = raw(connection=1, sender="server", opcode="text", base64="?")
    unnamed = raw(connection=1, sender="server", opcode="other", text="")
    start = Checkpoint(
        offset_ns=0,
        **{
            **dict.fromkeys(names, odd),
            "fragments": [*odd, control, wrong, unnamed],
        },
    )
    assert read_checkpoint(start).fragments == {}
    assert state_of(start).objects("beacons") == []
    assert start in converse([start, *entries])
    timed = [entry for entry in entries if entry.offset_ns is not None]
    gather(header(), [start, *timed])
    list(conformance([start, *timed]))


def test_a_part_of_a_message_keeps_its_mask_to_itself() -> None:
    # What was begun stands unmasked in a checkpoint; only what comes is judged as a frame.
    start = checkpoint(open_socket(), fragments=[fragment("pong", sender="client")])
    assert rules_in(start, rest("client", b" x")) == ["pong.unsolicited"]
    unmasked = FrameEntry.of(
        Frame.make(Opcode.CONTINUATION, b" x"), connection=1, sender="client", offset_ns=ms(1001)
    )
    assert rules_in(start, unmasked) == ["frame.broken"]
