"""Files: whole, torn, damaged, compressed, and what is no recording."""

from __future__ import annotations

import gzip
import json
import random
import tempfile
import zlib
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import CannotRead, CorruptRecording, RecordingError, UnsupportedVersion
from recorder.leaks.inflating import Inflater, NotLookedInto
from recorder.leaks.joining import OVERLAP_BYTES, WINDOW_BYTES, windows_of
from recorder.leaks.layers import Layer, layers_of
from recorder.model import Body, Closed, FrameEntry, Note, Open, Request, UnknownEntry
from recorder.recording import encode_entry, encode_header
from recorder.wire.frames import Frame
from tests.leaks.support import detectors, header, known, look_at, look_through
from tests.profiles import examples
from tests.recording.files import record

SECRET = "correct horse battery"
NOTE = Note(offset_ns=1, text=f"it is {SECRET}")


def lines_of(*entries: object, profile: str = "none") -> list[bytes]:
    written = [msgspec.structs.replace(one, seq=n) for n, one in enumerate(entries, 1)]  # type: ignore[type-var]
    return [encode_header(header(profile)), *(encode_entry(one) for one in written)]  # type: ignore[arg-type]


def test_a_finding_says_where_it_is_and_never_what(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    request = Request(
        connection=3,
        exchange=1,
        method="GET",
        target="/x?token=hunter2hunter2",
        headers=[("Cookie", "JSESSIONID=node0abcdef.node0")],
        offset_ns=1,
    )
    record(path, [Note(offset_ns=1, text="x"), request], header=header("none"))
    [cookie, token] = sorted(look_through(path)[0], key=lambda one: one.detector)
    assert (cookie.line, cookie.seq, cookie.kind, cookie.connection) == (3, 2, "request", 3)
    assert (cookie.place, cookie.detector) == ("headers.Cookie", "cookie")
    assert cookie.excerpt == "no… (17 characters)"
    assert (token.place, token.detector, token.undone) == ("target", "token", ())
    assert "hunter2" not in repr(token)


def test_a_name_that_holds_a_secret_is_not_shown() -> None:
    note = msgspec.structs.replace(
        NOTE, text="x", extra={SECRET.replace(" ", "-"): msgspec.Raw(b'"bob@example.com"')}
    )
    [finding] = look_at([note], known(SECRET.replace(" ", "-")))[1:]
    assert (finding.place, finding.detector) == ("extra.…", "email")
    kind = UnknownEntry(
        kind="hunter2hunter2",
        seq=1,
        offset_ns=1,
        line=b'{"kind":"hunter2hunter2","seq":1,"offset_ns":1}',
    )
    assert [one.kind for one in look_at([kind], known("hunter2hunter2"))] == ["…"]


def test_how_a_value_was_wrapped_is_told_from_the_outside() -> None:
    note = Note(
        offset_ns=1, text=json.dumps({"u": "/x?mail=bob%40example.com"}).replace("%", "\\u0025")
    )
    [finding] = look_at([note])
    assert finding.undone == ("JSON-escaped", "percent-encoded")


def test_each_value_is_told_once_an_entry() -> None:
    note = Note(offset_ns=1, text='{"password":"hunter2x"} password=hunter2x hunter2x')
    assert detectors(look_at([note], known("hunter2x"))) == ["value"]
    assert detectors(look_at([note, note], known("hunter2x"))) == ["value", "value"]


def test_an_allowed_value_is_no_finding() -> None:
    note = Note(offset_ns=1, text="support@track.example, bob@example.com, b?b@x.example")
    assert len(look_at([note])) == 3
    assert len(look_at([note], allow=["support@track.example"])) == 2
    assert len(look_at([note], allow=["*@*.example", "*@example.com"])) == 0
    assert len(look_at([note], allow=["b?b@example.com", "[b]ob@example.com*"])) == 3


def test_a_key_that_stands_twice_in_a_line_is_seen_twice(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    first, second = lines_of(Note(offset_ns=1, text="fine"))
    second = second.replace(b'"text":', b'"text":"correct horse\\u0020battery","text":')
    path.write_bytes(first + b"\n" + second + b"\n")
    [finding] = look_through(path, known(SECRET))[0]
    assert (finding.line, finding.place, finding.kind) == (2, "line", "note")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "damaged",
    [b'{"kind":"note","seq":2,"offset_ns":1,"text":5,"x":"SECRET"}', b"SECRET", b"\xff SECRET"],
)
def test_a_damaged_line_is_looked_at_as_it_stands(
    tmp_path: Path, damaged: bytes, compressed: bool
) -> None:
    path = tmp_path / "a.track.jsonl"
    head, before, after = lines_of(Note(offset_ns=1, text="x"), NOTE)
    data = b"\n".join([head, before, damaged.replace(b"SECRET", SECRET.encode()), after, b""])
    path.write_bytes(zstandard.ZstdCompressor().compress(data) if compressed else data)
    findings, look = look_through(path, known(SECRET))
    assert [(one.line, one.kind) for one in findings] == [(3, "line"), (4, "note")]
    assert (look.is_recording, look.lines, look.size_bytes) == (True, 4, len(data) - 4)
    assert look.damaged_lines == 1


def test_a_torn_tail_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    head, note = lines_of(NOTE)
    path.write_bytes(head + b"\n" + note[:-2])
    findings, look = look_through(path, known(SECRET))
    assert [(one.line, one.kind) for one in findings] == [(2, "line")]
    assert look.damaged_lines == 1


def test_what_cannot_be_decompressed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl.zst"
    data = zstandard.ZstdCompressor().compress(b"\n".join(lines_of(NOTE, NOTE)) + b"\n")
    path.write_bytes(data[:-9])
    findings, look = look_through(path)
    assert detectors(findings)[-1:] == ["not-looked-into"]
    assert look.counts["not-looked-into"] == 1


@settings(max_examples=examples(40), deadline=None)
@given(st.data())
def test_damage_anywhere_hides_nothing_that_stays_readable(data: st.DataObject) -> None:
    raw = b"\n".join(lines_of(Note(offset_ns=1, text="x" * 40), NOTE)) + b"\n"
    secret_at = raw.index(SECRET.encode())
    head = raw.index(b"\n")
    at = data.draw(st.integers(head + 1, len(raw) - 1))
    if secret_at <= at < secret_at + len(SECRET):
        return
    broken = raw[:at] + data.draw(st.binary(min_size=1, max_size=3)) + raw[at + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a")
        path.write_bytes(broken)
        assert "value" in detectors(look_through(path, known(SECRET))[0])


def test_a_text_that_is_no_recording_is_looked_at_with_its_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.har"
    pairs = [{"name": "password", "value": "hunter2x"}, {"name": "x", "value": SECRET}]
    text = json.dumps({"log": {"postData": {"params": pairs}}}, indent=1)
    path.write_text("first line\n" * 5 + text)
    findings, look = look_through(path, known(SECRET))
    lines = (path.read_text() + "\n").split("\n")
    found = {one.detector: one for one in findings}
    assert SECRET in lines[found["value"].line - 1]
    assert "hunter2x" in lines[found["password"].line - 1]
    assert (look.is_recording, look.profile) == (False, "secrets")


def test_a_large_text_is_looked_at_window_by_window(tmp_path: Path) -> None:
    path = tmp_path / "log"
    line = "nothing to see here\n"
    count = (2 * WINDOW_BYTES) // len(line)
    path.write_text(line * count + f"{SECRET}\n" + line * count)
    findings, _ = look_through(path, known(SECRET))
    assert [one.line for one in findings] == [count + 1]


def test_a_file_of_gzip_is_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    noise = random.Random(1).randbytes(300_000).hex().encode()
    data = gzip.compress(b"\n".join([*lines_of(NOTE), noise, SECRET.encode(), b""]))
    path.write_bytes(data)
    findings, look = look_through(path, known(SECRET))
    assert [(one.line, one.kind) for one in findings] == [(2, "note"), (4, "line")]
    assert look.is_recording
    path.write_bytes(data[:-400] + bytes(400))
    assert detectors(look_through(path)[0]) == ["not-looked-into"]


def test_a_large_compressed_payload_is_looked_at_to_its_end() -> None:
    printable = bytes(32 if code % 8 == 0 else 95 + code % 30 for code in range(256))
    noise = random.Random(1).randbytes(2 * WINDOW_BYTES).translate(printable)
    frame = Frame.make(2, gzip.compress(noise + SECRET.encode()))
    entry = FrameEntry.of(frame, connection=1, sender="server", offset_ns=1)
    [finding] = look_at([entry], known(SECRET))
    assert finding.undone == ("gzip",)


def test_a_line_without_an_end_is_looked_at_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.leaks.looking.MAX_LINE_BYTES", 600_000)
    path = tmp_path / "a.track.jsonl"
    head, note = lines_of(Note(offset_ns=1, text="x" * 1_000_000 + SECRET + "x" * 600_000))
    path.write_bytes(head + b"\n" + note + b"\n" + note.replace(b'"seq":1', b'"seq":2') + b"\n")
    findings, _ = look_through(path, known(SECRET))
    assert {one.line for one in findings} == {2, 3}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", RecordingError),
        (b'{"kind":"header","format":"track-recording","version":9}\n', UnsupportedVersion),
        (b'{"kind":"header","format":"track-recording","version":1}\n', CorruptRecording),
    ],
)
def test_a_file_that_cannot_be_judged_is_an_error(
    tmp_path: Path, content: bytes, error: type[Exception]
) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(error, match="a"):
        look_through(path)


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match="No such file"):
        look_through(tmp_path / "none")


@pytest.mark.parametrize(
    ("in_header", "asked", "judged"),
    [
        ("share", None, "share"),
        ("secrets", None, "secrets"),
        ("none", None, "secrets"),
        ("secrets", "share", "share"),
        ("share", "secrets", "secrets"),
    ],
)
def test_the_header_says_what_to_judge_by_unless_it_is_asked_for(
    tmp_path: Path, in_header: str, asked: str | None, judged: str
) -> None:
    path = tmp_path / "a.track.jsonl"
    note = Note(
        offset_ns=1,
        text='{"name":"Bob","uniqueId":"123","uuid":"a0b34365-908f-4868-a52a-84a3ed83bd59"}',
    )
    record(path, [note], header=header(in_header))
    findings, look = look_through(path, profile=asked)
    assert look.profile == judged
    assert sorted(detectors(findings)) == (
        ["name", "unique-id", "uuid"] if judged == "share" else []
    )


# Texts of several entries


def piece(data: bytes, *, last: bool, exchange: int = 1) -> Body:
    text = data.decode("iso-8859-1")
    return Body(connection=1, exchange=exchange, sender="server", last=last, offset_ns=1, text=text)


def test_a_value_split_over_pieces_is_told_with_its_lines() -> None:
    pieces = [
        piece(b"x" * 2000, last=False),
        piece(b"correct ho", last=False),
        piece(b"rse battery", last=True),
    ]
    [finding] = look_at(pieces, known(SECRET))
    assert (finding.line, finding.last_line, finding.place) == (2, 4, "payload")


def test_what_never_became_whole_is_looked_at_when_its_connection_ends() -> None:
    closed = Closed(connection=1, by="client", how="eof", offset_ns=1)
    opened = Open(connection=1, leg="client", offset_ns=1)
    begun = [piece(b"correct ho", last=False), piece(b"rse battery", last=False)]
    assert len(look_at([*begun, closed, opened, *begun], known(SECRET))) == 2
    # Of two connections the halves are no text.
    assert look_at([begun[0], closed, opened, begun[1]], known(SECRET)) == []


def test_bodies_of_two_exchanges_are_kept_apart() -> None:
    mixed = [
        piece(b"correct ho", last=False, exchange=1),
        piece(b"other", last=False, exchange=2),
        piece(b"rse battery", last=True, exchange=1),
        piece(b"", last=True, exchange=2),
    ]
    assert len(look_at(mixed, known(SECRET))) == 1


def test_a_value_on_the_edge_of_a_window_is_found() -> None:
    at = WINDOW_BYTES - 7
    text = "x" * at + SECRET + "x" * WINDOW_BYTES
    whole = FrameEntry.of(Frame.make(1, text.encode()), connection=1, sender="server", offset_ns=1)
    pieces = [
        piece(text[start : start + 65536].encode(), last=False)
        for start in range(0, len(text), 65536)
    ]
    assert len(look_at([whole], known(SECRET))) == 1
    assert len(look_at(pieces, known(SECRET))) == 1


@given(st.integers(0, 3), st.sampled_from("aé€𝄞"))
def test_windows_overlap_and_cut_no_character(shift: int, char: str) -> None:
    text = "x" * shift + char * (2 * WINDOW_BYTES // len(char.encode()))
    data = text.encode()
    windows = list(windows_of(data))
    assert all(len(window) <= WINDOW_BYTES for window in windows)
    for window in windows:
        window.decode()
    joined = windows[0]
    for window in windows[1:]:
        overlap = next(
            n for n in range(OVERLAP_BYTES, OVERLAP_BYTES + 8) if joined[-n:] == window[:n]
        )
        joined += window[overlap:]
    assert len(joined) == len(data)


# Bounds


def test_a_decompression_bomb_is_told_and_not_swallowed() -> None:
    bomb = zlib.compress(bytes(20_000_000), 9)
    frame = FrameEntry.of(Frame.make(2, bomb), connection=1, sender="server", offset_ns=1)
    assert detectors(look_at([frame])) == ["not-looked-into"]
    zbomb = zstandard.ZstdCompressor().compress(bytes(100_000_000))
    frame = FrameEntry.of(Frame.make(2, zbomb), connection=1, sender="server", offset_ns=1)
    assert detectors(look_at([frame])) == ["not-looked-into"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
@given(st.binary(max_size=300), st.integers(0, 20))
def test_any_bytes_are_inflated_or_told(coding: str, data: bytes, cut: int) -> None:
    for given_bytes in (data, gzip.compress(data)[cut:], zlib.compress(data)[cut:]):
        inflater = Inflater(coding)
        assert isinstance(b"".join(inflater.feed(given_bytes)), bytes)


def test_a_coding_that_is_not_known_is_told() -> None:
    head = Request(
        connection=1,
        exchange=1,
        method="POST",
        target="/",
        headers=[("Content-Encoding", "br")],
        offset_ns=1,
    )
    body = Body(
        connection=1, exchange=1, sender="client", last=True, offset_ns=1, base64="iwKA/wM="
    )
    [finding] = look_at([head, body])
    assert (finding.detector, finding.what) == (
        "not-looked-into",
        "a content coding that is not known",
    )
    plain = msgspec.structs.replace(body, base64=None, text="[redacted]")
    assert look_at([head, plain]) == []


def test_a_compressed_message_is_inflated_where_it_can_be() -> None:
    deflate = zlib.compressobj(wbits=-15)

    def frame(text: str) -> FrameEntry:
        data = deflate.compress(text.encode()) + deflate.flush(zlib.Z_SYNC_FLUSH)
        made = Frame.make(1, data[:-4], rsv=4)
        return FrameEntry.of(made, connection=1, sender="server", offset_ns=1)

    first, second = frame(SECRET * 3), frame(SECRET * 3)
    assert detectors(look_at([first], known(SECRET))) == ["value"]
    assert detectors(look_at([second], known(SECRET))) == ["not-looked-into"]
    masked = FrameEntry.of(
        Frame.make(1, b"[redacted]", rsv=4), connection=1, sender="server", offset_ns=1
    )
    assert look_at([masked]) == []


def test_wraps_beyond_the_depth_are_told() -> None:
    text = "bob@example.com".replace("@", "%" + "25" * 8 + "40")
    assert "not-looked-into" in detectors(look_at([Note(offset_ns=1, text=text)]))


@settings(max_examples=examples(100), deadline=None)
@given(st.text(st.sampled_from('%25\\u0041"&#x6;ab=Hs4I+/\0'), max_size=200))
def test_any_text_has_a_bounded_number_of_readings(text: str) -> None:
    layers = list(layers_of(Layer(text)))
    assert len(layers) < 200
    total = sum(len(layer.text) for layer in layers if not isinstance(layer, NotLookedInto))
    assert total <= 200 * len(text)
