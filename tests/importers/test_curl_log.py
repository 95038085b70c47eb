"""The raw output of curl, whole, cut anywhere, with anything before it."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.importers import curl_log
from recorder.importers.chunks import take
from recorder.importers.curl_log import WINDOW_BYTES, entries
from recorder.importers.frame_search import begins_frame, find_frames
from recorder.model import Body, Bytes, Closed, Entry, FrameEntry, Open, Response
from recorder.wire.frames import MAX_FRAME_BYTES, Frame, FrameParser, Opcode, close_frame
from recorder.wire.messages import Message, MessageAssembler
from tests.profiles import examples

FIXTURES = Path(__file__).parents[2] / "fixtures"
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nServer: nginx\r\nConnection: upgrade\r\n\r\n"
LOGIN = b'HTTP/1.1 200 OK\r\nSet-Cookie: JSESSIONID=x\r\n\r\n{"name":"n"}\n'
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\n"
METER = b"  % Total\r  0     0    0     0    0     0      0      0 --:--:-- --:--:--     0"
PING = b'{"status":[{"message":"a0b34365-908f-4868-a52a-84a3ed83bd59","type":"PING"}]}'
JSON_FRAME = Frame.make(Opcode.TEXT, PING).serialize()


def data_of(parts: list[Entry]) -> bytes:
    """The bytes of the file that these entries hold, without the head."""
    return b"".join(
        part.frame().serialize() if isinstance(part, FrameEntry) else part.data
        for part in parts
        if isinstance(part, FrameEntry | Bytes | Body)
    )


def frames_of(parts: list[Entry]) -> list[Frame]:
    return [part.frame() for part in parts if isinstance(part, FrameEntry)]


def kinds(parts: list[Entry]) -> list[str]:
    return [part.kind for part in parts]


def chunked(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return (data[start:stop] for start, stop in itertools.pairwise(edges))


texts = st.text(max_size=40).map(lambda text: text.encode("utf-8"))
payloads = st.one_of(
    texts.map(lambda data: json.dumps({"devices": [data.decode()]}).encode()),
    st.sampled_from([b"{}", PING, b"x" * 126, b"~" * 32382, b"z" * 65536]),
    texts,
)


def fragments(payload: bytes, cuts: list[int]) -> list[Frame]:
    parts = list(chunked(payload, cuts))
    return [
        Frame.make(
            Opcode.CONTINUATION if number else Opcode.TEXT, part, fin=number == len(parts) - 1
        )
        for number, part in enumerate(parts)
    ]


messages = st.one_of(
    payloads.map(lambda data: [Frame.make(Opcode.TEXT, data)]),
    st.builds(fragments, payloads, st.lists(st.integers(0, 99999), max_size=3)),
    st.binary(max_size=200).map(lambda data: [Frame.make(Opcode.BINARY, data)]),
    st.binary(max_size=125).map(lambda data: [Frame.make(Opcode.PING, data)]),
    st.binary(max_size=125).map(lambda data: [Frame.make(Opcode.PONG, data)]),
)


class Wire(list[Frame]):
    """Frames that show themselves shortly in a failing example."""

    def __repr__(self) -> str:
        return f"Wire({', '.join(map(str, self))})"

    def serialize(self) -> bytes:
        return b"".join(frame.serialize() for frame in self)


wires = st.lists(messages, max_size=6).map(lambda lists: Wire(itertools.chain(*lists)))
befores = st.one_of(
    st.sampled_from([b"", b"Logged In...\n", METER, LOGIN, METER + b"\r" + LOGIN + b"\xff\x00"]),
    st.text(max_size=50).map(lambda text: text.encode("utf-8")),
)
# Other characters may look like a frame that holds all the rest, and nobody can tell.
plain_befores = st.one_of(
    st.sampled_from([b"", b"Logged In...\n", METER, LOGIN, METER + b"\r" + LOGIN + b"\xff\x00"]),
    st.text(st.characters(min_codepoint=3, max_codepoint=126), max_size=50).map(str.encode),
)
heads = st.sampled_from([HEAD, HEAD.replace(b"\r\n", b"\n")])


@given(befores, heads, wires, st.floats(0, 1))
def test_a_capture_cut_anywhere_keeps_every_byte_and_every_whole_frame(
    before: bytes, head: bytes, wire: Wire, where: float
) -> None:
    whole = before + head + wire.serialize()
    cut = whole[: round(where * len(whole))]
    got = list(entries([cut]))
    assert kinds(got)[0] == "open"
    assert kinds(got)[-1] == "closed"
    if len(cut) < len(before + head):
        return
    assert data_of(got) == before + cut[len(before + head) :]
    parser = FrameParser()
    assert frames_of(got) == parser.feed(cut[len(before + head) :])
    assert [part.status for part in got if isinstance(part, Response)] == [101]
    tail = [part.data for part in got if isinstance(part, Bytes)][bool(before) :]
    assert b"".join(tail) == b"".join(torn.data for torn in parser.close())


@given(plain_befores, wires, st.floats(0, 1))
def test_a_capture_without_a_head_is_found_by_its_frames(
    before: bytes, wire: Wire, where: float
) -> None:
    body = JSON_FRAME + wire.serialize()
    whole = before + body
    cut = whole[: round(where * len(whole))]
    got = list(entries([cut]))
    if len(cut) >= len(before + JSON_FRAME):
        assert data_of(got) == cut
        assert frames_of(got) == FrameParser().feed(cut[len(before) :])


@given(wires, st.floats(0, 1))
def test_frames_from_the_first_byte_on_are_found_once_one_is_whole(
    wire: Wire, where: float
) -> None:
    whole = wire.serialize()
    cut = whole[: round(where * len(whole))]
    got = list(entries([cut]))
    assert data_of(got) == cut
    if whole_frames := FrameParser().feed(cut):
        assert frames_of(got) == whole_frames


@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda before, head, wire, after: before + head + wire.serialize() + after,
            befores,
            st.sampled_from([b"", HEAD, REFUSAL]),
            wires,
            st.binary(max_size=20),
        ),
    ),
    st.lists(st.integers(0, 2**20), max_size=8),
)
@example(b"\x82\x7f" + b"\xff" * 20, [3, 11, 12])
@example(HEAD + b"\x82\x7f" + b"\xff" * 20, [len(HEAD) + 3, len(HEAD) + 11, len(HEAD) + 12])
@example(REFUSAL + b"x" * 140_000, [70_000])
def test_chunks_make_no_difference(data: bytes, cuts: list[int]) -> None:
    assert list(entries(chunked(data, cuts))) == list(entries([data]))


@settings(max_examples=examples(1000))
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda data: HEAD + data)))
def test_any_bytes_give_entries_that_hold_all_of_them(data: bytes) -> None:
    got = list(entries([data]))
    assert data_of(got) == (data[len(HEAD) :] if data.startswith(HEAD) else data)


def expected_messages() -> list[tuple[str, bytes]]:
    listed = []
    for item in json.loads((FIXTURES / "curl-capture.expected.json").read_text("utf-8")):
        match item["kind"]:
            case "binary":
                listed.append(("binary", base64.b64decode(item["data"])))
            case "fragments":
                parts = item["data"]
                listed.append(
                    ("text", (parts if isinstance(parts, str) else "".join(parts)).encode())
                )
            case kind:
                listed.append((kind, item["data"].encode()))
    return listed


def test_the_capture_of_the_manuals_command_holds_what_its_server_sent() -> None:
    raw = (FIXTURES / "curl-capture.bin").read_bytes()
    got = list(entries([raw]))
    assembler = MessageAssembler()
    seen: list[tuple[str, bytes]] = []
    for part in got:
        if not isinstance(part, FrameEntry):
            continue
        assert part.sender == "server"
        if part.opcode == "ping":
            seen.append(("ping", part.data))
        for event in assembler.feed(part.frame()):
            assert isinstance(event, Message)
            seen.append(("text" if event.is_text else "binary", event.payload))
    assert seen == expected_messages()
    assert got[-1] == Closed(
        connection=1, by="server", how="eof", detail="close 1001 going away", offset_ns=None
    )
    head, _, body = raw.partition(b"\r\n\r\n")
    assert data_of(got) == body
    response = got[1]
    assert isinstance(response, Response)
    assert (response.status, response.exchange) == (101, 1)
    lines = [f"{name}: {value}" for name, value in response.headers]
    assert "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines]).encode() == head


def test_the_same_capture_is_found_without_its_head_and_from_its_middle() -> None:
    raw = (FIXTURES / "curl-capture.bin").read_bytes().partition(b"\r\n\r\n")[2]
    all_frames = frames_of(list(entries([raw])))
    for lost in (1, 2, 40, 500, 3000):
        got = list(entries([raw[lost:]]))
        assert data_of(got) == raw[lost:]
        left = frames_of(got)
        assert 0 < len(left) < len(all_frames)
        assert left == all_frames[-len(left) :]
        assert kinds(got)[:3] == ["open", "bytes", "frame"]


@pytest.mark.parametrize(
    "before", [b"Logged In...\n", METER, LOGIN, b"HTTP/1.1 101\n" + LOGIN, b"\xff\xfe\x00"]
)
def test_what_stands_before_the_head_is_kept(before: bytes) -> None:
    got = list(entries([before + HEAD + JSON_FRAME]))
    assert kinds(got) == ["open", "bytes", "response", "frame", "closed"]
    text = got[1]
    assert isinstance(text, Bytes)
    assert (text.data, text.why) == (before, "text before the HTTP head")


def test_a_refusal_is_a_response_and_its_body_in_pieces() -> None:
    body = b"e" * 150_000
    got = list(entries([b"Logged In...\n" + REFUSAL + body]))
    assert kinds(got) == ["open", "bytes", "response", "body", "body", "body", "closed"]
    bodies = [part for part in got if isinstance(part, Body)]
    assert [(len(part.data), part.last) for part in bodies] == [
        (65536, False),
        (65536, False),
        (18928, True),
    ]
    assert b"".join(part.data for part in bodies) == body


def test_after_redirects_and_a_login_the_last_answer_counts() -> None:
    got = list(entries([LOGIN + REFUSAL + b"<h1>503</h1>"]))
    response = next(part for part in got if isinstance(part, Response))
    assert response.status == 503
    assert data_of(got) == LOGIN + b"<h1>503</h1>"


def test_without_a_close_frame_the_file_ends_the_connection() -> None:
    got = list(entries([HEAD + JSON_FRAME]))
    assert got[-1] == Closed(
        connection=1, by="recorder", how="stopped", detail="the file ends here", offset_ns=None
    )


@pytest.mark.parametrize(
    ("frame", "detail"),
    [
        (close_frame(1000), "close 1000"),
        (close_frame(1001, "going away"), "close 1001 going away"),
        (Frame.make(Opcode.CLOSE), "close"),
    ],
)
def test_a_close_frame_says_how_it_ended(frame: Frame, detail: str) -> None:
    got = list(entries([HEAD + JSON_FRAME + frame.serialize()]))
    assert got[-1] == Closed(connection=1, by="server", how="eof", detail=detail, offset_ns=None)


def test_a_torn_tail_says_where_it_was_torn() -> None:
    got = list(entries([HEAD + JSON_FRAME + JSON_FRAME[:1]]))
    assert kinds(got) == ["open", "response", "frame", "bytes", "closed"]
    assert got[3] == Bytes(
        connection=1,
        sender="server",
        offset_ns=None,
        why="the stream ended inside a frame header",
        base64=base64.b64encode(JSON_FRAME[:1]).decode(),
    )


def test_text_without_frames_is_bytes() -> None:
    got = list(entries([b'{"positions":[]}~{"devices":[]}']))
    assert kinds(got) == ["open", "bytes", "closed"]


@pytest.mark.parametrize(
    "nearly",
    [
        Frame.make(Opcode.TEXT, b'{"a":1}', rsv=4).serialize(),
        Frame.make(Opcode.TEXT, b'{"a":1}', mask=b"\0\0\0\0").serialize(),
        Frame.make(Opcode.TEXT, b'{"a":1}', length_bytes=2).serialize(),
        Frame.make(Opcode.TEXT, b"x" * 200, length_bytes=8).serialize(),
        Frame.make(Opcode.TEXT, b'{"a":"\xff"}').serialize(),
        Frame.make(Opcode.PING, b"x" * 126).serialize(),
        Frame.make(Opcode.PING, b"x", fin=False).serialize(),
        Frame.make(Opcode.CLOSE, b"x").serialize(),
        Frame.make(Opcode.CLOSE, b"\0\0").serialize(),
        Frame.make(3, b"x").serialize(),
        b"\x82\x7f" + (MAX_FRAME_BYTES + 1).to_bytes(8, "big"),
    ],
)
def test_what_no_server_may_send_begins_nothing(nearly: bytes) -> None:
    assert begins_frame(JSON_FRAME + JSON_FRAME, 0, is_whole=True)
    assert not begins_frame(nearly + JSON_FRAME, 0, is_whole=True)
    assert not begins_frame(nearly + JSON_FRAME, 0, is_whole=True, certain=True)


def test_characters_of_text_are_no_frames() -> None:
    # The second byte of É and the line end are the head of a ping of 10 bytes.
    text = '{"name":"É\n0123456789'.encode()
    assert find_frames(text, is_whole=True) is None
    assert find_frames(text + "É".encode()[:1], is_whole=True) is None
    assert find_frames(b"\xff" + text, is_whole=True) == len(text) - 11


def test_runs_of_zeros_are_no_frames() -> None:
    assert find_frames(b"\xff" + bytes(1000), is_whole=True) is None
    assert find_frames(b"\xff" + bytes(1000) + JSON_FRAME, is_whole=True) == 1001


def test_one_frame_in_the_middle_needs_json_or_the_end_or_a_second_one() -> None:
    before, junk = b"\xff\xff", b"\xff\xff"
    binary = Frame.make(Opcode.BINARY, b"xxx").serialize()
    assert find_frames(before + binary + junk, is_whole=True) is None
    assert find_frames(before + binary + binary[:3], is_whole=True) is None
    assert find_frames(before + binary, is_whole=True) == 2
    assert find_frames(before + binary + binary + junk, is_whole=True) == 2
    assert find_frames(before + JSON_FRAME + junk, is_whole=True) == 2


def test_a_first_frame_longer_than_the_window_is_read_without_a_head() -> None:
    payload = b'{"devices":"' + b"d" * (2 * WINDOW_BYTES) + b'"}'
    raw = Frame.make(Opcode.TEXT, payload).serialize() + JSON_FRAME
    chunks = [raw[at : at + 100_000] for at in range(0, len(raw), 100_000)]
    got = list(entries(chunks))
    assert [frame.payload for frame in frames_of(got)] == [payload, PING]


def test_a_frame_above_the_limit_is_kept_in_pieces_with_all_behind_it() -> None:
    raw = b"\x82\x7f" + (MAX_FRAME_BYTES + 1).to_bytes(8, "big") + b"\xff" * 2 * WINDOW_BYTES
    kept = [part for part in entries([HEAD, raw, b"more"]) if isinstance(part, Bytes)]
    assert b"".join(part.data for part in kept) == raw + b"more"
    assert [len(part.data) for part in kept] == [65536] * 32 + [14]
    assert {part.why for part in kept} == {
        "a frame of 67108865 bytes is above the limit of 67108864"
    }


def test_entries_come_while_the_file_is_read() -> None:
    taken = 0

    def chunks() -> Iterator[bytes]:
        nonlocal taken
        yield HEAD
        for _ in range(400):
            taken += 1
            yield Frame.make(Opcode.TEXT, b"x" * 65_000).serialize()

    frames = (part for part in entries(chunks()) if isinstance(part, FrameEntry))
    next(frames)
    assert taken * 65_000 < 2 * WINDOW_BYTES
    assert sum(1 for _ in frames) == 399


@pytest.mark.parametrize("after", [b"", b"e"])
def test_the_window_tells_whether_the_file_ends_with_it(after: bytes) -> None:
    stream = iter([b"ab", b"cd", after, b"f"] if after else [b"ab", b"cd"])
    assert take(stream, 4) == (b"abcd", after)
    assert list(stream) == ([b"f"] if after else [])


HOSTILE = {
    "status lines": b"HTTP/1.1 101 ",
    "status lines with line ends": b"HTTP/1.1 101\r\n",
    "heads in fields": b"HTTP/1.1 101 x\r\nA:HTTP/1.1 101\r\n",
    "long texts that are none": b"\xc3\x81\x7e\x7f\x7f",
    "headers only": b"\x81\x7e\x40\x00",
    "long binaries": b"\x82\x7e\xff\xff\xff",
    "line ends": b"\r\n",
    "fields": b"HTTP/1.1 101\r\n" + b"a:\r\n" * 100,
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_search_takes_linear_time(unit: bytes) -> None:
    def seconds(size: int) -> float:
        window = b"\xff" + unit * (size // len(unit))
        begun = time.process_time()
        curl_log.locate(window, is_whole=True)
        return time.process_time() - begun

    # Quadratic work would take hours or at least minutes at this size.
    assert seconds(WINDOW_BYTES) < 5


def test_entries_have_no_time_and_one_connection() -> None:
    for part in entries([LOGIN + HEAD + JSON_FRAME + JSON_FRAME[:4]]):
        assert part.offset_ns is None
        assert getattr(part, "connection", None) == 1
    assert isinstance(next(entries([])), Open)


@given(st.integers(0, 80))
def test_a_secret_in_a_long_text_before_the_head_is_not_split_over_two_entries(filler: int) -> None:
    line = b"x" * 79 + b"\n"
    before = b"." * filler + line * 900 + b"the password=hunter2hunter2\n" + line * 900
    entries_before = [part for part in entries([before + HEAD]) if isinstance(part, Bytes)]
    assert len(entries_before) > 1
    assert b"".join(part.data for part in entries_before) == before
    assert all(part.data.endswith(b"\n") for part in entries_before)
    assert all(len(part.data) <= 65536 for part in entries_before)
