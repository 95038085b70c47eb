"""What is typed, or handed in, while something is recorded."""

from __future__ import annotations

import os
import pty
import signal
import termios
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.commands.keys import (
    MAX_LINE_CHARACTERS,
    LineEditor,
    Typed,
    is_fifo,
    read_chunks,
    single_keys,
)
from tests.profiles import examples


def lines(*chunks: bytes, keys: bool = True) -> list[str]:
    editor = LineEditor(keys=keys)
    return [typed.text for chunk in chunks for typed in editor.feed(chunk, 0)]


TYPED = {
    "a line": (b"gate 3 opens\r", ["gate 3 opens"]),
    "an empty line": (b"\n", [""]),
    "two lines at once": (b"one\ntwo\r", ["one", "two"]),
    "both line ends": (b"one\r\ntwo\r\n", ["one", "two"]),
    "an empty line between": (b"one\r\rtwo\r", ["one", "", "two"]),
    "beyond ASCII": ("Tür öffnet 🚪\r".encode(), ["Tür öffnet 🚪"]),
    "backspace": ("tüx\x7f\x7fürr\x08\r".encode(), ["tür"]),
    "backspace of nothing": (b"\x7f\x7fa\r", ["a"]),
    "the line taken back": (b"nonsense\x15right\r", ["right"]),
    "a word taken back": (b"one two \x17three\r", ["one three"]),
    "the only word taken back": (b"one\x17two\r", ["two"]),
    "an arrow": (b"a\x1b[Db\r", ["ab"]),
    "an arrow with Ctrl": (b"a\x1b[1;5Cb\r", ["ab"]),
    "F1": (b"a\x1bOPb\r", ["ab"]),
    "Delete": (b"a\x1b[3~b\r", ["ab"]),
    "Alt with a key": (b"a\x1bfb\r", ["ab"]),
    "other control keys": (b"a\x01\x04\x05\x0b\x00b\r", ["ab"]),
    "a tab": (b"a\tb\r", ["a\tb"]),
    "no UTF-8": (b"a\xff\xc3\r", ["a\ufffd\ufffd"]),
}


@pytest.mark.parametrize(("data", "expected"), TYPED.values(), ids=TYPED.keys())
def test_keys_make_lines(data: bytes, expected: list[str]) -> None:
    assert lines(data) == expected
    assert lines(*(bytes([byte]) for byte in data)) == expected


def test_what_a_program_hands_in_is_kept_but_for_line_ends() -> None:
    data = b"a\x7f\x1b[Db\x15 c\nlast"
    assert lines(data, b"", keys=False) == ["a\x7f\x1b[Db\x15 c", "last"]


def test_an_unfinished_line_ends_with_its_source() -> None:
    assert lines(b"half", b"") == ["half"]
    assert lines(b"whole\n", b"") == ["whole"]


def test_a_line_knows_when_it_was_begun() -> None:
    editor = LineEditor()
    assert editor.feed(b"x\x7f", 1) == []
    assert editor.feed(b"ga", 5) == []
    assert editor.text == "ga"
    assert editor.feed(b"te\r\r", 9) == [Typed("gate", 5, 9), Typed("", 9, 9)]


@given(st.integers(1, 3 * MAX_LINE_CHARACTERS))
@settings(max_examples=examples(5))
def test_a_line_without_an_end_is_cut(size: int) -> None:
    found = lines(b"x" * size, b"", keys=False)
    assert "".join(found) == "x" * size
    assert max(map(len, found)) <= MAX_LINE_CHARACTERS


@settings(max_examples=examples(100))
@given(st.lists(st.binary(max_size=12), max_size=6), st.booleans())
@example([b"\r", b"\n"], True)
@example([b"\xc3", b"\xa4"], False)
def test_chunks_change_nothing(chunks: list[bytes], keys: bool) -> None:
    chunks = [chunk for chunk in chunks if chunk]
    assert lines(*chunks, b"", keys=keys) == lines(b"".join(chunks), b"", keys=keys)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40))
@settings(max_examples=examples(100))
def test_what_is_typed_is_what_is_noted(text: str) -> None:
    assert lines(text.encode() + b"\r") == [text]


# Descriptors


async def test_chunks_come_as_they_are_written_until_the_end() -> None:
    reading, writing = os.pipe()
    got: list[bytes] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_chunks, reading, got.append)
        for chunk in (b"one\n", b"two"):
            os.write(writing, chunk)
            await trio.testing.wait_all_tasks_blocked(0.01)
        os.close(writing)
    assert got == [b"one\n", b"two", b""]
    os.close(reading)


@pytest.mark.parametrize("content", [b"", b"one\ntwo"])
async def test_a_file_is_read_to_its_end(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    got: list[bytes] = []
    fd = os.open(path, os.O_RDONLY)
    await read_chunks(fd, got.append)
    os.close(fd)
    assert b"".join(got) == content
    assert got[-1] == b""


async def test_a_terminal_that_is_gone_is_an_end() -> None:
    master, slave = pty.openpty()
    os.close(master)
    got: list[bytes] = []
    await read_chunks(slave, got.append)
    assert got == [b""]
    os.close(slave)


async def test_the_handling_of_sigttin_is_as_before_when_reading_is_over() -> None:
    before = signal.signal(signal.SIGTTIN, signal.SIG_DFL)
    reading, writing = os.pipe()
    with trio.move_on_after(0.0):
        await read_chunks(reading, lambda _: None)
    assert signal.signal(signal.SIGTTIN, before) == signal.SIG_DFL
    os.close(reading)
    os.close(writing)


def test_keys_are_handed_out_at_once_and_not_shown_and_then_as_before() -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    with single_keys(slave) as take:
        during = termios.tcgetattr(slave)
        assert not during[3] & (termios.ICANON | termios.ECHO)
        # Ctrl-C still interrupts.
        assert during[3] & termios.ISIG
        os.write(master, b"k")
        assert os.read(slave, 10) == b"k"
        # As a shell does it after Ctrl-Z.
        termios.tcsetattr(slave, termios.TCSANOW, before)
        take()
        assert termios.tcgetattr(slave) == during
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_a_terminal_that_is_another_groups_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    monkeypatch.setattr(os, "tcgetpgrp", lambda fd: os.getpgrp() + 1)
    before = termios.tcgetattr(slave)
    with single_keys(slave):
        assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


async def test_in_the_background_nothing_is_read_until_the_terminal_is_ours(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"for the shell\n")
    os.close(writing)
    monkeypatch.setattr(
        os, "tcgetpgrp", lambda fd: os.getpgrp() + (1 if trio.current_time() < 30 else 0)
    )
    got: list[tuple[bytes, float]] = []
    await read_chunks(reading, lambda data: got.append((data, trio.current_time())))
    assert got == [(b"for the shell\n", 30.0), (b"", 30.0)]
    os.close(reading)


def test_a_fifo_is_told_from_other_things(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    assert is_fifo(tmp_path / "fifo")
    assert not is_fifo(tmp_path / "file")
    assert not is_fifo(tmp_path / "missing")
