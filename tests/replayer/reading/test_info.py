"""`track-replayer info`: what a recording holds, on one page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.exits import Exit
from recorder.model import Closed, Entry, Note, Open, Request, Response, Resume, UnknownEntry
from recorder.wire.frames import Opcode
from replayer.commands.info import info_command
from replayer.reading.facts import (
    LISTED_UNANSWERED,
    LISTED_VIOLATIONS,
    SILENCE_NS,
    Facts,
    Silence,
    Unanswered,
)
from replayer.reading.statistics import gather
from tests.profiles import examples
from tests.replayer.recordings import (
    UUID_1,
    entry_of,
    frame,
    frames,
    header,
    message,
    ms,
    numbered,
    ping,
    run,
    session,
    write,
)

PAGE = """\
PATH
  recorded    2026-11-22T17:00:00.123456789Z, capture, tracktape 0.1.0
  upstream    https://track.example
  fidelity    wire, timing measured
  redaction   profile secrets: 1 redacted entry (1 password)
  duration    1m33.002s
  entries     30, 1 note
  complete    yes, its sha256 is right

messages                             count         bytes
  server  devices                        2           209
  server  positions                      2           310
  server  PING                           2           228
  client  pong                           2            82
  server  webSessionTimeout              1            29
  server  devices+unknown                1            29
  server  binary                         1             3
  client  text                           1             5
  all                                   12           895

rate        0.13 messages/s, 5 in the busiest second (from 1m00.000s)
silences    3 above 5.000s, the longest:
       32.700s from 1m00.300s
       29.958s from 30.142s
       28.799s from 1.301s

connection 1  https://track.example/api/session
  open        0.000 s to 0.090 s
  HTTP        1 x 401, 1 x 200
  ended       by the client, eof

connection 2  wss://track.example/api/socket
  open        0.090 s to 93.002 s
  handshake   101
  server      9 messages, 808 bytes
  client      3 messages, 87 bytes
  control     3 frames
  close       1001 going away, from the server
  ended       by the server, eof: close 1001
  PINGs       2 sent, 1 answered in time, 1 unanswered
  round trip  42.0 / 42.0 / 42.0 ms (shortest / mean / longest)
  unanswered     60.100 0d7c6a3e-2a83-4a3e-9a2f-3b1d0c9e7f11

violations  2: 1 pong.malformed, 1 pong.missing
  connection 2, 60.130 s: the client sent 'Pong
    0d7c6a3e-2a83-4a3e-9a2f-3b1d0c9e7f11'; expected 'pong
    0d7c6a3e-2a83-4a3e-9a2f-3b1d0c9e7f11' [pong.malformed, manual 3.3]
  connection 2, 93.002 s: the client sent no pong in the 32.902 s since the PING
    0d7c6a3e-2a83-4a3e-9a2f-3b1d0c9e7f11; expected 'pong
    0d7c6a3e-2a83-4a3e-9a2f-3b1d0c9e7f11' [pong.missing, manual 3.3]
"""


def info(path: Path, *options: str) -> str:
    result = CliRunner().invoke(info_command, [str(path), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def facts_of(*entries: Entry, timing: str = "measured") -> Facts:
    return gather(header(timing=timing), numbered(entries))


def test_a_session_on_a_page_of_80_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.track.jsonl", session(), redaction={"password": 1})
    shown = info(path)
    assert shown == PAGE.replace("PATH", str(path))
    assert max(map(len, shown.splitlines()[1:])) <= 80


def test_a_session_as_json(tmp_path: Path) -> None:
    path = write(tmp_path / "a.track.jsonl", session(), redaction={"password": 1})
    shown = json.loads(info(path, "--json"))
    assert shown["recording"] == str(path)
    assert shown["header"] == json.loads(path.read_bytes().split(b"\n")[0])
    assert (shown["why_incomplete"], shown["torn"]) == (None, None)
    facts = shown["facts"]
    assert facts["duration_ns"] == 93_002_000_000
    assert facts["messages"][0] == {
        "sender": "server",
        "kind": "devices",
        "messages": 2,
        "bytes": 209,
    }
    assert facts["violations"] == {"pong.malformed": 1, "pong.missing": 1}
    assert facts["connections"][1]["pings"]["unanswered"][0]["at_ns"] == ms(60_100)


def test_a_torn_recording_says_how_much_is_lost(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [frame("server", b"[1]"), frame("server", b"[2]")])
    whole = path.read_bytes()
    torn_at = whole.index(b"[2]")
    path.write_bytes(whole[:torn_at])
    lost = torn_at - whole.rindex(b"\n", 0, torn_at) - 1
    lines = info(path).splitlines()
    assert lines[6:9] == [
        "  entries     1",
        "  complete    no: there is no `end`: the recording was cut short, or goes on still",
        f"  lost        {lost} bytes: the file ends in a line without its end",
    ]
    assert json.loads(info(path, "--json"))["torn"]["bytes_lost"] == lost


def test_why_it_is_not_complete_wraps_where_the_terminal_is_narrower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a", [frame("server", b"[1]")])
    path.write_bytes(path.read_bytes()[:-5])
    monkeypatch.setattr("replayer.commands.info.output_columns", lambda: 80)
    assert info(path).splitlines()[7:9] == [
        "  complete    no: there is no `end`: the recording was cut short, or goes on",
        "              still",
    ]


def test_a_recording_that_was_changed_is_not_complete(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [frame("server", b"[1]")])
    path.write_bytes(path.read_bytes().replace(b"[1]", b"[2]"))
    assert "  complete    no: its sha256 is not what the `end` says" in info(path)


def test_an_import_without_times_shows_what_it_has(tmp_path: Path) -> None:
    entries: list[Entry] = [
        message("server", ping(f"uuid-{number}"), at=None) for number in range(100)
    ]
    entries.append(Closed(offset_ns=None, connection=1, by="server", how="eof"))
    path = write(
        tmp_path / "a", entries, fidelity="text", timing="none", mode="import", upstream=None
    )
    lines = info(path).splitlines()
    assert lines[1:] == [
        "  recorded    2026-11-22T17:00:00.123456789Z, import, tracktape 0.1.0",
        "  fidelity    text, timing none",
        "  redaction   profile secrets: 0 redacted entries",
        "  duration    -",
        "  entries     102",
        "  complete    yes, its sha256 is right",
        "",
        "messages                             count         bytes",
        "  server  PING                         100          8490",
        "  all                                  100          8490",
        "",
        "connection 1",
        "  server      100 messages, 8490 bytes",
        "  client      0 messages, 0 bytes",
        "  ended       by the server, eof",
        "  PINGs       100 sent, 0 answered in time, 100 unanswered",
        "              no message from the client was recorded",
        *(f"  unanswered          - uuid-{number}" for number in range(LISTED_UNANSWERED)),
        "              and 90 more",
    ]


def test_a_recording_without_entries_is_described_too(tmp_path: Path) -> None:
    lines = info(write(tmp_path / "a", [])).splitlines()
    assert lines[5:] == [
        "  duration    0.000s",
        "  entries     1",
        "  complete    yes, its sha256 is right",
        "",
        "messages                             count         bytes",
        "  all                                    0             0",
    ]


def test_a_request_without_a_response_is_counted_in_words(tmp_path: Path) -> None:
    asked = Request(
        offset_ns=0, connection=1, exchange=1, method="GET", target="/api/devices", headers=[]
    )
    opened = Open(offset_ns=0, connection=1, leg="client")
    page = info(write(tmp_path / "a", [opened, asked]))
    assert "  HTTP        1 without a response\n" in page


def test_names_that_would_drive_a_terminal_are_escaped(tmp_path: Path) -> None:
    entries = [
        Open(offset_ns=0, connection=1, leg="upstream", url="wss://x/\x1b[2J"),
        Closed(offset_ns=0, connection=1, by="server", how="eof", detail="\x9b2J"),
    ]
    path = write(tmp_path / "a", entries, upstream="\x1b]0;x\x07")
    assert all(line.isprintable() for line in info(path).splitlines())
    assert all(line.isprintable() for line in info(path, "--json").splitlines())


def test_silences_are_the_longest_between_anything_heard() -> None:
    seconds = [0, 5, 10.001, 20, 40, 70, 76]
    entries: list[Entry] = [frame("server", b"{}", at=1000 * each) for each in seconds]
    # Nobody's word: it does not end a silence.
    entries.insert(5, Note(offset_ns=ms(50_000), text="still quiet"))
    facts = facts_of(*entries)
    assert facts.silence_count == 5
    assert facts.silences == [
        Silence(length_ns=ms(30_000), from_ns=ms(40_000)),
        Silence(length_ns=ms(20_000), from_ns=ms(20_000)),
        Silence(length_ns=ms(9_999), from_ns=ms(10_001)),
    ]
    assert ms(5000) == SILENCE_NS


def test_the_time_in_which_nobody_recorded_is_no_silence() -> None:
    facts = facts_of(
        frame("server", b"{}", at=0),
        Resume(offset_ns=ms(60_000), wall="2026-11-22T17:01:00.000000000Z"),
        frame("server", b"{}", at=60_001),
    )
    assert (facts.silence_count, facts.resumed) == (0, 1)
    assert [each.connection for each in facts.connections] == [1, 1]


def test_rates_are_of_data_messages() -> None:
    at_ms = [0, 999, 1000, 1500, 1999, 4000]
    facts = facts_of(
        *(frame("server", b"{}", at=each) for each in at_ms),
        frame("server", b"", at=4000, opcode=Opcode.PING),
    )
    assert (facts.rate.mean, facts.rate.busiest, facts.rate.busiest_from_ns) == (
        *(1.5, 3),
        1_000_000_000,
    )


def test_round_trips_and_unanswered_pings_of_each_connection() -> None:
    facts = facts_of(
        frame("server", ping("a"), at=0, connection=1),
        frame("server", ping("b"), at=0, connection=2),
        frame("client", b"pong a", at=10, connection=1),
        # The uuid of the other socket's PING.
        frame("client", b"pong a", at=11, connection=2),
        frame("server", ping("c"), at=30_000, connection=1),
        frame("client", b"pong c", at=30_030, connection=1),
        frame("server", ping("d"), at=60_000, connection=1),
    )
    first, second = (each.pings for each in facts.connections)
    assert (first.sent, first.answered) == (3, 2)
    assert (first.round_trip_min_ns, first.round_trip_mean_ns, first.round_trip_max_ns) == (
        *(ms(10), ms(20)),
        ms(30),
    )
    assert (first.unanswered, first.undecided) == ([], 1)
    assert second.unanswered == [Unanswered(uuid="b", at_ns=0)]
    # The last PING of the first socket is not overdue yet.
    assert facts.violations == {"pong.wrong-uuid": 1, "pong.missing": 1}


def test_a_late_pong_is_an_answer_but_not_in_time() -> None:
    facts = facts_of(
        frame("server", ping(UUID_1), at=0), frame("client", f"pong {UUID_1}".encode(), at=30_001)
    )
    (pings,) = (each.pings for each in facts.connections)
    assert (pings.answered, pings.unanswered_count) == (0, 0)
    assert facts.violations == {"pong.late": 1}


def test_a_binary_pong_is_none() -> None:
    pong = frame("client", f"pong {UUID_1}".encode(), at=1, opcode=Opcode.BINARY)
    facts = facts_of(frame("server", ping(UUID_1), at=0), pong)
    assert facts.connections[0].pings.undecided == 1


def test_another_interval_makes_another_verdict_here_too(tmp_path: Path) -> None:
    late = [frame("server", ping("a"), at=0), frame("client", b"pong a", at=1500)]
    path = write(tmp_path / "a.track.jsonl", late)
    rules = tmp_path / "rules.toml"
    rules.write_text("ping_interval_s = 1\n")
    assert "1 sent, 1 answered in time, 0 unanswered\n" in info(path)
    page = info(path, "--rules", str(rules))
    assert "1 sent, 0 answered in time, 0 unanswered, 1 late\n" in page
    assert "1 pong.late" in page


def test_violations_are_counted_and_the_first_are_told() -> None:
    facts = facts_of(*(frame("client", b"pong %d" % number, at=number) for number in range(30)))
    assert facts.violations == {"pong.unsolicited": 30}
    assert len(facts.first_violations) == LISTED_VIOLATIONS


def test_a_refused_handshake_is_shown_as_one_and_other_exchanges_are_counted() -> None:
    upgrade = [("upgrade", "websocket")]
    get = {"offset_ns": 0, "connection": 1, "method": "GET", "target": "/"}
    facts = facts_of(
        Request(exchange=1, headers=[], **get),
        Response(offset_ns=0, connection=1, exchange=1, status=200, headers=[]),
        Request(exchange=2, headers=upgrade, **get),
        Response(offset_ns=0, connection=1, exchange=2, status=503, headers=[]),
        Request(exchange=3, headers=[], **get),
    )
    (connection,) = facts.connections
    assert connection.handshake_status == 503
    assert connection.exchanges == {"200": 1, "none": 1}


def test_a_connection_number_that_is_used_again_is_another_connection() -> None:
    facts = facts_of(
        Open(offset_ns=0, connection=1, leg="upstream", url="wss://a/"),
        frame("server", b"{}", at=1),
        Open(offset_ns=ms(2), connection=1, leg="upstream", url="wss://b/"),
    )
    assert [(each.url, each.server_messages) for each in facts.connections] == [
        ("wss://a/", 1),
        ("wss://b/", 0),
    ]


def test_entries_of_unknown_kinds_are_counted() -> None:
    facts = gather(header(), [UnknownEntry(kind="future", seq=1, offset_ns=0, line=b"{}")])
    assert (facts.entries, facts.unknown_entries) == (1, 1)


@settings(max_examples=examples(200))
@given(
    st.lists(st.tuples(frames(), st.sampled_from(["client", "server"]), st.integers(1, 2))),
    st.sampled_from(["measured", "none"]),
)
def test_every_message_and_byte_is_counted_once(sent: list, timing: str) -> None:
    at = None if timing == "none" else 0
    entries = [entry_of(each, sender, at=at, connection=on) for each, sender, on in sent]
    facts = facts_of(*entries, timing=timing)
    connections = facts.connections
    assert facts.entries == len(entries)
    assert sum(each.messages for each in facts.messages) == sum(
        each.client_messages + each.server_messages for each in connections
    )
    assert sum(each.bytes for each in facts.messages) == sum(
        each.client_bytes + each.server_bytes for each in connections
    )
    assert sum(each.control_frames for each in connections) == sum(
        each.is_control for each, _, _ in sent
    )


@pytest.mark.parametrize(
    ("content", "status"),
    [(None, Exit.NO_INPUT), (b"", Exit.BAD_DATA), (b'{"log":{}}', Exit.BAD_DATA)],
)
def test_what_is_no_recording_is_said_so(
    tmp_path: Path, content: bytes | None, status: int
) -> None:
    path = tmp_path / "a"
    if content is not None:
        path.write_bytes(content)
    result = run("info", path)
    assert (result.returncode, result.stdout) == (status, b"")
    assert len(result.stderr.splitlines()) == 1


def facts_as_json(path: Path, *options: str) -> dict:
    result = CliRunner().invoke(info_command, [str(path), "--json", *options])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--device", "Halle ~7"], {"devices": 1, "positions": 1}),
        (["--beacon", "quickstart-guide-beacon-2"], {"positions": 1}),
        (["--kind", "PING", "--kind", "pong", "--from", "60"], {"PING": 1, "pong": 1}),
        (["--path", "$.positions[?@.rssi > 200]"], {"positions": 1}),
        (["--text", "nowhere"], {}),
        (["--opcode", "binary"], {"binary": 1}),
    ],
)
def test_filters_select_what_is_counted_and_nothing_else_changes(
    tmp_path: Path, options: list[str], expected: dict[str, int]
) -> None:
    path = write(tmp_path / "a", session())
    whole, selected = facts_as_json(path), facts_as_json(path, *options)
    counts = {each["kind"]: each["messages"] for each in selected["facts"].pop("messages")}
    assert counts == expected
    rate = selected["facts"].pop("rate")
    assert sum(expected.values()) == (0 if rate is None else round(rate["mean"] * 93.002))
    for changed in ("messages", "rate"):
        del whole["facts"][changed]
    for connection in (*selected["facts"]["connections"], *whole["facts"]["connections"]):
        for sender in ("client", "server"):
            for volume in ("messages", "bytes"):
                connection.pop(f"{sender}_{volume}")
    assert selected == whole


def test_a_wall_clock_selects_too_and_an_untimed_recording_has_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a", session())
    found = facts_as_json(path, "--to", "2026-11-22T17:00:00.225Z")
    assert [each["kind"] for each in found["facts"]["messages"]] == ["webSessionTimeout"]
    untimed = write(tmp_path / "b", [frame("server", b"{}", at=None)], timing="none")
    result = CliRunner().invoke(info_command, [str(untimed), "--from", "1"])
    assert result.exit_code == 2
    assert "has no times: leave out --from and --to" in " ".join(result.output.split())
