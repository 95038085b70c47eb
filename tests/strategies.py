"""Hypothesis strategies for the values of a recording: frames, headers, entries of every kind."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from recorder.model import (
    Body,
    Bytes,
    Checkpoint,
    Clock,
    Closed,
    FrameEntry,
    Header,
    KnownEntry,
    MessageEntry,
    Note,
    Open,
    Redaction,
    Request,
    Response,
    Resume,
    Series,
    UnknownEntry,
    encode_bytes,
)
from recorder.wire.frames import Frame, Opcode

WALL = "2026-11-22T17:00:00.123456789Z"

texts = st.text(st.characters(codec="utf-8"), max_size=20)
payloads = st.one_of(st.binary(max_size=40), texts.map(str.encode))
counts = st.integers(0, 2**62)
any_offsets = st.none() | counts
unwritten = st.just(0)
"""The ``seq`` of an entry that no writer has seen."""
senders = st.sampled_from(["client", "server"])
connections = st.integers(1, 9)
header_fields = st.lists(st.tuples(texts, texts), max_size=3)

json_numbers = st.sampled_from(["0", "-0", "1.10", "1e400", "-1.5E+07", "12345678901234567890123"])
"""Numbers as they may stand in JSON; a program that reads them as floats would change them."""

json_texts = st.one_of(
    json_numbers,
    st.recursive(
        st.one_of(st.none(), st.booleans(), texts),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)
        ),
        max_leaves=6,
    ).map(json.dumps),
)
"""Any JSON, as text."""


def as_raw(text: str) -> msgspec.Raw:
    """JSON text as it stands in a model."""
    return msgspec.Raw(text.encode())


extras = st.dictionaries(
    texts.map("x-{}".format), json_texts.map(lambda text: msgspec.Raw(text.encode())), max_size=2
)
"""Unknown keys: their names begin with ``x-``, so that they are no known ones."""

frames = st.builds(
    Frame.make,
    st.integers(0, 15),
    payloads,
    fin=st.booleans(),
    rsv=st.integers(0, 7),
    mask=st.none() | st.binary(min_size=4, max_size=4),
    length_bytes=st.sampled_from([None, 2, 8]),
)
"""Frames of any opcode, valid or not, masked or not, with minimal lengths and others."""

close_frames = st.builds(
    lambda code, reason, mask: Frame.make(
        Opcode.CLOSE, code.to_bytes(2, "big") + reason.encode(), mask=mask
    ),
    st.integers(0, 0xFFFF),
    texts,
    st.none() | st.binary(min_size=4, max_size=4),
)


def headers(**fixed: Any) -> SearchStrategy[Header]:
    """Headers, with the given fields fixed."""
    fields: dict[str, SearchStrategy[Any]] = {
        "id": st.uuids().map(str),
        "started_at": st.just(WALL),
        "tool": st.just("tracktape 0.1.0"),
        "mode": st.sampled_from(["capture", "proxy", "import", "fake", "edit"]),
        "upstream": st.none() | texts,
        "fidelity": st.sampled_from(["wire", "messages", "text"]),
        "timing": st.sampled_from(["measured", "none"]),
        "redaction": st.builds(Redaction, profile=texts, key_id=st.none() | texts, extra=extras),
        "series": st.none()
        | st.builds(Series, id=texts, part=counts, previous_sha256=st.none() | texts, extra=extras),
        "meta": st.dictionaries(texts, json_texts.map(as_raw), max_size=2),
        "extra": extras,
    }
    return st.builds(Header, **fields | {name: st.just(value) for name, value in fixed.items()})


def make_header(**changed: Any) -> Header:
    """One plain header, for tests that do not care."""
    return msgspec.structs.replace(
        Header(
            id="7d8f2c9e-5a53-4f0e-9c35-0f3a3f4f3b11",
            started_at=WALL,
            tool="tracktape 0.1.0",
            mode="capture",
            upstream="https://track.example",
            fidelity="wire",
            timing="measured",
            redaction=Redaction(profile="secrets"),
        ),
        **changed,
    )


def _raw_list() -> SearchStrategy[list[msgspec.Raw]]:
    return st.lists(json_texts.map(as_raw), max_size=2)


_unknown_kinds = texts.map("future-{}".format)
_unknown_members = st.dictionaries(texts.map("x-{}".format), json_texts, max_size=3)
_spaces = st.sampled_from(["", " ", "\t"])


@st.composite
def unknown_entries(
    draw: st.DrawFn,
    offsets: SearchStrategy[int | None] = any_offsets,
    seqs: SearchStrategy[int] = unwritten,
) -> UnknownEntry:
    """Entries of a kind from the future: keys in any order, any spacing, any JSON."""
    kind = draw(_unknown_kinds)
    seq = draw(seqs)
    offset_ns = draw(offsets)
    common = [
        ("kind", json.dumps(kind)),
        ("seq", str(seq)),
        ("offset_ns", "null" if offset_ns is None else str(offset_ns)),
    ]
    other = list(draw(_unknown_members).items())
    first = draw(st.integers(0, len(other)))
    space = draw(_spaces)
    line = ("," + space).join(
        json.dumps(name) + space + ":" + space + value
        for name, value in [*other[:first], *common, *other[first:]]
    )
    return UnknownEntry(
        kind=kind, seq=seq, offset_ns=offset_ns, line=("{" + space + line + space + "}").encode()
    )


def known_entries(
    offsets: SearchStrategy[int | None] = any_offsets,
    seqs: SearchStrategy[int] = unwritten,
    extra: SearchStrategy[dict[str, msgspec.Raw]] = extras,
) -> SearchStrategy[KnownEntry]:
    """Entries of every known kind but ``end``, which a writer writes itself."""
    common: dict[str, Any] = {
        "seq": seqs,
        "offset_ns": offsets,
        "first_ns": st.none() | counts,
        "redacted": st.booleans(),
        "extra": extra,
    }

    def build(kind: type[KnownEntry], **fields: SearchStrategy[Any]) -> SearchStrategy[KnownEntry]:
        return st.builds(kind, **common, **fields)

    def with_payload(
        kind: type[KnownEntry], **fields: SearchStrategy[Any]
    ) -> SearchStrategy[KnownEntry]:
        return st.builds(
            lambda data, **rest: kind(**rest, **encode_bytes(data)), payloads, **common, **fields
        )

    def frame_entry(
        frame: Frame, seq: int, extra: dict[str, msgspec.Raw], **rest: Any
    ) -> FrameEntry:
        return msgspec.structs.replace(FrameEntry.of(frame, **rest), seq=seq, extra=extra)

    connection = {"connection": connections}
    exchange = {"connection": connections, "exchange": counts}
    return st.one_of(
        build(
            Open,
            **connection,
            leg=st.sampled_from(["client", "upstream"]),
            paired_with=st.none() | connections,
            url=st.none() | texts,
            peer=st.none() | texts,
            tls=st.none() | texts,
        ),
        build(
            Request,
            **exchange,
            method=texts,
            target=texts,
            http_version=texts,
            headers=header_fields,
        ),
        build(
            Response,
            **exchange,
            status=counts,
            reason=texts,
            http_version=texts,
            headers=header_fields,
        ),
        with_payload(Body, **exchange, sender=senders, last=st.booleans()),
        st.builds(frame_entry, frames | close_frames, **common, **connection, sender=senders),
        with_payload(MessageEntry, **connection, sender=senders, opcode=texts),
        with_payload(Bytes, **connection, sender=senders, why=texts),
        build(
            Closed,
            **connection,
            by=st.sampled_from(["client", "server", "recorder"]),
            how=st.sampled_from(["eof", "reset", "timeout", "stopped"]),
            detail=texts,
        ),
        build(Clock, wall=texts),
        build(
            Checkpoint,
            connections=_raw_list(),
            fragments=_raw_list(),
            pings=_raw_list(),
            devices=_raw_list(),
            beacons=_raw_list(),
            positions=_raw_list(),
        ),
        with_payload(Resume, cut_bytes=counts, wall=texts),
        build(Note, text=texts),
    )


def entries(
    offsets: SearchStrategy[int | None] = any_offsets,
    seqs: SearchStrategy[int] = unwritten,
) -> SearchStrategy[KnownEntry | UnknownEntry]:
    """Entries of every kind but ``end``, known or not."""
    return known_entries(offsets, seqs) | unknown_entries(offsets, seqs)


# Made once: to make them again for each entry of a list would take most of a test's time.
_known_entries = known_entries()
_steps_ns = st.lists(st.integers(0, 10**9) | st.none(), max_size=8)


@st.composite
def entry_lists(draw: st.DrawFn, *, timed: bool = True) -> list[KnownEntry | UnknownEntry]:
    """At most 8 entries as a recorder writes them: offsets never decrease, or all are None."""
    now_ns = 0
    made: list[KnownEntry | UnknownEntry] = []
    for step_ns in draw(_steps_ns):
        now_ns += step_ns or 0
        offset_ns = now_ns if timed else None
        if step_ns is None:
            made.append(draw(unknown_entries(st.just(offset_ns))))
        else:
            made.append(msgspec.structs.replace(draw(_known_entries), offset_ns=offset_ns))
    return made


def frame_entry(text: str, *, offset_ns: int | None = 0, connection: int = 1) -> FrameEntry:
    """A server's text frame with this payload."""
    frame = Frame.make(Opcode.TEXT, text.encode())
    return FrameEntry.of(frame, connection=connection, sender="server", offset_ns=offset_ns)


def base64_of(data: bytes) -> str:
    """Bytes as the key ``base64`` holds them."""
    return base64.b64encode(data).decode("ascii")
