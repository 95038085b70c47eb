"""Redaction as a whole: what goes in with a secret comes out without it, in order, and otherwise
unchanged.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import (
    MAX_BODY_PIECE_BYTES,
    Bytes,
    Checkpoint,
    Closed,
    FrameEntry,
    Header,
    Note,
    Redaction,
    UnknownEntry,
    encode_bytes,
)
from recorder.redaction import Redactor, highest_numbers
from recorder.redaction.codings import MAX_DECODED_BYTES, decoded
from recorder.redaction.masker import MAX_LEARNT
from recorder.redaction.redactor import MAX_HELD_BYTES
from recorder.wire.frames import Frame, Opcode, close_frame
from tests.profiles import examples
from tests.redaction.strategies import (
    PASSWORD_TAIL,
    body_pieces,
    fragments,
    passwords,
    planted,
    request,
    response,
    spellings,
)

HAR = Path(__file__).parents[2] / "fixtures" / "browser.har"


def run(entries: list[Any], redactor: Redactor | None = None) -> list[Any]:
    redactor = redactor or Redactor()
    out = [done for entry in entries for done in redactor.feed(entry)]
    return out + redactor.close()


def readable(entries: list[Any]) -> str:
    """All that an output holds: its lines, its payloads joined, its bodies undone."""
    parts = []
    joined: dict[Any, bytes] = {}
    for entry in entries:
        if isinstance(entry, UnknownEntry):
            parts.append(entry.line.decode())
            continue
        parts.append(msgspec.json.encode(entry).decode())
        parts.append(json.loads(parts[-1]).__repr__())
        if hasattr(entry, "data"):
            key = (entry.connection, entry.sender)
            joined[key] = joined.get(key, b"") + entry.data
    for data in joined.values():
        parts.append(data.decode("utf-8", "replace"))
        for coding in ("gzip", "deflate", "zstd"):
            undone = decoded(data, [coding])
            while undone is not None and undone[1]:
                parts.append(undone[0].decode("utf-8", "replace"))
                undone = decoded(undone[0], ["gzip"])
    return "\n".join(parts)


def text_frame(text: str, offset_ns: int | None = 1, mask: bytes | None = None) -> FrameEntry:
    frame = Frame.make(Opcode.TEXT, text.encode(), mask=mask)
    return FrameEntry.of(frame, connection=2, sender="server", offset_ns=offset_ns)


def mask(text: str) -> str:
    return Redactor().text(text)


# Properties


@settings(max_examples=examples(400))
@given(planted())
def test_a_planted_secret_is_nowhere_in_the_output(case: tuple[str, list[Any]]) -> None:
    secret, entries = case
    redactor = Redactor()
    out = run(entries, redactor)
    seen = readable(out)
    assert not [spelling for spelling in spellings(secret) if spelling in seen]
    # Nor is the tail of a password left, which every made password shares.
    assert PASSWORD_TAIL not in seen
    assert sum(redactor.counts.values()) >= 1
    assert any(getattr(entry, "redacted", True) for entry in out)


@settings(max_examples=examples(150))
@given(planted())
def test_redacting_twice_equals_once(case: tuple[str, list[Any]]) -> None:
    once = run(case[1])
    again = Redactor()
    assert run(once, again) == once
    assert again.counts == {}


@settings(max_examples=examples(150))
@given(planted())
def test_json_stays_json_and_entries_stay_in_order(case: tuple[str, list[Any]]) -> None:
    entries = case[1]
    out = run(entries)
    assert [type(entry) for entry in out] == [type(entry) for entry in entries]
    assert [entry.offset_ns for entry in out] == [entry.offset_ns for entry in entries]
    before, after = ([getattr(e, "text", None) for e in some] for some in (entries, out))
    for old, new in zip(before, after, strict=True):
        try:
            json.loads(old or "")
        except ValueError:
            continue
        if len(entries) == 1:
            json.loads(new)


@settings(max_examples=examples(150))
@given(passwords, st.sampled_from(["{}", "x {} y", '{{"message":"{}"}}', "a={}&b=1"]))
def test_what_was_learnt_is_found_in_any_spelling(secret: str, template: str) -> None:
    redactor = Redactor()
    redactor.learn("password", secret)
    for spelling in spellings(secret)[:6]:
        masked = redactor.text(template.format(spelling))
        assert masked == template.format("[redacted]"), spelling


plain_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="utf-8", exclude_characters="@%\\:=")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "name", "passwordless", "keyword", "tokens", "a~b"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=examples(150))
@given(st.lists(plain_json, min_size=1), st.lists(st.integers(0, 10**4), max_size=3))
def test_traffic_without_secrets_comes_out_identical(values: list[Any], cuts: list[int]) -> None:
    text = " ~\n".join(json.dumps(value, ensure_ascii=False) for value in values)
    entries = [
        *fragments(text.encode(), cuts, 1, b"abcd"),
        request(20, "/api/positions?deviceId=1&from=2025-01-01T00%3A00%3A00Z"),
        *body_pieces(text.encode(), cuts, 30),
        response(
            40, ("Content-Encoding", "gzip"), ("Vary", "Cookie"), ("Sec-WebSocket-Key", "AAAA")
        ),
        *body_pieces(gzip.compress(text.encode()), cuts, 50, "server"),
        Closed(connection=2, by="server", how="eof", detail="close 1001", offset_ns=60),
    ]
    redactor = Redactor()
    assert run(entries, redactor) == entries
    assert redactor.counts == {}


@settings(max_examples=examples(150))
@given(st.binary(max_size=300))
def test_any_bytes_go_through(data: bytes) -> None:
    frame = FrameEntry.of(Frame.make(2, data), connection=1, sender="server", offset_ns=1)
    assert len(run([frame, *body_pieces(data, [3], 2)])) == 3


# Holding


def test_a_secret_split_over_fragments_is_masked_and_the_frames_rebuilt() -> None:
    entries = fragments(b'{"id":1.10,"password":"hunter2"}', [20, 28], 1, b"\1\2\3\4")
    out = run(entries)
    assert b"".join(e.data for e in out) == b'{"id":1.10,"password":"[redacted]"}'
    assert [e.fin for e in out] == [e.frame().fin for e in out] == [False, False, True]
    assert [e.opcode for e in out] == ["text", "continuation", "continuation"]
    assert all(e.frame().check("client") == [] for e in out)
    assert all(e.head.endswith("01020304") for e in out)
    assert [e.redacted for e in out] == [False, True, True]


def test_everything_after_an_open_message_waits_for_it() -> None:
    redactor = Redactor()
    first, last = fragments(b'{"token":"abc"}', [11], 10, None)
    ping = FrameEntry.of(Frame.make(Opcode.PING), connection=2, sender="server", offset_ns=10)
    assert redactor.feed(first) == []
    assert redactor.feed(ping) == []
    assert redactor.feed(Note(text="here", offset_ns=11)) == []
    out = redactor.feed(last)
    assert [type(e) for e in out] == [FrameEntry, FrameEntry, Note, FrameEntry]
    assert out[0].text + out[3].text == '{"token":"[redacted:token-1]"}'
    assert redactor.due_ns is None


def test_a_message_that_is_late_by_the_next_entry_is_masked_whole() -> None:
    redactor = Redactor(hold_s=1.0)
    first, last = fragments(b'{"a":"hello"}', [6], 0, None)
    assert redactor.feed(first) == []
    assert redactor.feed(Note(text="a", offset_ns=999_999_999)) == []
    out = redactor.feed(Note(text="b", offset_ns=1_000_000_000))
    assert [e.text for e in out] == ["[redacted]", "a", "b"]
    assert [e.text for e in redactor.feed(last)] == ["[redacted]"]
    assert redactor.counts == {"incomplete": 2}


def test_expire_gives_up_what_is_due() -> None:
    redactor = Redactor(hold_s=0.5)
    [first, _] = fragments(b"secret stuff", [6], 7, None)
    assert redactor.feed(first) == []
    assert redactor.due_ns == 500_000_007
    assert redactor.expire(500_000_006) == []
    assert [e.text for e in redactor.expire(500_000_007)] == ["[redacted]"]
    assert redactor.due_ns is None
    assert redactor.expire(10**12) == []


def test_without_timing_a_message_waits_until_the_end() -> None:
    redactor = Redactor()
    [first, _] = fragments(b"secret stuff", [6], 0, None)
    assert redactor.feed(msgspec.structs.replace(first, offset_ns=None)) == []
    assert redactor.due_ns is None
    assert [e.text for e in redactor.close()] == ["[redacted]"]


def test_the_end_of_a_connection_ends_its_messages() -> None:
    redactor = Redactor()
    [first, _] = fragments(b"secret stuff", [6], 0, None)
    redactor.feed(first)
    out = redactor.feed(Closed(connection=2, by="client", how="reset", offset_ns=1))
    assert [type(e) for e in out] == [FrameEntry, Closed]
    assert out[0].text == "[redacted]"


def test_a_continuation_of_nothing_and_an_abandoned_message_are_masked_whole() -> None:
    [_, lone] = fragments(b"secret stuff", [6], 0, None)
    [start, _] = fragments(b"more of it", [6], 1, None)
    out = run([lone, start, text_frame('{"a":1}', 2)])
    assert [e.text for e in out] == ["[redacted]", "[redacted]", '{"a":1}']


def test_above_the_limit_the_oldest_is_given_up() -> None:
    redactor = Redactor()
    piece = FrameEntry.of(
        Frame.make(1, b"a" * (MAX_HELD_BYTES // 2), fin=False),
        connection=1,
        sender="server",
        offset_ns=1,
    )
    more = FrameEntry.of(
        Frame.make(0, b"a" * (MAX_HELD_BYTES // 2 + 1), fin=False),
        connection=1,
        sender="server",
        offset_ns=1,
    )
    assert redactor.feed(piece) == []
    assert [e.text for e in redactor.feed(more)] == ["[redacted]", "[redacted]"]


def test_messages_of_two_directions_are_held_apart() -> None:
    client = fragments(b'{"pwd":"aaaa"}', [9], 1, b"abcd")
    server = fragments(b'{"pwd":"bbbb"}', [9], 1, None)
    out = run([client[0], server[0], client[1], server[1]])
    assert "".join(e.text for e in out[::2]) == '{"pwd":"[redacted]"}'
    assert "".join(e.text for e in out[1::2]) == '{"pwd":"[redacted]"}'


# Bodies


def test_a_login_teaches_its_password_and_cookie() -> None:
    login = "email=bob%40track.test&password=correct+horse%21"
    out = run(
        [
            request(1, "/api/session", ("Content-Type", "application/x-www-form-urlencoded")),
            *body_pieces(login.encode(), [], 2),
            response(3, ("Set-Cookie", "JSESSIONID=node0abcdef.node0; Path=/api")),
            request(4, "/api/x;jsessionid=node0abcdef.node0?y=correct%20horse%21"),
            text_frame('{"m":"node0abcdef.node0 says correct horse! to bob@track.test"}', 5),
            Note(text=base64.b64encode(b"bob@track.test:correct horse!").decode(), offset_ns=6),
        ]
    )
    assert out[1].text == "email=[redacted:email-1]&password=[redacted]"
    assert out[2].headers == [("Set-Cookie", "JSESSIONID=[redacted:cookie-1]; Path=/api")]
    assert out[3].target == "/api/x;jsessionid=[redacted:cookie-1]?y=[redacted]"
    assert out[4].text == '{"m":"[redacted:cookie-1] says [redacted] to [redacted:email-1]"}'
    assert out[4].head == Frame.make(1, out[4].data).head.hex()
    assert out[5].text == "[redacted]"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "gzip", "deflate"])
def test_a_body_whose_coding_cannot_be_undone_is_masked_whole(coding: str) -> None:
    redactor = Redactor()
    out = run(
        [
            response(1, ("Content-Encoding", coding)),
            *body_pieces(b"\x8b\x00\xff" * 9, [4], 2, "server"),
        ],
        redactor,
    )
    assert [e.text for e in out[1:]] == ["[redacted]", "[redacted]"]
    assert redactor.counts == {"opaque": 1}


def test_a_bomb_is_masked_whole() -> None:
    bomb = gzip.compress(bytes(MAX_DECODED_BYTES + 1), 9)
    out = run([response(1, ("Content-Encoding", "gzip")), *body_pieces(bomb, [], 2, "server")])
    assert out[1].text == "[redacted]"


def test_stacked_codings_and_gzip_members_are_undone_and_done_again() -> None:
    inner = gzip.compress(b'{"token":"a') + gzip.compress(b'bc"}')
    body = zlib.compress(inner)
    out = run(
        [response(1, ("Content-Encoding", "gzip, deflate")), *body_pieces(body, [], 2, "server")]
    )
    assert gzip.decompress(zlib.decompress(out[1].data)) == b'{"token":"[redacted:token-1]"}'


def test_a_body_that_grows_goes_on_in_further_pieces() -> None:
    text = json.dumps([{"pwd": "x"}] * 8000)
    [entry] = body_pieces(text.encode(), [], 2)
    first, last = body_pieces(text.encode(), [MAX_BODY_PIECE_BYTES], 2)
    out = run([request(1), first, last])
    pieces = out[1:]
    assert all(len(e.data) <= MAX_BODY_PIECE_BYTES for e in pieces)
    assert [e.last for e in pieces] == [False] * (len(pieces) - 1) + [True]
    assert b"".join(e.data for e in pieces) == text.replace('"x"', '"[redacted]"').encode()
    assert entry.last


def test_a_password_in_a_multipart_body_is_masked() -> None:
    body = '--B\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--B--\r\n'
    [_, out] = run([request(1), *body_pieces(body.encode(), [], 2)])
    assert out.text == body.replace("hunter2", "[redacted]")


# Places


def test_a_close_frame_stays_one_that_may_be_sent() -> None:
    reason = "a@b.example " * 10
    frame = FrameEntry.of(close_frame(1001, reason), connection=1, sender="server", offset_ns=1)
    [out] = run([frame])
    assert (out.code, out.reason) == (1001, "[redacted]")
    assert out.frame().check("server") == []


def test_a_compressed_frame_is_masked_whole() -> None:
    frame = Frame.make(1, b"\xaa\x56\x2a", rsv=4)
    [out] = run([FrameEntry.of(frame, connection=1, sender="server", offset_ns=1)])
    assert out.text == "[redacted]"
    assert out.frame().rsv == 4


def test_unknown_keys_and_lines_and_checkpoints_are_masked() -> None:
    note = Note(
        text="x", offset_ns=1, extra={"token": msgspec.Raw(b'"abc"'), "n": msgspec.Raw(b"1.0")}
    )
    checkpoint = Checkpoint(devices=[msgspec.Raw(b'{"id": 1, "pwd": 5}')], offset_ns=2)
    unknown = UnknownEntry(kind="z", seq=1, offset_ns=3, line=b'{"kind":"z", "email": "me"}')
    a, b, c = run([note, checkpoint, unknown])
    assert {name: bytes(raw) for name, raw in a.extra.items()} == {
        "token": b'"[redacted:token-1]"',
        "n": b"1.0",
    }
    assert bytes(b.devices[0]) == b'{"id": 1, "pwd": "[redacted]"}'
    assert c.line == b'{"kind":"z", "email": "[redacted:email-1]"}'


def test_the_header_is_masked_and_names_the_profile() -> None:
    header = Header(
        id="1",
        started_at="2026-11-22T17:00:00.000000000Z",
        tool="t",
        mode="capture",
        upstream="https://user:hunter2@track.test/?token=abc",
        fidelity="wire",
        timing="measured",
        redaction=Redaction(profile="none"),
        meta={"by": msgspec.Raw(b'"bob@track.test"'), "n": msgspec.Raw(b"1.10")},
    )
    out = Redactor().redact_header(header)
    assert out.redaction == Redaction(profile="secrets")
    assert out.upstream == "https://[redacted]@track.test/?token=[redacted:token-1]"
    assert {name: bytes(value) for name, value in out.meta.items()} == {
        "by": b'"[redacted:email-1]"',
        "n": b"1.10",
    }


def test_bytes_that_are_not_utf8_keep_what_is_not_secret() -> None:
    data = b"\xff\xfe Cookie: JSESSIONID=node0abc; x=1\r\nAuthorization: Bearer abc\r\n\x00\x80"
    [out] = run(
        [
            Bytes(
                connection=1,
                sender="client",
                why="x",
                base64=base64.b64encode(data).decode(),
                offset_ns=1,
            )
        ]
    )
    assert out.data == (
        b"\xff\xfe Cookie: JSESSIONID=[redacted:cookie-1]; x=[redacted:cookie-2]\r\n"
        b"Authorization: Bearer [redacted:token-1]\r\n\x00\x80"
    )


def test_what_a_client_sent_masked_is_not_kept_where_no_frame_could_be_made_of_it() -> None:
    masked = Frame.make(1, b'{"pwd":"hunter2"}', mask=b"abcd").serialize()
    common = {"connection": 1, "sender": "client", "why": "x", "offset_ns": 1}
    [_, out] = run(
        [msgspec.structs.replace(response(1), status=101), Bytes(**common, **encode_bytes(masked))]
    )
    assert out.text == "[redacted]"


def test_a_secret_torn_over_bytes_is_masked_on_both_sides() -> None:
    common = {"connection": 1, "sender": "server", "why": "x", "offset_ns": 1}
    redactor = Redactor()
    redactor.learn("cookie", "node0abcdef.node0")
    pieces = ['a "pass', 'word":"hun', 'ter2" bob@tra', "ck.test node0ab", "cdef.node0 z"]
    out = run([Bytes(text=piece, **common) for piece in pieces], redactor)
    assert [entry.text for entry in out] == [
        'a "pass',
        'word":"[redacted]',
        '[redacted]" [redacted:email-1]',
        "[redacted:email-2] [redacted:cookie-1]",
        "[redacted:cookie-2] z",
    ]


def test_compressed_bytes_that_nothing_announces_are_looked_into() -> None:
    data = gzip.compress(b'{"token":"abc"}')
    frame = FrameEntry.of(Frame.make(2, data), connection=1, sender="server", offset_ns=1)
    torn = FrameEntry.of(Frame.make(2, data[:-9]), connection=1, sender="server", offset_ns=1)
    whole, part = run([frame, torn])
    assert gzip.decompress(whole.data) == b'{"token":"[redacted:token-1]"}'
    assert part.text == "[redacted]"


def test_an_unfinished_message_of_a_checkpoint_is_masked_whole() -> None:
    begun = msgspec.Raw(b'{"connection":1,"opcode":"text","base64":"eyJwd2QiOiJodW50"}')
    once = run([Checkpoint(offset_ns=1, fragments=[begun])])
    assert json.loads(bytes(once[0].fragments[0])) == {
        "connection": 1,
        "opcode": "text",
        "text": "[redacted]",
    }
    assert run(once) == once


def test_profile_none_changes_nothing() -> None:
    redactor = Redactor("none")
    entries = fragments(b'{"password":"hunter2"}', [5], 1, None)
    assert run(entries, redactor) == entries
    assert redactor.text("password=x") == "password=x"
    assert redactor.url("/?password=x") == "/?password=x"
    assert redactor.header() == Redaction(profile="none")
    assert redactor.counts == {}


def test_a_browsers_har_loses_its_password_and_cookie() -> None:
    entries: list[Any] = []
    for i, entry in enumerate(json.loads(HAR.read_text())["log"]["entries"]):
        sent, got = entry["request"], entry["response"]
        common = {"connection": 1, "exchange": i, "offset_ns": i}
        headers = [(h["name"], h["value"]) for h in sent["headers"]]
        head = msgspec.structs.replace(request(i, sent["url"], *headers), **common)
        entries.append(head)
        for body in body_pieces(sent.get("postData", {}).get("text", "").encode(), [], i):
            entries.append(msgspec.structs.replace(body, **common))
        headers = [(h["name"], h["value"]) for h in got["headers"]]
        entries.append(msgspec.structs.replace(response(i, *headers), **common))
        for body in body_pieces(got["content"].get("text", "").encode(), [40], i, "server"):
            entries.append(msgspec.structs.replace(body, **common))
        entries += [text_frame(m["data"], i) for m in entry.get("_webSocketMessages", [])]
    assert "s3cret-har" in readable(entries)
    assert "node0har1secret.node0" in readable(entries)
    redactor = Redactor()
    out = run(entries, redactor)
    seen = readable(out)
    assert "s3cret-har" not in seen
    assert "node0har1secret" not in seen
    assert "api-user" not in seen
    assert set(redactor.counts) == {"cookie", "email", "password"}
    # Nothing in the live traffic is secret, and nothing of it was touched.
    assert [e for e in out if isinstance(e, FrameEntry)] == [
        e for e in entries if isinstance(e, FrameEntry)
    ]


# Numbers


def test_numbers_go_by_first_appearance_whatever_the_spelling() -> None:
    redactor = Redactor()
    assert redactor.text("b@x.example a@x.example") == "[redacted:email-1] [redacted:email-2]"
    assert redactor.url("/?q=a%40x.example") == "/?q=[redacted:email-2]"
    assert redactor.text(r'"b\u0040x.example"') == '"[redacted:email-1]"'
    assert redactor.counts == {"email": 4}


def test_a_resumed_recording_goes_on_counting() -> None:
    taken = highest_numbers("[redacted:email-7] [redacted] [redacted:cookie-2] [redacted:email-3]")
    assert taken == {"email": 7, "cookie": 2}
    redactor = Redactor(taken=taken)
    assert redactor.text("a@x.example") == "[redacted:email-8]"
    assert redactor.text("token=abc") == "token=[redacted:token-1]"


def test_every_rule_has_a_count() -> None:
    redactor = Redactor()
    redactor.text('{"password":"a","token":"b","cookie":"c","email":"d"}')
    run([response(1, ("Content-Encoding", "br")), *body_pieces(b"\xff", [], 2, "server")], redactor)
    run(fragments(b"ab", [1], 1, None)[:1], redactor)
    assert redactor.counts == dict.fromkeys(
        ["password", "token", "cookie", "email", "opaque", "incomplete"], 1
    )


def test_a_redactor_shows_no_secret() -> None:
    redactor = Redactor()
    redactor.learn("password", "correct horse")
    assert "correct horse" not in f"{redactor!r} {redactor.counts} {redactor.header()!r}"


def test_a_peer_that_sends_a_new_token_each_time_does_not_grow_what_is_looked_for() -> None:
    redactor = Redactor()
    for number in range(2 * MAX_LEARNT["token"]):
        redactor.text(f'{{"token":"token-{number:08}"}}')
    assert redactor.counts["token"] == 2 * MAX_LEARNT["token"]
    assert "token-00000000" not in redactor.text("seen: token-00000000")
    # A password and a cookie are learnt all the same.
    redactor.learn("password", "correct horse")
    assert "horse" not in redactor.text("the correct horse")


@pytest.mark.parametrize("key", ["secretKey", "access_key", "private-key", "passphrase"])
def test_more_names_of_credentials(key: str) -> None:
    assert "hunter2hunter2" not in Redactor().text(f'{{"{key}":"hunter2hunter2"}}')
