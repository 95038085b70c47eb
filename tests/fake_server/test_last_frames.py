"""The last lines of a recording, as a failing test shows them."""

from __future__ import annotations

from pathlib import Path

from fake_server.last_frames import last_frames
from recorder.model import Clock, Closed, Note
from tests.fake_server.support import DEVICES, POSITION, exchange, said, upgrade, write


def closed(connection: int, at_s: float) -> Closed:
    return Closed(connection=connection, offset_ns=round(at_s * 1e9), by="client", how="eof")


def summaries(lines: list[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines]


def test_what_passed_is_told_oldest_first_and_what_is_no_news_is_not(tmp_path: Path) -> None:
    entries = [
        *upgrade(connection=2),
        said(DEVICES, 1),
        Clock(offset_ns=2 * 10**9, wall="2026-01-02T03:04:05Z"),
        said(POSITION, 3),
        *exchange("/api/groups", b"[]", connection=1, at_s=4),
        closed(1, 5),
    ]
    path = write(tmp_path / "some.track.jsonl", entries)
    lines = summaries(last_frames(path, 12))
    assert [line.split(maxsplit=1)[0] for line in lines] == [
        "0.000",
        "1.000",
        "3.000",
        "4.000",
        "5.000",
    ]
    for line, words in zip(
        lines, ("GET /api/socket", "devices", "one", "GET /api/groups", "closed"), strict=True
    ):
        assert words in line, "a position is told by the name that its device was given before"
    assert last_frames(path, 2) == last_frames(path, 12)[-2:]
    assert last_frames(path, 0) == []


def test_a_connection_to_the_control_api_is_not_told_nor_is_its_end(tmp_path: Path) -> None:
    entries = [
        *exchange("/__admin/reset", b"{}", connection=1),
        *exchange("/__admin", b"{}", connection=1, number=2, at_s=1),
        *exchange("/api/groups", b"[]", connection=2, number=3, at_s=2),
        closed(1, 3),
        closed(2, 4),
    ]
    path = write(tmp_path / "some.track.jsonl", entries)
    first, last = summaries(last_frames(path, 12))
    assert "GET /api/groups" in first
    assert last.startswith("4.000 2 -- - closed")


def test_a_line_has_80_columns_and_what_somebody_had_to_say_is_none(tmp_path: Path) -> None:
    entries = [
        *exchange("/api/" + "x" * 200, b"[]", connection=1),
        Note(offset_ns=10**9, text="why"),
    ]
    (call,) = last_frames(write(tmp_path / "some.track.jsonl", entries), 12)
    assert len(call) == 80
