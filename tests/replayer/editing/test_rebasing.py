"""A rebased recording is the same at another time."""

from __future__ import annotations

import gzip
import itertools
import json
import re
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.entries import body_entries
from recorder.model import (
    AnyEntry,
    Body,
    Checkpoint,
    Clock,
    Closed,
    FrameEntry,
    Open,
    Request,
    Response,
    Resume,
)
from recorder.wire.frames import Opcode
from replayer.editing.rebasing import Rebasing, last_moment_ns
from replayer.reading.calls import calls
from tests.profiles import examples
from tests.replayer.editing.support import messages, plain
from tests.replayer.recordings import frame, message, ms
from tests.replayer.traffic import WALL, polite
from tests.strategies import as_raw

DAY_NS = 86_400 * 1_000_000_000
DATED = '{"positions":[{"id":1,"fixTime":"2025-02-21T10:05:04.906+0000","speed":100.0}]}'
LATER = DATED.replace("02-21", "02-22")
DATE = re.compile(rb'"(?:fixTime|lastUpdate)":"([^"]*)"')


def rebased(entries: list[AnyEntry], by_ns: int = DAY_NS) -> list[AnyEntry]:
    return list(Rebasing(by_ns).entries(entries))


def answered(body: bytes, *fields: tuple[str, str], target: str = "/api/devices") -> list[AnyEntry]:
    common: dict[str, Any] = {"connection": 1, "exchange": 1, "offset_ns": 0}
    return [
        Open(offset_ns=0, connection=1, leg="upstream"),
        Request(**common, method="GET", target=target, headers=[]),
        Response(**common, status=200, headers=list(fields)),
        *body_entries(body, **common, sender="server"),
        Closed(offset_ns=0, connection=1, by="client", how="eof"),
    ]


@settings(max_examples=examples(60))
@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),
            st.sampled_from(["+00:00", "+0000", "Z", "", "-03:30"]),
            st.sampled_from(["seconds", "milliseconds", "microseconds"]),
            st.lists(st.integers(0, 80), max_size=3),
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(-(10**6), 10**6),
)
def test_all_dates_move_by_the_same_and_nothing_else_does(
    dates: list[tuple[datetime, str, str, list[int]]], by_s: int
) -> None:
    entries: list[AnyEntry] = []
    for moment, zone, precision, cuts in dates:
        date = moment.isoformat(timespec=precision) + zone
        data = f'{{"devices":[{{"id":1.10,"lastUpdate":"{date}","name":"2025-02-21"}}]}}'.encode()
        places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        pieces = [data[at:to] for at, to in itertools.pairwise(places)]
        for number, piece in enumerate(pieces):
            opcode = Opcode.CONTINUATION if number else Opcode.TEXT
            fin = number == len(pieces) - 1
            entries.append(frame("server", piece, opcode=opcode, fin=fin))
    by_ns = by_s * 1_000_000_000
    made = rebased(entries, by_ns)
    assert plain(rebased(made, -by_ns)) == plain(entries)
    for old, new in zip(entries, made, strict=True):
        assert isinstance(old, FrameEntry)
        assert isinstance(new, FrameEntry)
        assert (len(old.data), old.head, old.fin) == (len(new.data), new.head, new.fin)
    for (_, _, old), (_, _, new) in zip(messages(entries), messages(made), strict=True):
        (one,), (other,) = DATE.findall(old), DATE.findall(new)
        assert old.replace(one, b"") == new.replace(other, b"")
        moved = [datetime.fromisoformat(date.decode()) for date in (one, other)]
        assert (moved[1] - moved[0]).total_seconds() == by_s


@settings(max_examples=examples(30))
@given(polite)
def test_what_has_no_date_stays(entries: list[AnyEntry]) -> None:
    assert [one for one in rebased(entries) if not isinstance(one, Clock)] == [
        one for one in entries if not isinstance(one, Clock)
    ]


def test_bodies_are_moved_whole_and_keep_their_pieces() -> None:
    text = json.dumps([json.loads(DATED)["positions"][0]] * 1500)
    entries = answered(text.encode(), ("Content-Length", str(len(text))))
    assert sum(isinstance(entry, Body) for entry in entries) > 1
    made = rebased(entries)
    expected = answered(text.replace("02-21", "02-22").encode(), ("Content-Length", str(len(text))))
    assert made == expected


@pytest.mark.parametrize("size", ["right", "wrong"])
def test_a_compressed_body_is_compressed_anew(size: str) -> None:
    data = gzip.compress(DATED.encode() * 3)
    length = str(len(data)) if size == "right" else "7"
    entries = answered(data, ("Content-Encoding", "gzip"), ("Content-Length", length))
    made = rebased([*entries, frame("server", b"{}")])
    (call,) = calls(made)
    assert call.response_body == LATER.encode() * 3
    new_bytes = sum(len(entry.data) for entry in made if isinstance(entry, Body))
    assert call.response is not None
    assert call.response.headers[1][1] == (str(new_bytes) if size == "right" else "7")
    plain_ones = answered(gzip.compress(b"{}"), ("Content-Encoding", "gzip"))
    assert rebased(plain_ones) == plain_ones


def test_what_cannot_be_undone_stays_and_is_counted() -> None:
    entries = answered(b"\x00\xff", ("Content-Encoding", "br"))
    rebasing = Rebasing(DAY_NS)
    assert list(rebasing.entries(entries)) == entries
    assert rebasing.left == 1
    torn = [frame("server", DATED[:30].encode(), fin=False)]
    assert rebased([*torn]) == torn


def test_what_stands_between_fragments_stays_there() -> None:
    between = frame("server", b"alive", opcode=Opcode.PING)
    begun = frame("server", DATED[:50].encode(), fin=False)
    rest = frame("server", DATED[50:].encode(), opcode=Opcode.CONTINUATION)
    made = rebased([begun, between, rest])
    assert (made[1], messages(made)) == (between, [(0, "server", LATER.encode())])


def test_an_answer_without_a_body_holds_nothing_up() -> None:
    entries = answered(b"", ("Content-Encoding", "gzip"))[:-1]
    again = msgspec.structs.replace(entries[1], exchange=2)
    asked = iter([*entries, again, frame("server", DATED.encode())])
    assert rebased(list(asked))[:4] == [*entries, again]


def test_queries_clocks_and_checkpoints_move_too() -> None:
    target = "/api/reports/route?deviceId=1&from=2025-02-21T10%3A05%3A04Z"
    connection = {"connection": 1, "leg": "client", "exchange": 1, "future": 1.5}
    connection["request"] = {"method": "GET", "target": target, "headers": []}
    checkpoint = Checkpoint(
        offset_ns=0,
        connections=[as_raw(json.dumps(connection))],
        positions=[as_raw(DATED[14:-2])],
    )
    entries = [
        checkpoint,
        *answered(b"[]", target=target),
        Clock(offset_ns=0, wall=WALL),
        Resume(offset_ns=0, wall="no date"),
        message("server", DATED.encode()),
    ]
    made = rebased(entries)
    assert isinstance(made[0], Checkpoint)
    assert bytes(made[0].positions[0]).decode() == LATER[14:-2]
    moved = json.loads(bytes(made[0].connections[0]))
    assert moved["request"]["target"] == target.replace("02-21", "02-22")
    assert moved["future"] == 1.5
    (request,) = [one for one in made if isinstance(one, Request)]
    assert request.target == target.replace("02-21", "02-22")
    assert [one.wall for one in made if isinstance(one, Clock | Resume)] == [
        WALL.replace("11-22", "11-23"),
        "no date",
    ]
    assert messages(made)[-1][2].decode() == LATER


def test_the_last_moment_is_the_last_date_or_the_end() -> None:
    dated = [frame("server", DATED.encode()), *answered(LATER.encode()), frame("server", b"{}")]
    assert last_moment_ns(dated, 0) == 1_740_218_704_906_000_000
    assert last_moment_ns([frame("server", b"{}", at=5)], 7) == 7 + ms(5)
    # What is in no JSON text is not moved either.
    no_json = frame("server", b'an error near "fixTime":"2030-01-01T00:00:00Z" here', at=5)
    assert last_moment_ns([no_json], 7) == 7 + ms(5)


def test_what_is_too_long_to_hold_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replayer.editing.held.MAX_HELD_BYTES", 3000)
    opcode = Opcode.CONTINUATION
    frames = [
        frame("server", DATED[:40].encode(), fin=False),
        *(frame("server", b"", fin=False, opcode=opcode) for _ in range(5)),
        frame("server", DATED[40:].encode(), opcode=opcode),
    ]
    pieces = [
        Body(offset_ns=0, connection=9, exchange=1, sender="server", last=at == 70, text=piece)
        for at, piece in ((at, DATED[at : at + 10]) for at in range(0, 80, 10))
    ]
    for entries in (frames, pieces):
        rebasing = Rebasing(DAY_NS)
        made = list(rebasing.entries([*entries, frame("server", DATED.encode())]))
        assert made[:-1] == entries
        assert messages(made)[-1][2].decode() == LATER
        assert rebasing.left == 1
