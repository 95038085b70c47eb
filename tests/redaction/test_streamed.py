"""Long and slow bodies: masked in windows as they come, as if they were whole."""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import tracemalloc
import zlib
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import MAX_BODY_PIECE_BYTES, Closed, Note
from recorder.redaction import Redactor, redactor, windows
from tests.profiles import examples
from tests.redaction.strategies import (
    KEYS,
    PASSWORD_TAIL,
    body_pieces,
    each_escaped,
    emails,
    json_texts,
    passwords,
    request,
    response,
    spellings,
    tokens,
)

FORM = ("Content-Type", "application/x-www-form-urlencoded")


@pytest.fixture
def real_windows() -> None:
    """Windows as large as they are."""


@pytest.fixture(autouse=True)
def small_windows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that a small text fills, unless a test wants :func:`real_windows`."""
    if "real_windows" not in request.fixturenames:
        monkeypatch.setattr(windows, "SLICE_BYTES", 300)
        monkeypatch.setattr(redactor, "SLICE_BYTES", 300)
        # More than any secret here takes, in any spelling.
        monkeypatch.setattr(windows, "_LEAST_REACH_CHARS", 600)


def slow(entries: list[Any], late: list[bool]) -> list[Any]:
    """The pieces with a second in front of each that is late."""
    now_ns, out = 0, []
    for i, entry in enumerate(entries):
        now_ns += 10**9 if late and late[i % len(late)] else 1
        out.append(msgspec.structs.replace(entry, offset_ns=now_ns))
    return out


def joined(entries: list[Any]) -> bytes:
    return b"".join(entry.data for entry in entries)


def run(head: Any, pieces: list[Any], redactor: Redactor) -> list[Any]:
    out = redactor.feed(head)
    for piece in pieces:
        out += redactor.expire(piece.offset_ns - 1)
        out += redactor.feed(piece)
    return (out + redactor.close())[1:]


plain_words = st.sampled_from(
    ["positions ", "é", "𝄞 ", "\n", '{"id":1,"a":[1,2]}', "eyJ", "name=", "a.b-c_d", "%20", "\\n",
     "[redacted]", '","', "bob@", "http://h/", "x" * 40, " ", "~", "=", '"', "Basic ", "pass: "]
)  # fmt: skip


@st.composite
def texts(draw: Any) -> tuple[list[str], str]:
    """Secrets, and a text that holds them among other things."""
    secrets, parts = [], []
    for _ in range(draw(st.integers(0, 8))):
        rule = draw(st.sampled_from(sorted(KEYS)))
        key = draw(st.sampled_from(KEYS[rule]))
        secret = draw({"password": passwords, "email": emails}.get(rule, tokens))
        blob = base64.b64encode(f"user:{secret}".encode()).decode()
        places = [
            draw(json_texts(key, secret)),
            f'"{key}":"{each_escaped(secret)}",',
            f'\r\n--B\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{secret}\r\n--B--\r\n',
            f" Authorization: Basic {blob}\r\n",
            f"/x?{quote(key)}={quote(secret, safe='')}&b=1 ",
            f'["{key}","{each_escaped(secret)}"],',
        ]
        if rule == "email":
            places.append(f" {secret} ")
        secrets.append(secret)
        parts += draw(st.lists(plain_words, max_size=8))
        parts += [" ", draw(st.sampled_from(places)), "\n"]
    parts += draw(st.lists(plain_words, max_size=8))
    return secrets, "".join(parts)


MARK_BYTES = re.compile(rb"\[redacted(?::[a-z]+-[0-9]+)?\]")
cuts = st.lists(st.integers(0, 10**6), min_size=1, max_size=12)
lates = st.lists(st.booleans(), min_size=1, max_size=6)
CODINGS = {
    "gzip": (gzip.compress, gzip.decompress),
    "deflate": (zlib.compress, zlib.decompress),
    "zstd": (
        zstandard.compress,
        lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    ),
}


def only_marks_differ(old: bytes, got: bytes) -> bool:
    """Whether ``got`` is ``old`` with marks in place of some of it."""
    pattern = b".*".join(re.escape(part) for part in MARK_BYTES.split(got))
    return re.fullmatch(pattern, old, re.DOTALL) is not None


def in_pieces(data: bytes, cuts: list[int], late: list[bool], sender: str = "client") -> list[Any]:
    pieces = body_pieces(data, cuts, 1, sender)
    return slow([piece for piece in pieces if piece.data or piece.last], late)


# Properties


@settings(max_examples=examples(40))
@given(texts(), cuts, lates, st.sampled_from(["", "form"]))
def test_windows_leave_nothing_that_the_whole_would_not(
    case: tuple[list[str], str], cuts: list[int], late: list[bool], kind: str
) -> None:
    secrets, text = case
    # A body that begins with `x` may be compressed, as far as its first byte tells.
    data = f"- {text}".encode()
    head = request(0, "/", FORM) if kind else request(0)
    whole = joined(run(head, in_pieces(data, [], [False]), Redactor()))
    pieces = in_pieces(data, cuts, late)
    out = run(head, pieces, Redactor())
    got = joined(out)
    for secret in secrets:
        left = [one.encode() for one in spellings(secret)]
        assert not [one for one in left if one in got and one not in whole]
    assert only_marks_differ(data, got)
    # No mark of the whole is missing: what stands between marks stood between marks before.
    parts = [part for part in MARK_BYTES.split(got) if len(part) > 3]
    assert [part for part in parts if part not in whole] == []
    assert [entry.offset_ns for entry in out] == sorted(entry.offset_ns for entry in out)
    assert out[-1].last
    assert joined(run(head, out, Redactor())) == got


@settings(max_examples=examples(40))
@given(texts(), cuts, lates, st.sampled_from(sorted(CODINGS)), st.booleans())
def test_a_compressed_body_stays_one_and_loses_its_secrets(
    case: tuple[list[str], str], cuts: list[int], late: list[bool], coding: str, announced: bool
) -> None:
    secrets, text = case
    code, undo = CODINGS[coding]
    data = f"{text:<80}".encode()
    head = response(0, *([("Content-Encoding", coding)] if announced else []))
    whole = undo(joined(run(head, in_pieces(code(data), [], [False], "server"), Redactor())))
    out = run(head, in_pieces(code(data), cuts, late, "server"), Redactor())
    if any(entry.text == "[redacted]" for entry in out):
        # So few bytes came first that they told nothing.
        return
    got = undo(joined(out))
    for secret in secrets:
        left = [one.encode() for one in spellings(secret)]
        assert not [one for one in left if one in got and one not in whole]
    assert only_marks_differ(data, got)


@settings(max_examples=examples(40))
@given(st.lists(plain_words.filter(lambda word: "@" not in word), max_size=40), cuts, passwords)
def test_what_was_learnt_is_found_over_any_cut(
    words: list[str], cuts: list[int], secret: str
) -> None:
    redactor = Redactor()
    redactor.learn("password", secret)
    text = " ".join([*words, secret, json.dumps(secret), quote(secret, safe=""), *words])
    got = joined(run(request(0), in_pieces(text.encode(), cuts, [True]), redactor))
    assert not [one for one in spellings(secret)[:6] if one.encode() in got]
    assert PASSWORD_TAIL.encode() not in got


@settings(max_examples=examples(40))
@given(st.binary(max_size=2000), cuts, lates)
def test_any_bytes_go_through(data: bytes, cuts: list[int], late: list[bool]) -> None:
    data = b"\xff\x00" + data
    got = joined(run(request(0), in_pieces(data, cuts, late), Redactor()))
    assert only_marks_differ(data, got)


# Pieces of the size that a recording has


def big(data: bytes, sender: str = "client", *, last: bool = True) -> list[Any]:
    cuts = list(range(MAX_BODY_PIECE_BYTES, len(data), MAX_BODY_PIECE_BYTES))
    pieces = body_pieces(data, cuts, 1, sender)
    if not last:
        pieces[-1] = msgspec.structs.replace(pieces[-1], last=False)
    return pieces


POSITION = b'{"id":1000,"name":null,"latitude":0.0,"protocol":"osmand","x":"a.b c"},'


@pytest.mark.usefixtures("real_windows")
@pytest.mark.parametrize("late", [False, True])
def test_a_long_body_without_secrets_keeps_its_pieces_unless_they_come_late(late: bool) -> None:
    pieces = slow(big(POSITION * 20_000), [late])
    out = run(request(0), pieces, Redactor())
    assert joined(out) == joined(pieces)
    if late:
        # Half a word at the end of a piece goes with the next.
        assert [entry.offset_ns for entry in out if entry.redacted]
        assert all(len(entry.data) <= MAX_BODY_PIECE_BYTES for entry in out)
        assert run(request(0), out, Redactor()) == out
    else:
        assert out == pieces


@pytest.mark.usefixtures("real_windows")
def test_random_bytes_keep_their_pieces() -> None:
    pieces = big(b"\x00\xff" + random.Random(1).randbytes(2_000_000))
    assert run(request(0), pieces, Redactor()) == pieces


@pytest.mark.usefixtures("real_windows")
def test_only_the_pieces_around_a_secret_change() -> None:
    data = POSITION * 10_000 + b'{"password":"hunter2"}' + POSITION * 10_000
    pieces = big(data)
    out = run(request(0), pieces, Redactor())
    assert joined(out) == data.replace(b"hunter2", b"[redacted]")
    assert sum(not entry.redacted for entry in out) >= len(pieces) - 6


VALUES = {
    "string": (b'{"password":"', b'"}'),
    "escaped": (b'{"log":"{\\"password\\":\\"', b'\\"}"}'),
    "word": (b"a=1&password=", b"&b=2"),
    "line": (b"x: y\r\nCookie: a=", b"\r\nx: y"),
    "pair": (b'["Cookie","a=', b'"]'),
    "part": (b'--B\r\nx: y; name="password"\r\n\r\n', b"\r\n--B--"),
    "number": (b'{"pwd":1', b"}"),
    "list": (b'{"password":["a","', b'"],"n":1}'),
}


@pytest.mark.usefixtures("real_windows")
@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("late", [False, True])
def test_a_value_that_does_not_end_is_masked_as_far_as_it_goes(kind: str, late: bool) -> None:
    before, after = VALUES[kind]
    secret = b"1234567890" * 60_000
    data = POSITION * 10 + b" " + before + secret + after + b" " + POSITION * 10
    out = run(request(0), slow(big(data), [late]), Redactor())
    got = joined(out)
    assert b"12345" not in got
    assert got.startswith(POSITION * 10)
    if kind != "list":
        assert got.endswith(after + b" " + POSITION * 10)
    assert len(got) < 3000


# Holding


@pytest.mark.usefixtures("real_windows")
def test_what_is_behind_a_body_waits_for_a_quarter_of_a_second_at_most() -> None:
    redactor = Redactor()
    [first, *_] = slow(big(POSITION * 2_000, last=False), [True])
    assert redactor.feed(first) == []
    assert redactor.due_ns == first.offset_ns + 250_000_000
    assert redactor.feed(Note(text="here", offset_ns=first.offset_ns + 1)) == []
    body, note = redactor.expire(first.offset_ns + 250_000_000)
    assert (body.offset_ns, note.text) == (first.offset_ns, "here")
    assert redactor.due_ns is None
    # Nothing but half a word is held, and nothing waits for it.
    assert len(first.data) - len(body.data) < 20
    [later] = redactor.feed(Note(text="later", offset_ns=first.offset_ns + 10**9))
    assert later.text == "later"
    rest, closed = redactor.feed(
        Closed(connection=1, by="server", how="reset", offset_ns=2 * first.offset_ns)
    )
    assert body.data + rest.data == first.data
    assert (rest.last, rest.offset_ns) == (False, closed.offset_ns)


@pytest.mark.usefixtures("real_windows")
def test_a_torn_body_is_masked_at_its_end_and_nothing_of_the_rest() -> None:
    redactor = Redactor()
    redactor.feed(request(0))
    [piece] = big(POSITION * 10 + b'{"password":"hun', last=False)
    assert redactor.feed(piece) == []
    [out] = redactor.close()
    assert out.data == POSITION * 10 + b'{"password":"[redacted]'


def test_bytes_of_an_unknown_coding_are_not_held() -> None:
    redactor = Redactor()
    redactor.feed(response(0, ("Content-Encoding", "br")))
    for piece in big(b"\x8b\x00\xff" * 100_000, "server", last=False):
        [out] = redactor.feed(piece)
        assert out.text == "[redacted]"
    assert redactor.counts == {"opaque": 1}


@pytest.mark.usefixtures("real_windows")
def test_the_memory_of_a_long_body_is_bounded() -> None:
    redactor = Redactor()
    unit = (POSITION * 1000)[:MAX_BODY_PIECE_BYTES]
    [piece] = big(unit, last=False)
    tracemalloc.start()
    try:
        size = 0
        for _ in range(10 * 1024 * 1024 // len(unit)):
            size += sum(len(entry.text) for entry in redactor.feed(piece))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 8_000_000
    assert peak < 6_000_000


@pytest.mark.usefixtures("real_windows")
def test_a_bomb_takes_little_memory_and_its_rest_is_masked() -> None:
    code = zlib.compressobj(9, wbits=31)
    data = b"".join(code.compress(bytes(2**20)) for _ in range(300)) + code.flush()
    redactor = Redactor()
    out = run(response(0, ("Content-Encoding", "gzip")), big(data, "server"), redactor)
    assert out[-1].data.endswith(b"[redacted]")
    assert redactor.counts == {"opaque": 1}
