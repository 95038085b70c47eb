"""What a profile replaces beyond secrets: found wherever it stands, put in as the place needs."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, unquote, urlsplit

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import (
    Bytes,
    Checkpoint,
    Closed,
    FrameEntry,
    Note,
    Open,
    Redaction,
    Resume,
    UnknownEntry,
    encode_bytes,
)
from recorder.redaction import Redactor
from recorder.redaction.edits import Edit
from recorder.wire.frames import Frame, close_frame
from tests.profiles import examples
from tests.redaction.strategies import body_pieces, fragments, request, response
from tests.strategies import make_header

NUMBER, NEW_NUMBER = "-4711.250", "1742.500"


def pseudonym(name: str) -> str:
    return f"name-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


class Renames:
    """Renames whatever stands between `Zq` and `qZ`, and replaces one number."""

    def edits(self, text: str) -> Sequence[Edit]:
        """As `Transform` says."""
        return [
            Edit(*found.span(), NEW_NUMBER, "number")
            if found[0] == NUMBER
            else Edit(*found.span(), pseudonym(found[0]), "name")
            for found in re.finditer(rf"Zq.*?qZ|{NUMBER}", text, re.DOTALL)
        ]


def of_bytes(data: bytes) -> bytes:
    return f"[redacted:bytes-{len(data)}-abcdefgh]".encode()


def sharing() -> Redactor:
    return Redactor("share", transform=Renames(), of_bytes=of_bytes, key_id="k1")


def run(entries: list[Any], redactor: Redactor | None = None) -> list[Any]:
    redactor = redactor or sharing()
    out = [done for entry in entries for done in redactor.feed(entry)]
    return out + redactor.close()


names = st.text(st.sampled_from('abz09 é"/&=+2~;,[]{}:\n𝄞'), min_size=1, max_size=12).map(
    "Zq{}qZ".format
)
cut_lists = st.lists(st.integers(0, 10**4), max_size=3)
masks = st.sampled_from([None, b"\x01\x02\x03\x04"])


@settings(max_examples=examples(150))
@given(names, st.booleans(), cut_lists, masks)
def test_a_name_in_json_becomes_the_same_in_any_spelling_and_numbers_stay_numbers(
    name: str, ascii_only: bool, cuts: list[int], mask: bytes | None
) -> None:
    new = pseudonym(name)
    value = {"id": 1, "name": name, "latitude": float(NUMBER), "a": [name, None]}
    text = json.dumps(value, ensure_ascii=ascii_only).replace("-4711.25", NUMBER)
    inner = json.dumps({"log": text}, ensure_ascii=ascii_only)
    for plain, undone in ((text, json.loads), (inner, lambda t: json.loads(json.loads(t)["log"]))):
        out = run(fragments(plain.encode(), cuts, 1, mask))
        joined = b"".join(entry.data for entry in out).decode()
        assert undone(joined) == {
            "id": 1,
            "name": new,
            "latitude": float(NEW_NUMBER),
            "a": [new, None],
        }
        assert NEW_NUMBER in joined
        assert all(entry.frame().check("client" if mask else "server") == [] for entry in out)


@settings(max_examples=examples(100))
@given(names, st.sampled_from([quote, quote_plus, lambda text: quote(text, safe="")]))
def test_a_name_in_a_form_or_url_becomes_what_it_becomes_in_json(name: str, spelled: Any) -> None:
    field = f"name={spelled(name)}&lat={NUMBER}"
    form_head = request(1, "/", ("Content-Type", "application/x-www-form-urlencoded"))
    _, body = run([form_head, *body_pieces(field.encode(), [], 2)])
    expected = {"name": [pseudonym(name)], "lat": [NEW_NUMBER]}
    assert parse_qs(body.text) == expected
    [head] = run([request(1, f"/api/devices?{field}", ("Referer", f"https://h/x?{field}"))])
    assert parse_qs(urlsplit(head.target).query) == expected
    referer = dict(head.headers)["Referer"]
    assert unquote(referer).endswith(f"name={pseudonym(name)}&lat={NEW_NUMBER}")


def test_a_name_is_replaced_by_what_it_reads_as_with_all_escapes_undone() -> None:
    redactor = sharing()
    new = pseudonym("ZqAqZ")
    for spelling in ("Zq%41qZ", "Zq%2541qZ", "Zq\\u0041qZ", "Zq\\\\u0041qZ", "Zq%5Cu0041qZ"):
        assert redactor.text(f'"{spelling}"') == f'"{new}"'


def test_every_place_is_asked_about() -> None:
    name, new = "Zq x qZ", pseudonym("Zq x qZ")
    raw = json.dumps(name).encode()
    close = FrameEntry.of(close_frame(1001, name), connection=1, sender="server", offset_ns=1)
    gzipped = gzip.compress(raw)
    entries: list[Any] = [
        Open(connection=1, leg="client", url=f"http://h/{quote(name)}", peer=name, offset_ns=1),
        request(1, "/", ("X-Name", name)),
        response(1, ("X-Name", name), ("Content-Encoding", "gzip")),
        *body_pieces(gzipped, [9], 1, "server"),
        close,
        Note(text=name, offset_ns=1, extra={"x": msgspec.Raw(raw)}),
        Closed(connection=1, by="client", how="eof", detail=name, offset_ns=1),
        Checkpoint(offset_ns=1, devices=[msgspec.Raw(raw)], positions=[msgspec.Raw(raw)]),
        UnknownEntry(kind="later", seq=1, offset_ns=1, line=b'{"kind":"later","x":' + raw + b"}"),
    ]
    redactor = sharing()
    opened, asked, answered, one, two, closing, note, closed, checkpoint, unknown = run(
        entries, redactor
    )
    assert (opened.url, opened.peer) == (f"http://h/{new}", new)
    assert ("X-Name", new) in asked.headers
    assert ("X-Name", new) in answered.headers
    assert json.loads(gzip.decompress(one.data + two.data)) == new
    assert (closing.code, closing.reason) == (1001, new)
    assert (note.text, bytes(note.extra["x"])) == (new, json.dumps(new).encode())
    assert closed.detail == new
    assert bytes(checkpoint.devices[0]) == bytes(checkpoint.positions[0])
    assert json.loads(bytes(checkpoint.positions[0])) == new
    assert json.loads(unknown.line)["x"] == new
    assert redactor.counts == {"name": 12}
    header = redactor.redact_header(make_header(meta={"by": msgspec.Raw(raw)}, upstream=name))
    assert (bytes(header.meta["by"]), header.upstream) == (json.dumps(new).encode(), new)
    assert header.redaction == Redaction(profile="share", key_id="k1")
    assert (redactor.text(name), redactor.url(quote(name))) == (new, new)


@settings(max_examples=examples(100))
@given(st.binary(min_size=1, max_size=40), cut_lists)
def test_share_replaces_bytes_that_are_no_text(data: bytes, cuts: list[int]) -> None:
    broken = b"\xff" + data
    frame = FrameEntry.of(Frame.make(2, broken), connection=1, sender="client", offset_ns=1)
    common = {"connection": 1, "sender": "client", "offset_ns": 1}
    entries: list[Any] = [
        frame,
        Bytes(why="x", **common, **encode_bytes(data)),
        Resume(wall="now", offset_ns=1, **encode_bytes(data)),
        *body_pieces(broken, [], 1),
        response(1, ("Content-Encoding", "br")),
        *body_pieces(broken, [], 1, "server"),
    ]
    out = run(entries)
    for entry, size in zip(
        [*out[:4], out[5]], [len(broken), len(data), len(data)] + 2 * [len(broken)], strict=True
    ):
        assert entry.text == f"[redacted:bytes-{size}-abcdefgh]"
    again = sharing()
    assert run(out, again) == out
    assert again.counts == {}
    # A message of text that was cut within a character is text.
    assert run(fragments("é".encode(), [1], 1, None)) == fragments("é".encode(), [1], 1, None)


def test_a_close_frame_with_a_broken_reason_keeps_its_code() -> None:
    frame = Frame.make(8, b"\x03\xe9\xff\xfe", mask=b"abcd")
    [out] = run([FrameEntry.of(frame, connection=1, sender="client", offset_ns=1)])
    assert (out.code, out.reason) == (1001, "[redacted:bytes-2-abcdefgh]")
    assert out.frame().check("client") == []


def test_without_of_bytes_share_tells_nothing_of_bytes() -> None:
    redactor = Redactor("share", transform=Renames())
    frame = FrameEntry.of(Frame.make(2, b"\xff"), connection=1, sender="server", offset_ns=1)
    assert [entry.text for entry in run([frame], redactor)] == ["[redacted]"]
    assert redactor.counts == {"opaque": 1}


def test_secrets_go_first_and_marks_stay() -> None:
    redactor = Redactor("secrets", transform=Renames())
    text = '{"email":"Zq@x.example","name":"Zq bob@x.example qZ","to":"Zqa@x.exampleqZ"}'
    masked = '"Zq [redacted:email-2] qZ"'
    assert redactor.text(text) == text.replace("Zq@x.example", "[redacted:email-1]").replace(
        '"Zq bob@x.example qZ"', f'"{pseudonym(masked[1:-1])}"'
    ).replace("Zqa@x.exampleqZ", "[redacted:email-3]")


def test_what_meets_another_edit_is_replaced_to_its_end() -> None:
    class Meeting:
        """In the text and in its views different things are found."""

        def edits(self, text: str) -> Sequence[Edit]:
            """As `Transform` says."""
            return [
                Edit(*found.span(), "<>", "x") for found in re.finditer(r"ab%63|cde|%65+", text)
            ]

    redactor = Redactor("secrets", transform=Meeting())
    assert redactor.text("ab%63de%65") == "<>%3C%3E<>"


def test_share_needs_a_transform_and_none_asks_for_no_edits() -> None:
    with pytest.raises(ValueError, match="transform"):
        Redactor("share")
    redactor = Redactor("none", transform=Renames())
    assert redactor.text("ZqaqZ") == "ZqaqZ"
