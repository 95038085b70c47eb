"""`track-replayer show`: one line for each message."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from recorder.exits import Exit
from recorder.model import Bytes, Closed, Note, Open, Request, UnknownEntry
from recorder.wire.frames import Opcode
from replayer.commands.formats import text_line
from replayer.commands.show import show_command
from replayer.reading.conversation import converse
from replayer.reading.describing import Describer
from replayer.reading.lines import KINDS
from replayer.reading.selection import Selection
from replayer.reading.words import fit, json_text, printable, wrap
from tests.profiles import examples
from tests.replayer.recordings import (
    DEVICES,
    EVIL,
    NAMELESS_POSITION,
    UUID_1,
    frame,
    message,
    ping,
    run,
    session,
    write,
)

SHOWN = """\
    0.031  1 <- -      http             -  POST /api/session -> 401 Unauthorized, 30 ms
    0.082  1 <- -      http             -  POST /api/session -> 200 OK, 42 ms
    0.090  1 -- -      closed           -  by client, eof
    0.100  2 <- -      http             -  GET /api/socket -> 101 Switching Protocols, 9 ms
    0.101  2 <- text   webSessionTimeout 29  86400 s
    0.102  2 <- ping   control          5  'alive'
    0.103  2 <- text   devices        150  2 devices: Halle ~7, quickstart-guide-device-1 (2 fragments)
    0.103  2 -> pong   control          5  'alive'
    1.200  2 <- text   positions      194  quickstart-guide-device-1 at quickstart-guide-beacon-2, rssi -64
    1.300  2 <- text   positions      116  Halle ~7 at 49.89760, 10.87876, rssi 204 (-52 dBm)
    1.301  2 <- text   devices         59  1 device: \\x1b[31mred\\u202e\\x9b2J
    2.000  - -- -      note             -  pressed reload here
   30.100  2 <- text   PING           114  a0b34365-908f-4868-a52a-84a3ed83bd59
   30.142  2 -> text   pong            41  a0b34365-908f-4868-a52a-84a3ed83bd59
   60.100  2 <- text   PING           114  0d7c6a3e-2a83-4a3e-9a2f-3b1d0c9e7f11
   60.130  2 -> text   pong            41  malformed: 'Pong 0d7c6a3e-2a83-4a3e-9a2f-3b1d0c9e7f11'
   60.200  2 <- text   devices+unknown 29  no devices ~ key future
   60.201  2 <- binary binary           3  00 ff 10
   60.300  2 -> text   text             5  'hello'
   93.000  2 <- close  close           12  1001 going away
   93.001  2 <- -      bytes            1  the stream ended inside a frame header
   93.002  2 -- -      closed           -  by server, eof: close 1001
"""  # noqa: E501

AT_80_COLUMNS = """\
    0.103  2 <- text   devices        150  2 devices: Halle ~7, quickstart-guid…
    0.103  2 -> pong   control          5  'alive'
    1.200  2 <- text   positions      194  quickstart-guide-device-1 at quickst…
    1.300  2 <- text   positions      116  Halle ~7 at 49.89760, 10.87876, rssi…
"""

TABLE = """\
     time       opcode kind                size what
    0.101  2 <- text   webSessionTimeout     29 86400 s
    1.200  2 <- text   positions            194 quickstart-guide-device-1 at quickstart-guide-beacon-2, rssi -64
    1.300  2 <- text   positions            116 Halle ~7 at 49.89760, 10.87876, rssi 204 (-52 dBm)
"""  # noqa: E501


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("show") / "a.track.jsonl", session())


def show(recording: Path, *options: str) -> str:
    result = CliRunner().invoke(show_command, [str(recording), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def shown_seconds(text: str) -> list[float]:
    return [float(line.split()[0]) for line in text.splitlines()]


def summaries(*entries: object) -> list[str]:
    describer = Describer()
    return [describer.line(item).summary for item in converse(entries)]


def test_a_session_in_lines(recording: Path) -> None:
    assert show(recording) == SHOWN


def test_a_session_in_lines_of_80_columns() -> None:
    describer = Describer()
    lines = [text_line(describer.line(item), 80) for item in converse(session())]
    assert "\n".join(lines[9:13]) + "\n" == AT_80_COLUMNS
    assert max(map(cell_len, lines)) == 80


def show_at_a_terminal(recording: Path, *options: str) -> str:
    """As a process under a terminal of 80 columns: the only way in which stdout is one."""
    code = "from replayer.cli import main; main()"
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code, "show", str(recording), *options],
        stdout=theirs,
        env=os.environ | {"COLUMNS": "80"},
    ) as process:
        os.close(theirs)
        # A terminal whose last writer is gone reads as an error on Linux.
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:
            pass
        finally:
            os.close(ours)
        assert process.wait() == Exit.OK
    return "".join(line + "\n" for line in shown.decode().splitlines())


def test_a_terminal_gets_lines_of_its_width(recording: Path) -> None:
    lines = show_at_a_terminal(recording, "--kind", "positions").splitlines()
    assert lines == AT_80_COLUMNS.splitlines()[2:]


LONG_NOTE = (
    "the upstream could not be reached for the seventh time: 日本語 "
    f"https://track.example/{'x' * 80} was refused, since its certificate has expired yesterday"
)

LONG_NOTE_AT_80_COLUMNS = f"""\
    2.000  - -- -      note             -  the upstream could not be reached for
              the seventh time: 日本語
              https://track.example/{"x" * 80}
              was refused, since its certificate has expired yesterday
"""


@pytest.fixture
def long_note(tmp_path: Path) -> Path:
    return write(tmp_path / "note", [Note(offset_ns=2_000_000_000, text=LONG_NOTE)])


def test_a_long_note_wraps_at_a_terminal(long_note: Path) -> None:
    assert show_at_a_terminal(long_note) == LONG_NOTE_AT_80_COLUMNS


def test_a_long_note_is_whole_and_one_line_where_it_is_piped(long_note: Path) -> None:
    (line,) = show(long_note).splitlines()
    assert line.endswith(f"-  {LONG_NOTE}")
    (line,) = show(long_note, "--format", "jsonl").splitlines()
    assert json.loads(line)["summary"] == LONG_NOTE


def test_a_long_note_is_whole_in_a_table(long_note: Path) -> None:
    """Its column folds it."""
    shown = show(long_note, "--format", "table").partition("note")[2]
    assert "".join(shown.split()) == "-" + "".join(LONG_NOTE.split())


def test_a_table_cuts_nothing(recording: Path) -> None:
    options = ("--format", "table", "--kind", "positions", "--kind", "webSessionTimeout")
    assert show(recording, *options) == TABLE


def test_a_long_table_has_one_head_and_its_columns_hold(tmp_path: Path) -> None:
    entries = [frame("server", b'{"webSessionTimeout":[%d]}' % number) for number in range(450)]
    lines = show(write(tmp_path / "a", entries), "--format", "table").splitlines()
    assert len(lines) == 451
    assert {line.index("text") for line in lines[1:]} == {lines[0].index("opcode")}
    assert [line.split()[-2] for line in lines[1:]] == [str(number) for number in range(450)]


def test_a_name_that_looks_like_markup_is_no_markup(tmp_path: Path) -> None:
    entries = [frame("server", b'{"devices":[{"name":"[red]x[/red] :smile:"}]}')]
    path = write(tmp_path / "a", entries)
    assert show(path, "--format", "table").rstrip().endswith("1 device: [red]x[/red] :smile:")


def test_a_message_as_json(recording: Path) -> None:
    lines = [json.loads(line) for line in show(recording, "--format", "jsonl").splitlines()]
    assert lines[4] == {
        "seq": 11,
        "time": 0.101,
        "connection": 2,
        "sender": "server",
        "opcode": "text",
        "kinds": ["webSessionTimeout"],
        "size": 29,
        "summary": "86400 s",
        "text": '{"webSessionTimeout":[86400]}',
    }
    assert (lines[17]["kinds"], lines[17]["base64"]) == (["binary"], "AP8Q")
    assert lines[16]["kinds"] == ["devices", "unknown"]
    assert lines[10]["text"] == EVIL.decode()
    assert "text" not in lines[0]


def test_all_shows_what_a_recording_notes_about_itself(recording: Path) -> None:
    more = [line for line in show(recording, "--all").splitlines() if line not in SHOWN]
    assert more == [
        "    0.000  1 -- -      open             -  https://track.example/api/session, TLSv1.3",
        "    0.001  1 -> -      body            16  of exchange 1",
        "    0.090  2 -- -      open             -  wss://track.example/api/socket",
        "   93.002  - -- -      end              -  30 entries",
    ]


def test_a_body_is_never_shown(tmp_path: Path) -> None:
    """It may hold a password, in a recording that is not redacted."""
    entries = [entry for entry in session() if entry.kind == "body"]
    path = write(tmp_path / "a", entries)
    for form in ("line", "table", "jsonl"):
        assert "email" not in show(path, "--all", "--format", form)


def test_the_kind_selects(recording: Path) -> None:
    assert shown_seconds(show(recording, "--kind", "ping", "--kind", "pong")) == [
        *(30.100, 30.142),
        *(60.100, 60.130),
    ]
    # Any of several kinds in one message; a kind that is hidden otherwise.
    assert shown_seconds(show(recording, "--kind", "unknown")) == [60.200]
    assert shown_seconds(show(recording, "--kind", "open")) == [0.0, 0.09]


def test_the_sender_selects(recording: Path) -> None:
    assert shown_seconds(show(recording, "--sender", "client")) == [0.103, 30.142, 60.130, 60.300]


@pytest.mark.parametrize("device", ["Halle ~7", "44969282"])
def test_a_device_selects_by_name_or_id(recording: Path, device: str) -> None:
    """Also a position that has only the deviceId: the name was told before, in a line not shown."""
    assert shown_seconds(show(recording, "--device", device)) == [0.103, 1.300]
    only = ("--device", device, "--kind", "positions")
    assert shown_seconds(show(recording, *only)) == [1.300]


@pytest.mark.parametrize("form", ["line", "jsonl"])
def test_a_number_that_no_float_holds_is_shown(tmp_path: Path, form: str) -> None:
    huge = b"9" * 400
    payload = b'{"positions":[{"latitude":%b,"longitude":1,"rssi":%b}]}' % (huge, huge)
    path = write(tmp_path / "a", [frame("server", payload)])
    assert "device ? at 999" in show(path, "--format", form)
    assert show(path, "--at", "end", "--format", form) == ""


@pytest.mark.parametrize(
    ("payload", "device", "is_shown"),
    [
        (b'{"positions":[{"deviceId":5,"deviceName":"x"}]}', "x", True),
        (b'{"positions":[{"deviceId":5,"deviceName":"x"}]}', "5", True),
        (b'{"positions":[{"id":5,"deviceId":6}]}', "5", False),
        (b'{"positions":[{"deviceId":6},{"deviceId":5}]}', "5", True),
        (b'{"beacons":[{"id":5,"name":"b"}]}', "b", False),
        (b'{"events":[{"type":"deviceOnline","deviceId":5}]}', "5", True),
        (b'{"devices":[{"id":55}]}', "5", False),
    ],
)
def test_what_a_device_selects(tmp_path: Path, payload: bytes, device: str, is_shown: bool) -> None:
    path = write(tmp_path / "a", [frame("server", payload)])
    assert bool(show(path, "--device", device)) == is_shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--device", "nobody"], "nothing to show: of 3 lines the filters took none"),
        (["--to", "0"], "nothing to show: what was asked for holds no message"),
        (["--kind", "open", "--connection", "9"], "of 3 lines the filters took none"),
    ],
)
def test_that_nothing_is_shown_is_said(tmp_path: Path, options: list[str], said: str) -> None:
    entries = [frame("server", b"{}", at=at) for at in (1, 2)]
    path = write(tmp_path / "a", [*entries, Note(offset_ns=3_000_000, text="x")])
    result = CliRunner().invoke(show_command, [str(path), *options])
    assert result.exit_code == 0
    assert result.stdout == ""
    assert said in result.stderr
    assert CliRunner().invoke(show_command, [str(path), "--text", "{}"]).stderr == ""


def test_a_device_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    def said(*options: str) -> list[str]:
        return CliRunner().invoke(show_command, [str(path), *options]).stderr.splitlines()[1:]

    devices = [{"id": number, "name": f"d{number}\x1b"} for number in range(14)]
    told = frame("server", json.dumps({"devices": devices}).encode(), at=1)
    path = write(tmp_path / "a", [told, frame("server", b"{}", at=2)])
    names = ", ".join(f"d{number}\\x1b" for number in range(12))
    there = f"devices told there: {names} and 2 more"
    assert said("--device", "nobody") == [there]
    assert said("--device", "nobody", "--text", "x") == [there]
    # It is not the name that is wrong.
    assert said("--device", "3", "--text", "x") == []
    assert said("--beacon", "x") == []


def test_a_request_without_a_response_stands_where_its_connection_ends(tmp_path: Path) -> None:
    asked = Request(
        offset_ns=20_000_000, connection=1, exchange=1, method="GET", target="/", headers=[]
    )
    entries = [
        asked,
        frame("server", b"{}", at=50, connection=2),
        Closed(offset_ns=60_000_000, connection=1, by="client", how="eof"),
        frame("server", b"{}", at=70, connection=2),
    ]
    path = write(tmp_path / "a.track.jsonl", entries)
    assert shown_seconds(show(path)) == [0.05, 0.06, 0.06, 0.07]
    assert "0.060  1 -> -      http             -  GET / -> no response" in show(path)
    assert shown_seconds(show(path, "--to", "0.06")) == [0.05, 0.06, 0.06]
    assert shown_seconds(show(path, "--from", "0.06")) == [0.06, 0.06, 0.07]


def test_that_a_recording_is_empty_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(show_command, [str(write(tmp_path / "a", []))])
    assert "nothing to show: the recording holds no message" in result.stderr


def test_times_select_both_ends_included(recording: Path) -> None:
    assert shown_seconds(show(recording, "--from", "1.3", "--to", "30.1")) == [
        *(1.300, 1.301, 2.000, 30.100)
    ]
    assert shown_seconds(show(recording, "--from", "1m33s")) == [93.000, 93.001, 93.002]


def test_an_untimed_recording_has_no_times_to_select_by(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [frame("server", b"{}", at=None)], timing="none")
    assert show(path) == "        -  1 <- text   empty            2  keep-alive\n"
    result = run("show", path, "--from", "1")
    assert result.returncode == Exit.USAGE
    assert b"has no times" in result.stderr


def test_an_unknown_kind_is_a_usage_error_that_lists_the_known_ones(recording: Path) -> None:
    result = run("show", recording, "--kind", "device")
    assert result.returncode == Exit.USAGE
    assert b"devices" in result.stderr


def test_a_torn_recording_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "a", session())
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b'"seq":20,') + 30])
    lost = (
        len(whole[: whole.index(b'"seq":20,') + 30])
        - whole.rindex(b"\n", 0, whole.index(b'"seq":20,'))
        - 1
    )
    result = run("show", path)
    assert result.returncode == Exit.OK
    assert result.stdout.decode() == "".join(SHOWN.splitlines(keepends=True)[:12])
    assert result.stderr.decode().splitlines() == [
        f"{path} is torn: {lost} bytes at its end could not be read "
        "(the file ends in a line without its end)"
    ]


@pytest.mark.parametrize("form", ["line", "table", "jsonl"])
def test_damage_ends_it_after_what_was_readable(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / "a", session())
    path.write_bytes(path.read_bytes().replace(b'"seq":12,', b'"seq":!!,'))
    result = run("show", path, "--format", form)
    assert result.returncode == Exit.BAD_DATA
    assert b"86400 s" in result.stdout
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("form", ["line", "table", "jsonl"])
def test_a_reader_that_has_enough_is_told_nothing_more(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / "a", [frame("server", DEVICES) for _ in range(2000)])
    code = "from replayer.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "show", str(path), "--format", form],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == Exit.OK


def test_a_terminal_without_the_characters_gets_escapes(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [frame("server", '{"devices":[{"name":"Ōsaka ü"}]}'.encode())])
    buffer = io.BytesIO()
    latin_1 = io.TextIOWrapper(buffer, encoding="latin-1", write_through=True)
    with redirect_stdout(latin_1):
        show_command.main([str(path)], standalone_mode=False)
    assert buffer.getvalue().endswith(b"1 device: \\u014csaka \xfc\n")


@pytest.mark.parametrize(
    ("payload", "summary"),
    [
        (b'{"devices":[{"id":7}]}', "1 device: 7"),
        (b'{"devices":[{}]}', "1 device: ?"),
        (b'{"devices":[{"id":{"x":1},"name":[1]}, 5]}', "2 devices: ?, ?"),
        (b'{"devices":null}', "no devices"),
        (
            b'{"beacons":[%s]}' % b",".join(b'{"id":%d}' % number for number in range(11)),
            "11 beacons: 0, 1, 2, 3, 4, 5, 6, 7 and 3 more",
        ),
        (b'{"positions":[{"deviceId":5}]}', "device 5"),
        (b'{"positions":[{"deviceId":5,"beaconId":9}]}', "device 5 at 9"),
        (b'{"positions":[{"deviceId":5,"rssi":128}]}', "device 5, rssi 128 (-128 dBm)"),
        (b'{"positions":[{"deviceId":5,"rssi":255}]}', "device 5, rssi 255 (-1 dBm)"),
        (b'{"positions":[{"deviceId":5,"rssi":127}]}', "device 5, rssi 127"),
        (b'{"positions":[{"deviceId":5,"rssi":null}]}', "device 5"),
        (b'{"positions":[{"deviceId":5},{"deviceId":6}]}', "2 positions: device 5; device 6"),
        (b'{"events":[{"type":"online","deviceId":5}]}', "online of device 5"),
        (b'{"status":[{"type":"ALARM","message":"fire"}]}', "ALARM fire"),
        (b'{"webSessionTimeout":[86400]}', "86400 s"),
        (b'{"webSessionTimeout":{}}', "'{\"webSessionTimeout\":{}}'"),
        (b"{}", "keep-alive"),
        (b'{"a":1,"b":2}', "keys a, b"),
        (b'{"future":1}', "key future"),
        (b"[1]", "'[1]'"),
        (b"<html>\x1b[2J", "'<html>\\x1b[2J'"),
        (b"", "no payload"),
        (b"x" * 500, "'" + "x" * 79 + "…'"),
    ],
)
def test_a_message_in_words(payload: bytes, summary: str) -> None:
    assert summaries(frame("server", payload)) == [summary]


def test_text_that_a_cut_tears_is_still_text() -> None:
    assert summaries(frame("client", "x€".encode() * 200)) == ["'" + "x€" * 39 + "x…'"]


def test_a_name_is_remembered_until_another_is_told() -> None:
    renamed = DEVICES.replace(b"Halle ~7", b"Halle 8")
    told = [DEVICES, NAMELESS_POSITION, renamed, NAMELESS_POSITION]
    words = summaries(*(frame("server", each) for each in told))
    assert (words[1].split(" at")[0], words[3].split(" at")[0]) == ("Halle ~7", "Halle 8")


@pytest.mark.parametrize(
    ("entry", "summary"),
    [
        (frame("server", b"", opcode=Opcode.CLOSE), "no code"),
        (frame("server", b"\x03\xe9\x1b\xff", opcode=Opcode.CLOSE), "1001 \\x1b\ufffd"),
        (frame("server", b"", opcode=Opcode.PING), "no payload"),
        (frame("server", b"\xff\x00", opcode=11), "ff 00"),
        (
            frame("server", b"x", opcode=Opcode.CONTINUATION),
            "no message: a continuation frame continues no message",
        ),
        (Note(offset_ns=0, text="a\nb"), "a\\nb"),
        (Note(offset_ns=0, text="x" * 500), "x" * 500),
        (
            Closed(offset_ns=0, connection=1, by="server", how="reset", detail="x" * 500),
            "by server, reset: " + "x" * 500,
        ),
        (Bytes(offset_ns=0, connection=1, sender="server", why="torn", text="x"), "torn"),
        (Open(offset_ns=0, connection=1, leg="client", peer="[::1]:5"), "[::1]:5"),
        (
            Request(
                offset_ns=0, connection=1, exchange=1, method="GET", target="/\x1b", headers=[]
            ),
            "GET /\\x1b -> no response",
        ),
        (
            UnknownEntry(kind="future\x1b", seq=1, offset_ns=0, line=b"{}"),
            "an entry of the unknown kind 'future\\x1b'",
        ),
    ],
)
def test_an_entry_in_words(entry: object, summary: str) -> None:
    assert summaries(entry) == [summary]


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "name", "deviceId", "deviceName", "rssi", "latitude", "type", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
track_like = st.builds(
    lambda key, value: json.dumps({key: value}).encode(),
    st.sampled_from(["devices", "positions", "beacons", "events", "status", "webSessionTimeout"]),
    json_like,
)


@settings(max_examples=examples(300))
@given(
    st.sampled_from(["client", "server"]),
    st.integers(0, 15),
    st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | track_like,
    st.integers(1, 200),
)
def test_whatever_a_frame_holds_its_line_is_one_of_printable_characters(
    sender: str, opcode: int, payload: bytes, columns: int
) -> None:
    describer = Describer()
    for item in converse([frame(sender, payload, opcode=opcode)]):
        line = describer.line(item)
        text = text_line(line, columns)
        assert text.isprintable()
        assert cell_len(text) <= columns
        assert set(line.kinds) <= set(KINDS)
        assert Selection().takes(line)


@given(st.text())
def test_printable_text_is_left_as_it_is_and_the_rest_is_escaped(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    if "\\" not in text:
        assert "".join(filter(str.isprintable, text)) == text if shown == text else shown != text


@given(st.text())
def test_json_says_the_same_in_printable_characters(text: str) -> None:
    shown = json_text({text: [text]})
    assert shown.isprintable()
    assert json.loads(shown) == {text: [text]}


@given(st.text(), st.integers(1, 40))
def test_a_text_that_does_not_fit_is_cut_and_says_so(text: str, columns: int) -> None:
    text = printable(text)
    shown = fit(text, columns)
    assert cell_len(shown) <= columns
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1].rstrip()))


@given(st.text("ab 日\u0301"), st.integers(1, 40))
@example(" " * 50, 1)
def test_wrapping_loses_no_word_and_makes_no_line_wider_but_of_a_word(
    text: str, columns: int
) -> None:
    lines = wrap(text, columns).split("\n")
    assert " ".join(lines).split() == text.split()
    for line in lines:
        assert cell_len(line) <= columns or len(line.split()) == 1
    assert all(line.strip() for line in lines) or not text.strip()
    assert lines[0] == text[: len(lines[0])]
    assert all(line.startswith(" " * 14) for line in lines[1:])


def test_a_message_without_frames_is_shown_like_one_with(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a",
        [message("server", ping(UUID_1), at=None)],
        fidelity="messages",
        timing="none",
    )
    assert show(path) == f"        -  1 <- text   PING           114  {UUID_1}\n"
