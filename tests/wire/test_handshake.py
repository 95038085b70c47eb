"""The opening handshake: heads as bytes, keys and accepts."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.wire.handshake import (
    MAX_HEAD_BYTES,
    HeadReader,
    RequestHead,
    ResponseHead,
    accept_for,
    check_accept,
    check_key,
    header_value,
    new_key,
    parse_request_head,
    parse_response_head,
)
from tests.profiles import examples

# RFC 6455 section 1.3.
RFC_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
RFC_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

tokens = st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True)
# Field values are printable octets with blanks inside (RFC 9110 section 5.5).
values = st.from_regex(r"([!-~\xa1-\xff]([ -~\xa1-\xff]{0,12}[!-~\xa1-\xff])?)?", fullmatch=True)
fields = st.lists(st.tuples(tokens, values), max_size=4)
targets = st.from_regex(r"/[!-~]{0,12}", fullmatch=True)
line_ends = st.sampled_from([b"\r\n", b"\n"])
blanks = st.sampled_from(["", " ", "\t", "  "])


def head_bytes(first: str, headers: list[tuple[str, str]], end: bytes, blank: str = " ") -> bytes:
    lines = [first, *(f"{name}:{blank}{value}{blank}" for name, value in headers)]
    return b"".join(line.encode("iso-8859-1") + end for line in lines) + end


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    return [data[start:stop] for start, stop in zip([0, *places], [*places, None], strict=True)]


# Heads


@settings(max_examples=examples(500))
@given(tokens, targets, st.sampled_from(["1.1", "1.0", "2"]), fields, line_ends, blanks)
def test_a_request_comes_back_in_order_and_case(
    method: str,
    target: str,
    version: str,
    headers: list[tuple[str, str]],
    end: bytes,
    blank: str,
) -> None:
    data = head_bytes(f"{method} {target} HTTP/{version}", headers, end, blank)
    assert parse_request_head(data) == RequestHead(method, target, version, headers)


@settings(max_examples=examples(500))
@given(st.integers(100, 999), st.none() | values, fields, line_ends, blanks)
@example(101, None, [], b"\n", "")
@example(503, "", [("A", "")], b"\r\n", "")
def test_a_response_comes_back_in_order_and_case(
    status: int, reason: str | None, headers: list[tuple[str, str]], end: bytes, blank: str
) -> None:
    first = f"HTTP/1.1 {status}" if reason is None else f"HTTP/1.1 {status} {reason}"
    read = parse_response_head(head_bytes(first, headers, end, blank))
    assert read == ResponseHead(status, reason or "", "1.1", headers)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"\x81\x05Hello\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET / HTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"HTTP"):
        parse_request_head(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 10 Short\r\n\r\n",
        b"HTTP/1.1 1010 Long\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_response_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"HTTP"):
        parse_response_head(data)


@settings(max_examples=examples(500))
@given(st.binary(max_size=60), st.sampled_from([b"", b"GET / HTTP/1.1\r\n", b"HTTP/1.1 200 \r\n"]))
def test_any_bytes_give_a_head_or_one_sentence(data: bytes, before: bytes) -> None:
    for parse in (parse_request_head, parse_response_head):
        refused = ""
        try:
            parse(before + data)
        except ValueError as error:
            refused = str(error)
        assert re.fullmatch(r"[a-zA-Z ]*", refused)


@pytest.mark.parametrize("parse", [parse_request_head, parse_response_head])
def test_a_refusal_shows_no_value(parse: Any) -> None:
    for data in (
        b"GET /?password=hunter2\r\n\r\n",
        b"HTTP/1.1 hunter2\r\n\r\n",
        b"GET / HTTP/1.1\r\nhunter2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nhunter2\r\n\r\n",
    ):
        with pytest.raises(ValueError, match="line") as caught:
            parse(data)
        assert "hunter2" not in str(caught.value)


def test_a_header_is_found_in_any_case_and_the_first_counts() -> None:
    headers = [("A", "0"), ("Sec-WebSocket-KEY", "1"), ("sec-websocket-key", "2")]
    assert header_value(headers, "Sec-WebSocket-Key") == "1"
    assert header_value(headers, "Sec-WebSocket-Accept") is None


# HeadReader


@settings(max_examples=examples(1000))
@given(
    fields, line_ends, line_ends, st.binary(max_size=10), st.lists(st.integers(0, 999), max_size=6)
)
@example([], b"\r\n", b"\r\n", b"\r\n\r\n", [15, 16, 17, 18])
def test_a_head_is_cut_off_however_it_arrives(
    headers: list[tuple[str, str]], end: bytes, last: bytes, rest: bytes, cuts: list[int]
) -> None:
    head = head_bytes("GET / HTTP/1.1", headers, end).removesuffix(end) + last
    reader = HeadReader()
    fed = b""
    for piece in pieces(head + rest, cuts):
        found = reader.feed(piece)
        fed += piece
        if found is not None:
            break
        assert reader.held == fed
        assert len(fed) < len(head)
    assert found == (head, fed.removeprefix(head))


def test_a_head_is_cut_off_byte_by_byte() -> None:
    head = b"GET / HTTP/1.1\r\nA: b\r\n\r\n"
    reader = HeadReader()
    found = [reader.feed(head[at : at + 1]) for at in range(len(head))]
    assert found == [None] * (len(head) - 1) + [(head, b"")]


@pytest.mark.parametrize("chunk_bytes", [1000, MAX_HEAD_BYTES, 10**6])
def test_a_head_without_an_end_is_refused(chunk_bytes: int) -> None:
    data = b"GET / HTTP/1.1\r\nA: " + b"a" * MAX_HEAD_BYTES
    with pytest.raises(ValueError, match="no end of an HTTP head within 65536 bytes"):
        feed_all(data, chunk_bytes)


def test_a_head_of_the_limit_passes() -> None:
    before = b"GET / HTTP/1.1\r\nA: "
    head = before + b"a" * (MAX_HEAD_BYTES - len(before) - 4) + b"\r\n\r\n"
    assert len(head) == MAX_HEAD_BYTES
    for chunk_bytes in (1000, 10**6):
        assert feed_all(head + b"rest", chunk_bytes) is not None


@pytest.mark.parametrize("chunk_bytes", [1000, 10**6])
def test_a_head_above_the_limit_is_refused_however_it_arrives(chunk_bytes: int) -> None:
    data = b"GET / HTTP/1.1\r\nA: " + b"a" * 2 * MAX_HEAD_BYTES + b"\r\n\r\n"
    with pytest.raises(ValueError, match="no end of an HTTP head within 65536 bytes"):
        feed_all(data, chunk_bytes)


def feed_all(data: bytes, chunk_bytes: int) -> tuple[bytes, bytes] | None:
    reader = HeadReader()
    found = None
    for at in range(0, len(data), chunk_bytes):
        found = reader.feed(data[at : at + chunk_bytes])
        if found is not None:
            break
    return found


# Keys and accepts


def test_the_accept_of_the_rfc() -> None:
    assert accept_for(RFC_KEY) == RFC_ACCEPT
    assert accept_for(f" {RFC_KEY}\t") == RFC_ACCEPT
    assert check_accept(RFC_KEY, RFC_ACCEPT) is None
    assert check_accept(RFC_KEY, f" {RFC_ACCEPT} ") is None


@pytest.mark.parametrize("accept", [None, "", RFC_KEY, RFC_ACCEPT.lower(), RFC_ACCEPT[:-1]])
def test_another_accept_is_told(accept: str | None) -> None:
    told = check_accept(RFC_KEY, accept)
    assert told is not None
    assert "Sec-WebSocket-Accept" in told
    assert RFC_KEY not in told


@given(st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()))
def test_an_accept_answers_its_key_of_any_length(key: str) -> None:
    assert check_accept(key, accept_for(key)) is None
    assert check_accept(key + "x", accept_for(key)) is not None


def test_a_new_key_is_right_and_new() -> None:
    keys = {new_key() for _ in range(10)}
    assert len(keys) == 10
    assert [check_key(key) for key in keys] == [None] * 10


@given(st.binary(max_size=40))
def test_a_key_is_sixteen_bytes(nonce: bytes) -> None:
    told = check_key(base64.b64encode(nonce).decode())
    assert (told is None) == (len(nonce) == 16)
    assert told is None or str(len(nonce)) in told


@pytest.mark.parametrize(
    "key", ["*", "a", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ==!", "ü" * 24]
)
def test_a_key_that_is_not_base64_is_told(key: str) -> None:
    assert check_key(key) == "it is not base64"


def test_the_key_of_the_manuals_first_script_has_32_bytes() -> None:
    assert check_key(base64.b64encode(bytes(32)).decode()) == "it holds 32 bytes"
