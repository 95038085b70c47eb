"""A recording as a HAR."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.exits import Exit
from recorder.importers.har import HarReader
from recorder.model import (
    Body,
    Checkpoint,
    Closed,
    Entry,
    MessageEntry,
    Open,
    Request,
    Response,
    Resume,
    encode_bytes,
)
from recorder.recording import Reader, decode_entry, encode_entry
from recorder.wire.frames import Opcode, close_frame
from replayer.export.har import HarExport
from replayer.reading.conversation import DataMessage, converse
from tests.profiles import examples
from tests.replayer.recordings import (
    cut,
    entry_of,
    frame,
    header,
    ms,
    numbered,
    run,
    session,
    write,
)

FIXTURES = Path(__file__).parents[3] / "fixtures"
STARTED_NS = 1_795_366_800_123_456_789


def export_of(entries: Iterable[Entry], **of_header: object) -> tuple[dict[str, Any], HarExport]:
    export = HarExport(header(**of_header), io.BytesIO())
    return json.loads(b"".join(export.chunks(numbered(entries)))), export


def exported(entries: Iterable[Entry], **of_header: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = export_of(entries, **of_header)[0]["log"]["entries"]
    return found


def opened(connection: int = 1, **changes: Any) -> Open:
    fields = {"offset_ns": 0, "leg": "upstream", "url": "http://track.example/api/x"} | changes
    return Open(connection=connection, **fields)


def asked(at: float = 0, *, connection: int = 1, exchange: int = 1, **changes: Any) -> Request:
    fields: dict[str, Any] = {"method": "GET", "target": "/api/x", "headers": []} | changes
    return Request(offset_ns=ms(at), connection=connection, exchange=exchange, **fields)


def answered(at: float = 1, *, connection: int = 1, exchange: int = 1, **changes: Any) -> Response:
    fields: dict[str, Any] = {"status": 200, "reason": "OK", "headers": []} | changes
    return Response(offset_ns=ms(at), connection=connection, exchange=exchange, **fields)


def body(data: bytes, sender: str = "server", at: float = 2, **changes: Any) -> Body:
    fields: dict[str, Any] = {"connection": 1, "exchange": 1, "last": True} | changes
    return Body(offset_ns=ms(at), sender=sender, **fields, **encode_bytes(data))


def closed(at: float = 9, *, connection: int = 1, how: str = "eof", detail: str = "") -> Closed:
    return Closed(offset_ns=ms(at), connection=connection, by="server", how=how, detail=detail)


# The way there and back

VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=6)
HEADERS = st.lists(st.tuples(st.from_regex(r"X-[a-z]{1,4}", fullmatch=True), VALUES), max_size=3)
PAYLOADS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).map(str.encode)


@st.composite
def calls(draw: st.DrawFn, connection: int) -> list[Entry]:
    entries: list[Entry] = [opened(connection)]
    for exchange in range(1, draw(st.integers(1, 3)) + 1):
        where: dict[str, Any] = {"connection": connection, "exchange": exchange}
        target = "/api/" + draw(st.from_regex(r"[a-z]{0,4}(\?[a-z]=[0-9]*)?", fullmatch=True))
        method = draw(st.sampled_from(["GET", "POST"]))
        entries.append(asked(**where, method=method, target=target, headers=draw(HEADERS)))
        if method == "POST" and (data := draw(st.binary(max_size=20) | PAYLOADS)):
            entries.append(body(data, "client", **where))
        status = draw(st.sampled_from([200, 204, 404]))
        entries.append(answered(**where, status=status, headers=draw(HEADERS)))
        data = b"" if status == 204 else draw(st.binary(max_size=20) | PAYLOADS)
        pieces = [data[:7], data[7:]] if len(data) > 7 else [data] if data else []
        for number, piece in enumerate(pieces, 1):
            entries.append(body(piece, **where, last=number == len(pieces)))
    return [*entries, closed(connection=connection)]


@st.composite
def sockets(draw: st.DrawFn, connection: int) -> list[Entry]:
    upgrade = [("Host", "track.example"), ("Upgrade", "websocket")]
    entries: list[Entry] = [
        opened(connection, url="ws://track.example/api/socket"),
        asked(connection=connection, target="/api/socket", headers=upgrade),
        answered(connection=connection, status=101, headers=upgrade),
    ]
    for _ in range(draw(st.integers(0, 4))):
        sender = draw(st.sampled_from(["client", "server"]))
        opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
        payload = draw(PAYLOADS if opcode == Opcode.TEXT else st.binary(max_size=30))
        pieces = cut(payload, draw(st.lists(st.integers(0, len(payload)), max_size=2)))
        for number, piece in enumerate(pieces, 1):
            entries.append(
                frame(
                    sender,
                    piece,
                    opcode=opcode if number == 1 else Opcode.CONTINUATION,
                    fin=number == len(pieces),
                    connection=connection,
                )
            )
        if draw(st.booleans()):
            entries.append(frame("server", b"", opcode=Opcode.PING, connection=connection))
    return [*entries, closed(connection=connection)]


@st.composite
def recordings(draw: st.DrawFn) -> list[Entry]:
    """Connections side by side, each entry later than the one before."""
    ways = [
        draw(draw(st.sampled_from([calls, sockets]))(connection))
        for connection in range(1, draw(st.integers(1, 3)) + 1)
    ]
    at_ns = 0
    merged: list[Entry] = []
    while any(ways):
        way = draw(st.sampled_from([way for way in ways if way]))
        at_ns += draw(st.integers(0, 10**10))
        merged.append(msgspec.structs.replace(way.pop(0), offset_ns=at_ns))
    return numbered(merged)


def said(entries: Iterable[Entry], started_ns: int) -> dict[int, list[tuple[Any, ...]]]:
    """The messages of each connection that has any."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    for item in converse(entries):
        if isinstance(item, DataMessage):
            found.setdefault(item.connection, []).append(
                (item.sender, item.opcode, item.payload, started_ns + (item.offset_ns or 0))
            )
    return found


def spoken(entries: list[Entry], started_ns: int) -> Iterator[tuple[Any, ...]]:
    """The heads and bodies of each exchange and when its heads were read."""
    for request in (each for each in entries if isinstance(each, Request)):
        key = (request.connection, request.exchange)
        parts = [
            each
            for each in entries
            if isinstance(each, Request | Response | Body)
            and (each.connection, each.exchange) == key
        ]
        [response] = [each for each in parts if isinstance(each, Response)]
        bodies = {
            sender: b"".join(
                each.data for each in parts if isinstance(each, Body) and each.sender == sender
            )
            for sender in ("client", "server")
        }
        sent_ns = max(
            each.offset_ns or 0
            for each in parts
            if isinstance(each, Request) or (isinstance(each, Body) and each.sender == "client")
        )
        yield (
            request.method,
            request.target,
            sorted(map(tuple, request.headers)),
            response.status,
            response.reason,
            sorted(map(tuple, response.headers)),
            bodies["client"],
            bodies["server"],
            started_ns + sent_ns,
            started_ns + (response.offset_ns or 0),
        )


@settings(max_examples=examples(60))
@given(recordings())
def test_what_is_exported_and_imported_again_is_what_was_recorded(entries: list[Entry]) -> None:
    export = HarExport(header(), io.BytesIO())
    data = b"".join(export.chunks(entries))
    reader = HarReader([data])
    again = sorted(reader.entries(), key=lambda each: (each.offset_ns or 0, each.seq))
    again = [decode_entry(encode_entry(each), where="-") for each in again]
    assert reader.torn is None

    def by_time(found: dict[int, list[tuple[Any, ...]]]) -> list[list[tuple[Any, ...]]]:
        return sorted(found.values(), key=repr)

    assert by_time(said(again, 0)) == by_time(said(entries, STARTED_NS))
    assert sorted(spoken(again, 0), key=repr) == sorted(spoken(entries, STARTED_NS), key=repr)


# The fields of HAR 1.2, as http://www.softwareishard.com/blog/har-12-spec/ has them

REQUIRED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "entry": {
        "startedDateTime": str,
        "time": (int, float),
        "request": dict,
        "response": dict,
        "cache": dict,
        "timings": dict,
    },
    "request": {
        "method": str,
        "url": str,
        "httpVersion": str,
        "cookies": list,
        "headers": list,
        "queryString": list,
        "headersSize": int,
        "bodySize": int,
    },
    "response": {
        "status": int,
        "statusText": str,
        "httpVersion": str,
        "cookies": list,
        "headers": list,
        "content": dict,
        "redirectURL": str,
        "headersSize": int,
        "bodySize": int,
    },
    "content": {"size": int, "mimeType": str},
    "timings": {"send": (int, float), "wait": (int, float), "receive": (int, float)},
    "message": {"type": str, "time": float, "opcode": int, "data": str},
}


def check(kind: str, value: dict[str, Any]) -> None:
    for name, expected in REQUIRED[kind].items():
        assert isinstance(value[name], expected), (kind, name)


def test_every_entry_has_the_fields_that_har_and_devtools_require() -> None:
    made, export = export_of(session())
    assert made["log"]["version"] == "1.2"
    assert made["log"]["creator"]["name"] == "tracktape"
    for entry in made["log"]["entries"]:
        check("entry", entry)
        check("request", entry["request"])
        check("response", entry["response"])
        check("content", entry["response"]["content"])
        check("timings", entry["timings"])
        assert all(entry["timings"][name] >= 0 for name in ("send", "wait", "receive"))
        spent = sum(time for name, time in entry["timings"].items() if time > 0)
        assert entry["time"] == pytest.approx(spent)
        for pair in [*entry["request"]["headers"], *entry["response"]["headers"]]:
            assert set(pair) == {"name", "value"}
    [socket] = [each for each in made["log"]["entries"] if "_webSocketMessages" in each]
    assert socket["_resourceType"] == "websocket"
    assert socket["request"]["url"] == "wss://track.example/api/socket"
    for message in socket["_webSocketMessages"]:
        check("message", message)
    assert (export.exchanges, export.messages) == (3, 12)
    assert {name: count for name, count in export.left_out.items() if count} == {
        "bytes entries": 1,
        "control frames": 3,
        "note entries": 1,
    }


def test_a_message_has_the_second_in_which_it_was_complete() -> None:
    socket = exported(session())[-1]
    first, second, *_ = socket["_webSocketMessages"]
    assert first == {
        "type": "receive",
        "time": pytest.approx((STARTED_NS + ms(101)) / 1e9, abs=1e-6),
        "opcode": 1,
        "data": '{"webSessionTimeout":[86400]}',
    }
    assert json.loads(second["data"])["devices"][0]["name"] == "Halle ~7"
    assert socket["startedDateTime"] == "2026-11-22T17:00:00.214456789Z"
    assert socket["_webSocketMessages"][-2]["data"] == "AP8Q"


def test_timings_are_those_of_the_heads_and_bodies() -> None:
    request = msgspec.structs.replace(asked(3, method="POST"), first_ns=ms(1))
    [entry] = exported(
        [opened(), request, body(b"sent", "client", 4), answered(24), body(b"got", at=34), closed()]
    )
    assert entry["startedDateTime"] == "2026-11-22T17:00:00.124456789Z"
    timings = {name: entry["timings"][name] for name in ("send", "wait", "receive")}
    assert timings == {"send": 3, "wait": 20, "receive": 10}
    assert entry["time"] == 33


def test_only_the_clients_legs_of_a_proxy_are_shown() -> None:
    entries = [
        opened(1, leg="client", url=None, peer="10.0.0.1:5", tls="TLSv1.3"),
        opened(2, paired_with=1),
        asked(headers=[("Host", "proxy.example:8443")]),
        asked(connection=2, headers=[("Host", "track.example")]),
        answered(2, connection=2),
        answered(3, headers=[("Content-Length", "0")]),
        closed(connection=2),
        closed(),
    ]
    [entry] = exported(entries, mode="proxy")
    assert entry["request"]["url"] == "https://proxy.example:8443/api/x"
    assert "serverIPAddress" not in entry


def test_a_call_without_an_answer_says_why() -> None:
    [entry] = exported([opened(), asked(), closed(how="reset", detail="reset by peer")])
    assert (entry["response"]["status"], entry["response"]["_error"]) == (0, "reset by peer")
    assert entry["time"] == 9


def test_an_answer_without_a_body_ended_with_its_head_and_not_with_the_connection() -> None:
    ending = closed(at=5000, how="reset", detail="reset by peer")
    [entry] = exported([opened(), asked(), answered(), ending])
    assert entry["time"] == 1
    assert "_error" not in entry["response"]
    cut_short = answered(headers=[("Content-Length", "7")])
    [entry] = exported([opened(), asked(), cut_short, ending])
    assert entry["time"] == 5000
    assert entry["response"]["_error"] == "reset by peer"


@pytest.mark.parametrize(
    ("data", "content_type", "content"),
    [
        (b"{}", "application/json", {"text": "{}"}),
        (b"\xe9", "text/html; charset=iso-8859-1", {"text": "é"}),
        (b"\xff\xfe", "application/json", {"text": "//4=", "encoding": "base64"}),
    ],
)
def test_a_body_is_text_where_it_can_be(data: bytes, content_type: str, content: Any) -> None:
    headers = [("Content-Type", content_type)]
    [entry] = exported([opened(), asked(), answered(headers=headers), body(data)])
    expected = {"size": len(data), "mimeType": content_type} | content
    assert entry["response"]["content"] == expected


def test_a_coded_body_is_shown_decoded_and_one_that_cannot_be_comes_back_as_it_was() -> None:
    def content(data: bytes, coding: str) -> tuple[Any, list[Entry]]:
        headers = [("Content-Encoding", coding)]
        entries = [opened(), asked(), answered(headers=headers), body(data), closed()]
        made, _ = export_of(entries)
        again = list(HarReader([json.dumps(made).encode()]).entries())
        return made["log"]["entries"][0]["response"]["content"], again

    data = gzip.compress(b"hello hello hello hello", mtime=0)
    found, again = content(data, "gzip")
    assert (found["text"], found["size"]) == ("hello hello hello hello", 23)
    assert found["compression"] == 23 - len(data)
    assert [each.data for each in again if isinstance(each, Body)] == [b"hello hello hello hello"]
    _, again = content(b"\x0b\x02\x80hello\x03\xff", "br")
    assert [each.data for each in again if isinstance(each, Body)] == [b"\x0b\x02\x80hello\x03\xff"]
    [response] = [each for each in again if isinstance(each, Response)]
    assert response.headers == [("Content-Encoding", "br")]


def test_cookies_and_the_query_are_listed() -> None:
    entries = [
        opened(),
        asked(target="/api/x?a=1&b=%20", headers=[("Cookie", "s=[redacted:cookie-1]; t=2")]),
        answered(headers=[("Set-Cookie", "s=[redacted:cookie-1]; Path=/api")]),
        closed(),
    ]
    [entry] = exported(entries)
    assert entry["request"]["cookies"] == [
        {"name": "s", "value": "[redacted:cookie-1]"},
        {"name": "t", "value": "2"},
    ]
    assert entry["request"]["queryString"] == [
        {"name": "a", "value": "1"},
        {"name": "b", "value": " "},
    ]
    assert entry["response"]["cookies"] == [{"name": "s", "value": "[redacted:cookie-1]"}]


def test_a_later_part_of_a_series_shows_its_sockets() -> None:
    known = {
        "connection": 4,
        "leg": "upstream",
        "url": "wss://track.example/api/socket",
        "exchange": 1,
        "request": {"method": "GET", "target": "/api/socket", "headers": [["Host", "t"]]},
        "response": {"status": 101, "reason": "Switching Protocols", "headers": []},
    }
    checkpoint = Checkpoint(
        offset_ns=0,
        connections=[msgspec.Raw(msgspec.json.encode(each)) for each in (known, {"odd": 1})],
    )
    [entry] = exported([checkpoint, frame("server", b"hi", connection=4)])
    assert entry["request"]["url"] == "wss://track.example/api/socket"
    assert [each["data"] for each in entry["_webSocketMessages"]] == ["hi"]


def test_messages_without_a_handshake_have_a_socket_that_says_so() -> None:
    [entry] = exported([frame("server", b"hi", at=5)], upstream=None)
    assert entry["request"]["url"] == "ws://unknown.invalid/"
    assert entry["request"]["comment"] == "the request was not recorded"


def test_a_resumed_recording_ends_the_sockets_that_were_open() -> None:
    upgrade = [asked(), answered(status=101)]
    resume = Resume(offset_ns=ms(5), wall="2026-11-22T17:00:00.000000000Z")
    entries = [opened(), *upgrade, frame("server", b"a", at=4), resume, opened(offset_ns=ms(5))]
    again = [msgspec.structs.replace(each, offset_ns=ms(6)) for each in upgrade]
    found = exported([*entries, *again, frame("server", b"b", at=7)])
    assert [[m["data"] for m in each["_webSocketMessages"]] for each in found] == [["a"], ["b"]]


def test_a_close_frame_is_no_message() -> None:
    ending = entry_of(close_frame(1001, "bye"), "server", at=3)
    [entry] = exported([opened(), asked(), answered(status=101), ending, closed()])
    assert entry["_webSocketMessages"] == []


def test_messages_of_any_number_go_through_the_spool() -> None:
    many = [frame("server", b"x" * 1000, at=number) for number in range(2, 202)]
    spool = io.BytesIO()
    export = HarExport(header(), spool)
    data = b"".join(export.chunks(numbered([opened(), asked(), answered(status=101), *many])))
    [entry] = json.loads(data)["log"]["entries"]
    assert [each["data"] for each in entry["_webSocketMessages"]] == ["x" * 1000] * 200
    assert len(spool.getvalue()) > 150_000


# The command


def test_a_har_is_written_and_what_it_lacks_is_told(tmp_path: Path) -> None:
    recording = write(tmp_path / "a.track.jsonl", session())
    result = run("export", recording, "--to", "har", "-o", tmp_path / "a.har")
    assert (result.returncode, result.stdout) == (Exit.OK, b"")
    assert result.stderr.decode().splitlines() == [
        "3 exchanges, 12 messages",
        "left out: 1 bytes entries",
        "left out: 3 control frames",
        "left out: 1 note entries",
        "1 entries were redacted: this is not the original",
    ]
    found = json.loads((tmp_path / "a.har").read_bytes())
    assert "[redacted]" in found["log"]["entries"][0]["request"]["postData"]["text"]
    assert {each.name for each in tmp_path.iterdir()} == {"a.track.jsonl", "a.har"}
    result = run("export", recording, "--to", "har", "-o", tmp_path / "a.har")
    assert result.returncode == Exit.EXISTS
    result = run("export", recording, "--to", "har", "-o", "-")
    assert json.loads(result.stdout) == found


def test_a_recording_without_times_is_said_to_have_none(tmp_path: Path) -> None:
    said_once = MessageEntry(offset_ns=None, connection=1, sender="server", opcode="text", text="x")
    recording = write(
        tmp_path / "a.track.jsonl", [said_once], timing="none", fidelity="text", upstream=None
    )
    result = run("export", recording, "--to", "har", "-o", "-")
    assert b"has no timing: everything stands at 2026-11-22T17:00:00.123456789Z" in result.stderr
    assert len(json.loads(result.stdout)["log"]["entries"]) == 1


@pytest.mark.parametrize(
    ("arguments", "said_why"),
    [
        (["--to", "har", "--sender", "client"], b"--sender is for --to wire"),
        (["--to", "har", "--connection", "1"], b"--connection is for --to wire"),
        (["--to", "wire"], b"--to wire needs --sender"),
        (["--to", "pcap"], b"'pcap' is not one of"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(
    tmp_path: Path, arguments: list[str], said_why: bytes
) -> None:
    recording = write(tmp_path / "a.track.jsonl", session())
    result = run("export", recording, *arguments, "-o", "-")
    assert result.returncode == Exit.USAGE
    assert said_why in result.stderr


def test_a_torn_recording_is_exported_up_to_there(tmp_path: Path) -> None:
    recording = write(tmp_path / "a.track.jsonl", session())
    data = recording.read_bytes()
    recording.write_bytes(data[: data.index(b'"seq":20') + 40])
    result = run("export", recording, "--to", "har", "-o", "-")
    assert result.returncode == Exit.OK
    assert b"is torn: " in result.stderr
    assert len(json.loads(result.stdout)["log"]["entries"]) == 3
    with Reader(recording) as reader:
        assert len(list(reader)) == 19
