"""A proxied recording reads as that of its clients."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import AnyEntry, Checkpoint, Closed, Open, Request, Resume, UnknownEntry
from replayer.commands.info import info_command
from replayer.commands.show import show_command
from replayer.conformance import conformance
from replayer.difference import first_difference
from replayer.playing.script import load_script
from replayer.reading.legs import client_legs
from replayer.reading.series import SeriesReader
from replayer.reading.statistics import gather
from tests.profiles import examples
from tests.replayer.recordings import header
from tests.replayer.traffic import (
    UPSTREAM,
    polite,
    proxied,
    recorded,
    rude,
    write_parts,
    write_whole,
)
from tests.strategies import WALL, as_raw, entry_lists

STEPS = [
    ("ping", 1, 0, 1_000_000_000),
    ("open", 2, 0, 0),
    ("get", 2, 0, 0),
    ("answer", 2, 1, 30_000_000),
    ("pong", 1, 0, 0),
    ("get", 2, 1, 0),
    ("answer", 2, 2, 40_000_000),
    ("upgrade", 2, 0, 0),
    ("answer", 2, 0, 0),
    ("say", 2, 0, 0),
]

SHOWN = """\
    0.000  1 <- -      http             -  POST /api/session -> 200, 0 ms
    0.000  1 <- -      http             -  GET /api/socket -> 101, 0 ms
    1.000  1 <- text   PING           114  a0b34365-908f-4868-a52a-000000000001
    1.030  2 <- -      http             -  GET /api/devices -> 200, 30 ms
    1.030  1 -> text   pong            41  a0b34365-908f-4868-a52a-000000000001
    1.070  2 <- -      http             -  GET /index.html -> 200, 40 ms
    1.070  2 <- -      http             -  GET /api/socket -> 101, 0 ms
    1.070  2 <- text   devices         51  1 device: one 1
    1.070  1 -- -      closed           -  by client, eof
    1.070  2 -- -      closed           -  by client, eof
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("legs")


@settings(max_examples=examples(100))
@given(entries=rude)
def test_the_client_legs_of_a_proxy_are_what_was_said(entries: list[AnyEntry]) -> None:
    both = proxied(entries)
    assert list(client_legs(both)) == entries
    assert list(conformance(both)) == list(conformance(entries))
    assert first_difference(both, entries) is None


def test_what_a_client_did_is_judged_once() -> None:
    entries = [
        msgspec.structs.replace(entry, headers=[("Upgrade", "websocket")])
        if isinstance(entry, Request) and entry.target == "/api/socket"
        else entry
        for entry in recorded([])
    ]
    found = [(one.rule, one.connection) for one in conformance(proxied(entries))]
    assert found == [("handshake.missing-key", 1), ("handshake.bad-version", 1)]


@settings(max_examples=examples(40))
@given(entries=rude)
def test_a_proxied_recording_plays_and_counts_as_its_client_legs(
    folder: Path, entries: list[AnyEntry]
) -> None:
    one = load_script(write_whole(folder / "one.track.jsonl", proxied(entries), mode="proxy"))
    other = load_script(write_whole(folder / "other.track.jsonl", entries))
    assert [one.cues(number) for number in range(one.sockets)] == [
        other.cues(number) for number in range(other.sockets)
    ]
    for target in ("/api/devices", "/index.html", "/app.js"):
        assert one.answer("GET", target) == other.answer("GET", target)
    both, alone = gather(header(), proxied(entries)), gather(header(), entries)
    opened = sum(isinstance(entry, Open) for entry in entries)
    assert (both.client_connections, both.upstream_connections) == (opened, opened)
    assert (alone.client_connections, alone.upstream_connections) == (opened, 0)
    assert msgspec.structs.replace(both, entries=alone.entries, upstream_connections=0) == alone


@settings(max_examples=examples(40))
@given(entries=polite, places=st.lists(st.integers(0, 500), min_size=1, max_size=2))
def test_each_part_of_a_proxied_series_shows_its_client_legs_only(
    folder: Path, entries: list[AnyEntry], places: list[int]
) -> None:
    both = proxied(entries)
    for part in write_parts(folder, both, places, mode="proxy"):
        legs = list(client_legs(_entries(part)))
        assert all(getattr(entry, "connection", 0) < UPSTREAM for entry in legs)
        assert all(
            b"paired_with" not in connection
            for entry in legs
            if isinstance(entry, Checkpoint)
            for connection in map(bytes, entry.connections)
        )
        assert list(conformance(_entries(part))) == []


def _entries(path: Path) -> list[AnyEntry]:
    with SeriesReader([path]) as reader:
        return list(reader)


@settings(max_examples=examples(40))
@given(entries=entry_lists())
def test_what_is_unknown_passes_and_nothing_raises(entries: list[AnyEntry]) -> None:
    passed = list(client_legs(entries))
    unknown = [entry for entry in entries if isinstance(entry, UnknownEntry)]
    assert [entry for entry in passed if isinstance(entry, UnknownEntry)] == unknown


def test_the_leg_of_a_capture_is_the_one_that_tells_it_all() -> None:
    entries = recorded(STEPS, leg="upstream")
    assert list(client_legs(entries)) == entries


def test_a_number_that_is_used_again_is_another_connection() -> None:
    leg = Open(offset_ns=0, connection=5, leg="upstream", paired_with=1)
    closed = Closed(offset_ns=0, connection=5, by="server", how="eof")
    client = Open(offset_ns=0, connection=5, leg="client")
    resume = Resume(offset_ns=0, wall=WALL)
    assert list(client_legs([leg, closed, closed])) == [closed]
    assert list(client_legs([leg, client, closed])) == [client, closed]
    assert list(client_legs([leg, resume, closed])) == [resume, closed]


def test_what_a_checkpoint_says_otherwise_than_expected_passes() -> None:
    odd = [as_raw(text) for text in ('"odd"', '{"connection":"7"}', '{"connection":7,"leg":8}')]
    leg = as_raw('{"connection":101,"leg":"upstream","paired_with":1}')
    ping = as_raw('{"connection":101,"uuid":"u","offset_ns":0}')
    checkpoint = Checkpoint(offset_ns=0, connections=[*odd, leg], pings=[ping, *odd])
    (passed,) = client_legs([checkpoint])
    assert passed == Checkpoint(offset_ns=0, connections=odd, pings=odd)
    (untouched,) = client_legs([Checkpoint(offset_ns=0, connections=odd)])
    assert untouched == Checkpoint(offset_ns=0, connections=odd)


def show(path: Path, *options: str) -> list[str]:
    result = CliRunner().invoke(show_command, [str(path), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_show_shows_a_proxied_recording_as_one_of_its_clients(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a.track.jsonl", proxied(recorded(STEPS)), mode="proxy")
    assert show(path) == SHOWN.splitlines()


def test_show_shows_the_heads_of_the_upstream_when_asked_to(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a.track.jsonl", proxied(recorded(STEPS)), mode="proxy")
    shown = show(path, "--all-legs")
    assert [line for line in shown if " 101 " not in line and " 102 " not in line] == (
        SHOWN.splitlines()
    )
    assert shown[0] == "    0.000 101 <- -      http             -  POST /api/session -> 200, 0 ms"
    opened = show(path, "--all-legs", "--kind", "open")
    assert opened[1].endswith("open             -  https://track.example, for connection 1")


def test_info_tells_of_the_proxy(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a.track.jsonl", proxied(recorded(STEPS)), mode="proxy")
    result = CliRunner().invoke(info_command, [str(path)], catch_exceptions=False)
    assert "  proxied     2 client connections, 2 to the upstream\n" in result.stdout
    assert [line for line in result.stdout.splitlines() if line.startswith("connection")] == [
        "connection 1  127.0.0.1:5",
        "connection 2  127.0.0.1:5",
    ]
