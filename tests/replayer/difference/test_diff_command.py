"""`track-replayer diff`: the answer, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from recorder.exits import Exit
from replayer.commands.diff import diff_command, parts_named
from replayer.difference.alignment import LaneAligner
from replayer.difference.ignored import BadPath, Ignored, pointer, tokens_of
from tests.replayer.difference.conversations import call
from tests.replayer.recordings import DEVICES, POSITION, UUID_1, frame, ping, run, session, write
from tests.replayer.traffic import recorded, write_parts

OTHER = (
    POSITION.replace(b'"rssi":-64', b'"rssi":-64.0')
    .replace(b'"latitude":0', b'"latitude":49.5')
    .replace(b'"beaconId":794513671,', b"")
)

PAGE = """\
a  {folder}/a.track.jsonl: 4 messages, 1 PING
b  {folder}/b.track.jsonl: 4 messages, 0 PINGs

positions
  /positions/0/latitude: 0 -> 49.5
    entry 7 of a and 2 of b, position 794513912
    and 1 more at this place
  /positions/0/beaconId: only in a: 794513671
    entry 7 of a and 2 of b, position 794513912
    and 1 more at this place

GET /api/devices/{{id}}: 1 message only in a
  entry 4 of a at 0.000 s: device 5, all=true

devices: 1 message only in b
  entry 3 of b at 0.007 s: device 44969282, device 794513675

DIFFERENT: 2 changed, 1 only in a, 1 only in b, 1 the same
"""


def told(note: str) -> bytes:
    return b'{"positions":[{"id":1,"deviceId":2,"note":"%b"}]}' % note.encode()


def diff(*arguments: object) -> Result:
    return CliRunner().invoke(
        diff_command,
        [str(each) for each in arguments],
        standalone_mode=False,
        catch_exceptions=False,
    )


@pytest.fixture
def recordings(tmp_path: Path) -> tuple[Path, Path]:
    second = POSITION.replace(b"794513912", b"794513913")
    a = [
        *call("/api/devices/5?all=true"),
        *(frame("server", b"{}"), frame("server", POSITION, at=5), frame("server", second, at=6)),
        frame("server", ping(UUID_1), at=6),
    ]
    b = [
        *(frame("server", b"{}"), frame("server", OTHER, at=6), frame("server", DEVICES, at=7)),
        frame("server", OTHER.replace(b"794513912", b"794513913"), at=8),
    ]
    return write(tmp_path / "a.track.jsonl", a), write(tmp_path / "b.track.jsonl", b)


def test_a_page_says_what_differs(recordings: tuple[Path, Path]) -> None:
    found = diff(*recordings)
    assert found.output == PAGE.format(folder=recordings[0].parent)
    assert found.return_value == Exit.DIFFERENT


def test_the_same_exits_with_0_and_nothing_to_compare_with_2(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.track.jsonl", session())
    empty = write(tmp_path / "b.track.jsonl", [])
    same, empty_left = diff(whole, whole), diff(empty, whole)
    assert same.output.splitlines()[-1] == "SAME: 10 messages on both sides"
    assert same.return_value == Exit.OK
    assert empty_left.output.splitlines()[-1] == "UNDECIDED: there is nothing to compare in a"
    assert empty_left.return_value == Exit.UNDECIDED
    assert json.loads(diff(empty, empty, "--json").output)["verdict"] == "undecided"


def test_json_says_all_of_it_with_numbers_as_they_came(tmp_path: Path) -> None:
    sides = [
        write(tmp_path / name, [frame("server", b'{"devices":[{"id":1,"x":%s}]}' % value)])
        for name, value in (("a.track.jsonl", b"1.10"), ("b.track.jsonl", b"1e400"))
    ]
    found = diff(*sides, "--json")
    assert '"a": 1.10,' in found.output
    assert '"b": 1e400,' in found.output
    answer = json.loads(found.output)
    assert answer["a"] == {"recording": [str(sides[0])], "messages": 1, "pings": 0}
    (change,) = answer["changes"]
    assert change["pointer"] == change["pointer_b"] == "/devices/0/x"
    assert change["at_b"] == {"seq": 1, "time": 0.0, "connection": 1, "about": "device 1"}
    assert found.return_value == Exit.DIFFERENT


def test_a_field_that_is_null_is_not_one_that_is_missing(tmp_path: Path) -> None:
    sides = [
        write(tmp_path / f"{at}.track.jsonl", [frame("server", payload)])
        for at, payload in enumerate((b'{"x":{"y":null,"z":0}}', b'{"x":{"z":null}}'))
    ]
    removed, changed = json.loads(diff(*sides, "--json").output)["changes"]
    assert (changed["what"], changed["a"], changed["b"]) == ("changed", 0, None)
    assert (removed["what"], removed["a"], "b" in removed) == ("removed", None, False)


def test_exact_shows_the_first_byte_that_differs(recordings: tuple[Path, Path]) -> None:
    found = diff(*recordings, "--exact")
    assert found.output.startswith("message 1 differs from byte ")
    assert found.return_value == Exit.DIFFERENT
    answer = json.loads(diff(*recordings, "--exact", "--json").output)
    assert answer["first_difference"]["index"] == 1
    same = diff(recordings[0], recordings[0], "--exact")
    assert (same.output, same.return_value) == ("the same, byte for byte\n", Exit.OK)
    assert diff(recordings[0], recordings[0], "--exact", "--json").return_value == Exit.OK


def test_exact_and_ignore_do_not_go_together(recordings: tuple[Path, Path]) -> None:
    done = run("diff", *recordings, "--exact", "--ignore", "/x")
    assert done.returncode == Exit.USAGE
    assert b"--exact compares bytes" in done.stderr


def test_parts_of_a_series_are_one_recording(tmp_path: Path) -> None:
    steps = [("say", 1, number, 1000) for number in range(9)]
    entries = recorded(steps)
    parts = write_parts(tmp_path, entries, [8, 11])
    whole = write(tmp_path / "whole.track.jsonl", entries)
    pattern = str(parts[0].parent / f"{parts[0].name.partition('.')[0]}*")
    assert len(parts_named(pattern)) == len(parts) > 1
    assert diff(pattern, whole).return_value == Exit.OK


def test_a_torn_recording_is_compared_and_said_to_be_torn(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.track.jsonl", session())
    torn = tmp_path / "b.track.jsonl"
    torn.write_bytes(whole.read_bytes()[:-400])
    found = diff(whole, torn)
    assert "b.track.jsonl is torn: " in found.stderr
    assert found.return_value == Exit.OK


@pytest.mark.parametrize("bad", ["positions", "$.[", "/a~2", ""])
def test_a_path_that_is_none_is_said(bad: str) -> None:
    with pytest.raises(BadPath):
        Ignored([bad])


@pytest.mark.parametrize("text", ["/", "/a~1b/m~0n", "/0/~01"])
def test_pointers_are_those_of_rfc_6901(text: str) -> None:
    assert pointer(tokens_of(text)) == text


def test_names_that_a_terminal_would_obey_are_escaped(tmp_path: Path) -> None:
    sides = [
        write(tmp_path / f"{at}.track.jsonl", [frame("server", payload)])
        for at, payload in enumerate((b'{"\\u001b[1m":["\\u001b"]}', b'{"\\u001b[1m":["\\u009b"]}'))
    ]
    shown = diff(*sides).output
    assert "/\\x1b[1m/0: " in shown
    assert "\x1b" not in shown
    assert "\x9b" not in shown


def test_of_values_that_fill_a_line_what_differs_is_seen(tmp_path: Path) -> None:
    a = write(tmp_path / "a.track.jsonl", [frame("server", told("x" * 300 + "old"))])
    b = write(tmp_path / "b.track.jsonl", [frame("server", told("x" * 300 + "new"))])
    lines = diff(a, b).output.splitlines()
    at = lines.index("  /positions/0/note:")
    assert lines[at + 1].startswith("    a: …xxx")
    assert lines[at + 1].endswith('xxxold"')
    assert lines[at + 2].endswith('xxxnew"')
    assert max(map(len, lines)) <= 160


def test_long_values_that_differ_at_once_are_shown_from_their_start(tmp_path: Path) -> None:
    a = write(tmp_path / "a.track.jsonl", [frame("server", told("a" * 300))])
    b = write(tmp_path / "b.track.jsonl", [frame("server", told("b" * 300))])
    lines = diff(a, b).output.splitlines()
    at = lines.index("  /positions/0/note:")
    assert [line[:12] for line in lines[at + 1 : at + 3]] == ['    a: "aaaa', '    b: "bbbb']
    assert all(line.endswith("…") for line in lines[at + 1 : at + 3])


def test_where_the_order_is_lost_the_page_and_the_json_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LaneAligner.__init__, "__kwdefaults__", {"window": 8})
    texts = [b'{"positions":[{"id":%d,"deviceId":%d}]}' % (n, n % 3 + 1) for n in range(1, 60)]
    a = write(tmp_path / "a.track.jsonl", [frame("server", text) for text in texts])
    b = write(tmp_path / "b.track.jsonl", [frame("server", text) for text in texts[20:]])
    c = write(tmp_path / "c.track.jsonl", [frame("server", text) for text in texts[5:]])
    assert "From entry 1 of a on, what belongs together is a guess:" in diff(a, b).output
    guessed = json.loads(diff(a, b, "--json").output)["guessed_from"]
    assert (guessed["side"], guessed["seq"], guessed["about"]) == ("a", 1, "position 1")
    assert "guess" not in diff(a, c).output
    assert json.loads(diff(a, c, "--json").output)["guessed_from"] is None


def test_all_of_every_message_can_be_ignored(tmp_path: Path) -> None:
    a = write(tmp_path / "a.track.jsonl", [frame("server", told("old"))])
    b = write(tmp_path / "b.track.jsonl", [frame("server", told("new"))])
    assert diff(a, b, "--ignore", "$").output.splitlines()[-1] == "SAME: 1 message on both sides"


def test_a_path_into_what_is_nested_too_deeply_leaves_it_as_it_is(tmp_path: Path) -> None:
    deep = b'{"x":' + b"[" * 400 + b"]" * 400 + b',"y":%d}'
    a = write(tmp_path / "a.track.jsonl", [frame("server", deep % 1)])
    b = write(tmp_path / "b.track.jsonl", [frame("server", deep % 2)])
    assert diff(a, b, "--ignore", "$..z").return_value == Exit.DIFFERENT
