"""REST calls with both bodies, however they came; and the objects that a recording tells of."""

from __future__ import annotations

import gzip

from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import (
    AnyEntry,
    Body,
    Checkpoint,
    Closed,
    Request,
    Response,
    Resume,
    encode_bytes,
)
from replayer.reading import calls as module
from replayer.reading.calls import Call, calls
from replayer.reading.said import objects_said
from tests.profiles import examples
from tests.replayer.recordings import frame
from tests.strategies import as_raw

DEVICES = b'[{"id":1,"speed":100.0},{"id":2}]'


def asked(connection: int = 1, exchange: int = 1, target: str = "/api/devices") -> Request:
    return Request(
        offset_ns=0,
        connection=connection,
        exchange=exchange,
        method="GET",
        target=target,
        headers=[],
    )


def answered(
    body: bytes, *, connection: int = 1, exchange: int = 1, coding: str = "", pieces: int = 1
) -> list[AnyEntry]:
    headers = [("Content-Encoding", coding)] if coding else []
    size = max(1, -(-len(body) // pieces))
    parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    return [
        Response(
            offset_ns=1, connection=connection, exchange=exchange, status=200, headers=headers
        ),
        *(
            Body(
                offset_ns=2,
                connection=connection,
                exchange=exchange,
                sender="server",
                last=number == len(parts),
                **encode_bytes(part),
            )
            for number, part in enumerate(parts, 1)
        ),
    ]


def only(entries: list[AnyEntry]) -> Call:
    (call,) = calls(entries)
    return call


@given(st.binary(max_size=50), st.integers(1, 5), st.sampled_from(["", "gzip", "identity"]))
@settings(max_examples=examples(50))
def test_a_body_is_whole_however_it_came(body: bytes, pieces: int, coding: str) -> None:
    sent = gzip.compress(body) if coding == "gzip" else body
    call = only([asked(), *answered(sent, coding=coding, pieces=pieces)])
    assert call.response_body == body
    assert call.request_body == b""


def test_calls_of_two_connections_do_not_mix() -> None:
    first, second = answered(b"one"), answered(b"two", connection=2)
    entries = [asked(), asked(2), first[0], second[0], second[1], first[1]]
    found = [(call.connection, call.response_body) for call in calls(entries)]
    assert found == [(2, b"two"), (1, b"one")]


def test_what_is_cut_off_has_no_body() -> None:
    head, *_ = answered(b"one")
    piece = Body(offset_ns=2, connection=1, exchange=1, sender="server", last=False, text="on")
    for last in (
        Closed(offset_ns=3, connection=1, by="server", how="reset"),
        Resume(offset_ns=3, wall="2026-11-22T17:00:00.000000000Z"),
    ):
        call = only([asked(), head, piece, last])
        assert call.response is not None
        assert call.response_body is None
        assert call.offset_ns == 3
    assert only([asked()]).response is None


def test_a_long_body_is_not_held() -> None:
    size = module.MAX_HELD_BYTES
    body = answered(b"x" * (size + 1), pieces=20)
    assert only([asked(), *body]).response_body is None
    assert only([asked(), *answered(b"x" * size)]).response_body is not None


def test_an_upgrade_is_no_call_and_an_encoding_that_is_unknown_gives_none() -> None:
    upgrade = Response(offset_ns=1, connection=1, exchange=1, status=101, headers=[])
    assert list(calls([asked(target="/api/socket"), upgrade])) == []
    assert only([asked(), *answered(b"\x01\xff", coding="br")]).response_body is None


def test_objects_come_from_sockets_answers_and_checkpoints_in_order() -> None:
    message = frame("server", b'{"positions":[{"id":7,"rssi":1.50}]}~{"events":[{"id":8}]}')
    checkpoint = Checkpoint(offset_ns=3, beacons=[as_raw('{"id":9}')])
    entries = [checkpoint, asked(), *answered(DEVICES), message]
    found = [(said.kind, said.text, said.via, said.connection) for said in objects_said(entries)]
    assert found == [
        ("beacons", b'{"id":9}', "checkpoint", None),
        ("devices", b'{"id":1,"speed":100.0}', "rest", 1),
        ("devices", b'{"id":2}', "rest", 1),
        ("positions", b'{"id":7,"rssi":1.50}', "socket", 1),
        ("events", b'{"id":8}', "socket", 1),
    ]


def test_an_answer_that_is_no_list_of_objects_tells_of_none() -> None:
    for body, target in (
        (b'{"id":1}', "/api/devices"),
        (b"[1", "/api/devices"),
        (b'[{"a":"\xff"}]', "/api/devices"),
        (DEVICES, "/api/groups"),
    ):
        assert list(objects_said([asked(target=target), *answered(body)])) == []
