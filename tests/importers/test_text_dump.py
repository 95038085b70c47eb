"""Text copied from a terminal or the manual."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.importers.text_dump import entries
from recorder.model import Bytes, Closed, Entry, MessageEntry, Open, Response
from tests.profiles import examples

FIXTURES = Path(__file__).parents[2] / "fixtures"
UUID = "a0b34365-908f-4868-a52a-84a3ed83bd59"
DELIMITERS = b" \t\r\n~"


def chunked(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return (data[start:stop] for start, stop in itertools.pairwise(edges))


def read(data: bytes) -> list[Entry]:
    """The entries between `open` and `closed`, which are always there."""
    first, *between, last = entries([data])
    assert first == Open(connection=1, leg="upstream", offset_ns=None)
    assert last == Closed(
        connection=1, by="recorder", how="stopped", detail="the file ends here", offset_ns=None
    )
    return between


def message(text: str, sender: str = "server") -> MessageEntry:
    return MessageEntry(connection=1, sender=sender, opcode="text", text=text, offset_ns=None)


def unread(text: str) -> Bytes:
    return Bytes(connection=1, sender="server", why="no JSON text", text=text, offset_ns=None)


values = st.recursive(
    st.one_of(st.text(max_size=8), st.integers(), st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
json_texts = st.dictionaries(st.sampled_from(["positions", "devices", "~"]), values).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
pieces = st.one_of(
    json_texts,
    st.sampled_from(
        [
            "~",
            "\n~\r\n",
            f"\npong {UUID}\n",
            "\nHTTP/1.1 101 Switching Protocols\nServer: nginx\n\n",
            "\nHTTP/1.1 503 x\n\nServer: nginx\n\nDate: now\n\n",
            "Logged In...",
            "\nHTTP/1.1 \n",
            "{",
            '"',
        ]
    ),
    st.text(max_size=10),
)
dumps = st.one_of(
    st.lists(pieces, max_size=8).map(lambda parts: "".join(parts).encode()),
    st.binary(max_size=100),
)


@settings(max_examples=examples(300))
@given(dumps, st.lists(st.integers(0, 1000), max_size=6))
@example(f"pong {UUID}".encode(), [5])
@example(b"HTTP/1.1 101 x\n\nA: b\n\n~{}", [3, 15, 16, 17, 21])
def test_chunks_make_no_difference(data: bytes, cuts: list[int]) -> None:
    assert list(entries(chunked(data, cuts))) == list(entries([data]))


@settings(max_examples=examples(400))
@given(dumps)
def test_nothing_but_delimiters_is_dropped(data: bytes) -> None:
    at, at_head = 0, False
    for part in read(data):
        if isinstance(part, Response):
            kept = f"HTTP/{part.http_version} {part.status}".encode()
        else:
            assert isinstance(part, MessageEntry | Bytes)
            kept = part.data
        found = data.index(kept, at)
        if not isinstance(part, Response):
            assert not data[at:found].strip(DELIMITERS + b"\xef\xbb\xbf") or at_head
        at = found + len(kept)
        at_head = isinstance(part, Response)
    assert not data[at:].strip(DELIMITERS + b"\xef\xbb\xbf") or at_head


@settings(max_examples=examples(100))
@given(st.lists(json_texts, max_size=5), st.sampled_from(["~", "", "\n", " ~ \n"]))
def test_json_texts_are_messages_as_they_stand(texts: list[str], between: str) -> None:
    assert read(between.join(texts).encode()) == [message(text) for text in texts]


def test_the_manuals_excerpt_is_a_head_and_three_messages() -> None:
    raw = (FIXTURES / "manual-excerpt.txt").read_bytes()
    response, *messages = read(raw)
    assert isinstance(response, Response)
    assert (response.status, response.reason) == (101, "Switching Protocols")
    assert response.headers == [
        ("Server", "nginx"),
        ("Date", "Wed, 26 Feb 2020 16:05:25 GMT"),
        ("Connection", "upgrade"),
        ("Sec-WebSocket-Accept", "qGEgH3En71di5rrssAZTmtRTyFk="),
        ("Upgrade", "WebSocket"),
    ]
    assert [list(json.loads(part.text)) for part in messages] == [
        ["positions"],
        ["devices"],
        ["positions"],
    ]
    assert all(part.text.encode() in raw for part in messages)


def test_a_pong_is_the_clients() -> None:
    ping = f'{{"status":[{{"message":"{UUID}","type":"PING"}}]}}'
    dump = f"{ping}\npong {UUID}\n{{}}".encode()
    assert read(dump) == [message(ping), message(f"pong {UUID}", "client"), message("{}")]


@pytest.mark.parametrize("line", [f"ping {UUID}", f"pong {UUID[:-1]}", f"pong {UUID} x", "pong"])
def test_what_only_resembles_a_pong_is_bytes(line: str) -> None:
    assert read(line.encode()) == [unread(line)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\r\n\r\n", "\n \n"])
def test_a_head_is_read_with_and_without_blank_lines_between(end: str) -> None:
    head = end.join(["HTTP/1.1 101 Switching Protocols", "Server: nginx", "Upgrade: WebSocket"])
    first, second = read(f"{head}{end}{end}~{{}}".encode())
    assert isinstance(first, Response)
    assert first.headers == [("Server", "nginx"), ("Upgrade", "WebSocket")]
    assert second == message("{}")


def test_a_blank_line_ends_a_head_that_has_none_inside() -> None:
    first, second = read(b"HTTP/1.1 101 x\nServer: nginx\n\nNote: mine\n")
    assert isinstance(first, Response)
    assert first.headers == [("Server", "nginx")]
    assert second == unread("Note: mine")


def test_each_head_is_an_exchange_and_all_else_is_kept_between() -> None:
    got = read(b"Logged In...\nHTTP/1.1 200 OK\nA: b\n\n~{}~oops\nHTTP/1.1 503 \n~[1")
    assert [part.kind for part in got] == [
        "bytes",
        "response",
        "message",
        "bytes",
        "response",
        "bytes",
    ]
    assert [part.exchange for part in got if isinstance(part, Response)] == [1, 2]
    assert [part.text for part in got if isinstance(part, Bytes)] == ["Logged In...", "oops", "[1"]


def test_bytes_that_are_no_text_survive() -> None:
    (kept,) = read(b"\x81\xff\x00")
    assert isinstance(kept, Bytes)
    assert kept.data == b"\x81\xff\x00"
