"""The exact bytes of a connection."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import CorruptRecording
from recorder.exits import Exit
from recorder.model import Bytes, Entry, Request, Response, encode_bytes
from recorder.recording import decode_entry, encode_entry
from recorder.wire.frames import Frame, Opcode
from replayer.export.wire import sockets, wire_bytes
from tests.profiles import examples
from tests.replayer.recordings import (
    entry_of,
    frame,
    frames,
    message,
    numbered,
    run,
    session,
    write,
)

UPGRADED = Response(offset_ns=0, connection=1, exchange=1, status=101, headers=[])


def exported(entries: list[Entry], connection: int, sender: str) -> bytes:
    socket = sockets(entries)[connection]
    return b"".join(data for _, data in wire_bytes(entries, socket, sender))


@settings(max_examples=examples(250))
@given(
    st.lists(
        st.tuples(
            frames() | st.binary(min_size=1, max_size=20),
            st.integers(1, 2),
            st.sampled_from(["client", "server"]),
        ),
        max_size=12,
    )
)
def test_any_frames_and_loose_bytes_export_to_exactly_what_was_on_the_wire(sent: list) -> None:
    wire = {(connection, sender): b"" for connection in (1, 2) for sender in ("client", "server")}
    entries: list[Entry] = [UPGRADED, msgspec.structs.replace(UPGRADED, connection=2)]
    for each, connection, sender in sent:
        if isinstance(each, Frame):
            entries.append(entry_of(each, sender, connection=connection))
            wire[connection, sender] += each.serialize()
        else:
            entries.append(
                Bytes(
                    offset_ns=0, connection=connection, sender=sender, why="-", **encode_bytes(each)
                )
            )
            wire[connection, sender] += each
    # As lines of a file and back, so that what a line cannot hold would show.
    entries = [decode_entry(encode_entry(each), where="-") for each in numbered(entries)]
    for (connection, sender), expected in wire.items():
        assert exported(entries, connection, sender) == expected


def test_text_before_the_head_is_not_of_the_socket() -> None:
    def loose(text: str) -> Bytes:
        return Bytes(offset_ns=0, connection=1, sender="server", why="-", text=text)

    entries = numbered([loose("Logged In...\n"), UPGRADED, frame("server", b"{}"), loose("torn")])
    assert exported(entries, 1, "server") == b"\x81\x02{}torn"


def test_bytes_are_of_the_socket_where_no_head_was_seen() -> None:
    loose = Bytes(offset_ns=0, connection=1, sender="server", why="-", text="first")
    assert exported(numbered([loose, frame("server", b"{}")]), 1, "server") == b"first\x81\x02{}"


def test_an_answer_says_nothing_of_where_the_clients_bytes_begin() -> None:
    asked = Request(offset_ns=0, connection=1, exchange=1, method="GET", target="/", headers=[])
    early = Bytes(offset_ns=0, connection=1, sender="client", why="-", text="early")
    assert exported(numbered([asked, early, UPGRADED]), 1, "client") == b"early"


@pytest.mark.parametrize("change", [{"text": "secret!"}, {"head": "8207ff"}, {"opcode": "binary"}])
def test_a_frame_that_was_changed_by_hand_is_refused(change: dict) -> None:
    bad = msgspec.structs.replace(frame("server", b"secret"), seq=17, **change)
    with pytest.raises(CorruptRecording, match=r"^entry 17: the frame's head") as caught:
        exported([bad], 1, "server")
    assert "secret" not in str(caught.value)


def client_bytes() -> bytes:
    sent = [each for each in session() if each.kind == "frame" and each.sender == "client"]
    return b"".join(each.frame().serialize() for each in sent)


def test_the_only_socket_is_exported_to_a_file_and_to_stdout(tmp_path: Path) -> None:
    recording = write(tmp_path / "a.track.jsonl", session())
    target = tmp_path / "client.bin"
    result = run("export", recording, "--to", "wire", "--sender", "client", "-o", target)
    assert (result.returncode, result.stdout) == (Exit.OK, b"")
    assert result.stderr == b"connection 2, client: 4 entries, 116 bytes\n"
    assert target.read_bytes() == client_bytes()
    result = run("export", recording, "--to", "wire", "--sender", "client", "-o", "-")
    assert result.stdout == client_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.track.jsonl", "client.bin"]


def test_an_existing_file_is_kept_without_force(tmp_path: Path) -> None:
    recording = write(tmp_path / "a.track.jsonl", session())
    target = tmp_path / "out.bin"
    target.write_bytes(b"mine")
    arguments = ("export", recording, "--to", "wire", "--sender", "server", "-o", target)
    result = run(*arguments)
    assert result.returncode == Exit.EXISTS
    assert b"--force" in result.stderr
    assert target.read_bytes() == b"mine"
    assert run(*arguments, "--force").returncode == Exit.OK
    assert target.read_bytes().startswith(b"\x81\x1d{")


def test_force_replaces_what_a_link_points_to_and_nothing_but_files(tmp_path: Path) -> None:
    recording = write(tmp_path / "a.track.jsonl", session())
    target = tmp_path / "out.bin"
    target.touch()
    link = tmp_path / "link"
    link.symlink_to(target)
    arguments = ("export", recording, "--to", "wire", "--sender", "client", "--force", "-o")
    assert run(*arguments, link).returncode == Exit.OK
    assert link.is_symlink()
    assert target.read_bytes() == client_bytes()
    for place in (tmp_path, tmp_path / "none" / "out.bin"):
        assert run(*arguments, place).returncode == Exit.EXISTS


def test_nothing_half_written_is_left_when_the_recording_is_damaged(tmp_path: Path) -> None:
    entries = [UPGRADED, frame("server", b"{}"), frame("server", b"secret", opcode=Opcode.BINARY)]
    recording = write(tmp_path / "a.track.jsonl", entries)
    recording.write_bytes(recording.read_bytes().replace(b'"8206"', b'"8207"'))
    target = tmp_path / "out.bin"
    result = run("export", recording, "--to", "wire", "--sender", "server", "-o", target)
    assert result.returncode == Exit.BAD_DATA
    assert b"secret" not in result.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["a.track.jsonl"]


def test_a_redacted_recording_says_that_it_is_not_the_original(tmp_path: Path) -> None:
    entries = [frame("server", b"{}", redacted=True), frame("server", b"[]"), frame("client", b"1")]
    recording = write(tmp_path / "a.track.jsonl", entries)
    warning = b"1 of 2 entries were redacted: this is not the original\n"
    result = run("export", recording, "--to", "wire", "--sender", "server", "-o", "-")
    assert (result.returncode, result.stderr.endswith(warning)) == (Exit.OK, True)
    result = run("export", recording, "--to", "wire", "--sender", "client", "-o", "-")
    assert b"redacted" not in result.stderr


def test_a_torn_recording_gives_what_was_readable(tmp_path: Path) -> None:
    recording = write(tmp_path / "a.track.jsonl", [frame("server", b"{}"), frame("server", b"[]")])
    whole = recording.read_bytes()
    recording.write_bytes(whole[: whole.index(b"[]") + 1])
    result = run("export", recording, "--to", "wire", "--sender", "server", "-o", "-")
    assert (result.returncode, result.stdout) == (Exit.OK, b"\x81\x02{}")
    assert b"is torn: " in result.stderr


@pytest.mark.parametrize(
    ("entries", "options", "status", "words"),
    [
        (
            [frame("server", b"1", connection=3), frame("server", b"2", connection=5)],
            [],
            Exit.USAGE,
            b"there are 3, 5",
        ),
        (
            [frame("server", b"1", connection=3)],
            ["--connection", "4"],
            Exit.USAGE,
            b"those that have are 3",
        ),
        ([], [], Exit.BAD_DATA, b"no WebSocket connection"),
    ],
    ids=["several sockets", "no such socket", "no socket"],
)
def test_a_connection_that_cannot_be_told(
    tmp_path: Path, entries: list, options: list, status: int, words: bytes
) -> None:
    recording = write(tmp_path / "a.track.jsonl", entries)
    target = tmp_path / "out.bin"
    result = run("export", recording, "--to", "wire", "--sender", "server", "-o", target, *options)
    assert result.returncode == status
    assert words in result.stderr
    assert not target.exists()


def test_frames_that_were_never_seen_cannot_be_exported(tmp_path: Path) -> None:
    recording = write(tmp_path / "a.track.jsonl", [message("server", b"{}")], fidelity="messages")
    result = run("export", recording, "--to", "wire", "--sender", "server", "-o", "-")
    assert (result.returncode, result.stdout) == (Exit.BAD_DATA, b"")
    assert b"fidelity 'messages'" in result.stderr


def test_a_missing_recording_is_said_so(tmp_path: Path) -> None:
    result = run("export", tmp_path / "none", "--to", "wire", "--sender", "client", "-o", "-")
    assert result.returncode == Exit.NO_INPUT
