"""`track-recorder import`, from the command line to the recording."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.cli import cli
from recorder.console import run_command
from recorder.errors import DiskFailed, ImportFailed
from recorder.exits import Exit
from recorder.importers import curl_log, import_file, text_dump
from recorder.model import Bytes, End, FrameEntry, MessageEntry, Response
from recorder.recording import Reader, Writer, with_seq
from recorder.wire.frames import Frame, Opcode
from tests.profiles import examples

FIXTURES = Path(__file__).parents[2] / "fixtures"
CURL = FIXTURES / "curl-capture.bin"
EXCERPT = FIXTURES / "manual-excerpt.txt"
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nServer: nginx\r\n\r\n"
FRAME = Frame.make(Opcode.TEXT, b'{"devices":[]}').serialize()
LOGIN = b'HTTP/1.1 200 OK\r\nSet-Cookie: JSESSIONID=node0abcdef; Path=/api\r\n\r\n{"name":"n"}\n'


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process."""

    def run_it(*arguments: str | Path, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["track-recorder", "import", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            run_command(cli)
        return Ran(ended.value.code, *capsys.readouterr())

    return run_it


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def read(path: Path) -> list[object]:
    with Reader(path) as reader:
        found = list(reader)
    assert isinstance(found[-1], End)
    return found[:-1]


@pytest.mark.parametrize("name", ["r.track.jsonl", "r.track.jsonl.zst"])
def test_a_curl_capture_becomes_a_recording_of_its_frames(
    run: Run, tmp_path: Path, name: str
) -> None:
    made = tmp_path / name
    ran = run(CURL, "-o", made, "--redact", "none")
    assert ran.code == Exit.OK
    assert ran.err == ""
    assert ran.out.splitlines() == [
        "format    curl (WebSocket frames)",
        "messages  15",
        "frames    20",
        "skipped   0 bytes before the HTTP head or first frame",
        "unread    0 bytes",
        "redacted  nothing",
    ]
    with Reader(made) as reader:
        header = reader.header
    assert (header.mode, header.fidelity, header.timing) == ("import", "wire", "none")
    assert header.upstream is None
    assert header.redaction.profile == "none"
    meta = {name: bytes(value) for name, value in header.meta.items()}
    assert meta == {"imported_from": b'"curl"', "file": b'"curl-capture.bin"'}
    expected = list(curl_log.entries([CURL.read_bytes()]))
    assert read(made) == [with_seq(entry, seq) for seq, entry in enumerate(expected, 1)]
    assert files_in(tmp_path) == {name}


def test_a_har_becomes_a_recording_of_its_exchanges_and_messages(run: Run, tmp_path: Path) -> None:
    made = tmp_path / "r.track.jsonl"
    ran = run(FIXTURES / "har" / "firefox.har", "-o", made)
    assert ran.code == Exit.OK
    assert ran.out.splitlines() == [
        "format    har (exchanges and messages)",
        "messages  0",
        "exchanges 5",
        "left out  bodies that the HAR does not hold: 1",
        "left out  pages: 1",
        "left out  sockets without messages, as Firefox saves them: 1",
        "unread    0 bytes",
        "redacted  cookie 5, email 1, password 1",
    ]
    assert files_in(tmp_path) == {"r.track.jsonl"}


def test_a_torn_har_is_said_to_be_torn(run: Run, tmp_path: Path) -> None:
    data = (FIXTURES / "browser.har").read_bytes()[:60_000]
    ran = run("-", "-o", tmp_path / "r.track.jsonl", stdin=data)
    assert ran.code == Exit.OK
    torn = "torn      it ends at byte 60000, inside a value; what came before was imported"
    assert torn in ran.out.splitlines()


def test_a_compressed_file_may_hold_only_so_much(run: Run, tmp_path: Path) -> None:
    made = tmp_path / "r.track.jsonl"
    bomb = gzip.compress(HEAD + FRAME * 1_000_000)
    ran = run("-", "-o", made, "--max-bytes", "1000000", stdin=bomb)
    assert ran.code == Exit.BAD_DATA
    assert "it holds more than 1000000 bytes once expanded" in ran.err
    assert run("-", "-o", made, "--max-bytes", "1M", stdin=bomb).err == ran.err
    assert "--max-bytes" in ran.err
    assert files_in(tmp_path) == set()
    assert run("-", "-o", made, "--max-bytes", "100", stdin=gzip.compress(HEAD)).code == Exit.OK


def test_the_manuals_excerpt_becomes_a_recording_of_messages(run: Run, tmp_path: Path) -> None:
    made = tmp_path / "r.track.jsonl"
    ran = run(EXCERPT, "-o", made, "--redact", "none")
    assert ran.code == Exit.OK
    assert ran.out.splitlines()[:3] == [
        "format    text (JSON texts)",
        "messages  3",
        "frames    0",
    ]
    with Reader(made) as reader:
        assert reader.header.fidelity == "text"
    expected = list(text_dump.entries([EXCERPT.read_bytes()]))
    assert read(made) == [with_seq(entry, seq) for seq, entry in enumerate(expected, 1)]


def test_stdin_is_read_by_the_installed_command(tmp_path: Path) -> None:
    made = tmp_path / "r.track.jsonl"
    command = Path(sys.executable).with_name("track-recorder")
    done = subprocess.run(
        [command, "import", "-", "-o", made],
        input=b"Logged In...\n" + HEAD + FRAME + FRAME[:5],
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    lines = done.stdout.decode().splitlines()
    assert "skipped   13 bytes before the HTTP head or first frame" in lines
    assert "unread    5 bytes (the stream ended inside a frame)" in lines
    assert sum(isinstance(entry, FrameEntry) for entry in read(made)) == 1


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (HEAD + FRAME, "curl"),
        (HEAD, "curl"),
        (HEAD + FRAME[:3], "curl"),
        (HEAD + FRAME[:1], "curl"),
        (FRAME, "curl"),
        (b"Logged In...\n" + FRAME, "curl"),
        (b"HTTP/1.1 503 Service Unavailable\r\nServer: nginx\r\n\r\n<h1>503</h1>", "curl"),
        (LOGIN + HEAD + FRAME, "curl"),
        (HEAD + b'~\n{"devices":[]}~{"positions":[]}', "text"),
        (HEAD.replace(b"\r\n", b"\n\n") + b"~{}", "text"),
        (HEAD.replace(b"\r\n", b"\n\n"), "text"),
        (b"HTTP/1.1 503 x\n\nServer: nginx\n\n~{}", "text"),
        (b'{"devices":[]}~{"positions":[]}', "text"),
        ('{"name":"É2"}\n'.encode() * 40, "text"),
    ],
)
def test_the_format_is_told_by_the_file(run: Run, tmp_path: Path, data: bytes, found: str) -> None:
    made = tmp_path / "r.track.jsonl"
    ran = run("-", "-o", made, stdin=data)
    assert ran.code == Exit.OK
    with Reader(made) as reader:
        meta = {name: bytes(value).decode() for name, value in reader.header.meta.items()}
        assert meta == {"imported_from": f'"{found}"', "file": '"stdin"'}


def test_the_format_can_be_given(run: Run, tmp_path: Path) -> None:
    made = tmp_path / "r.track.jsonl"
    assert run("-", "--from", "text", "-o", made, stdin=HEAD + FRAME).code == Exit.OK
    assert [type(entry) for entry in read(made)[1:-1]] == [Response, Bytes, MessageEntry]


def test_secrets_are_taken_out_unless_told_otherwise(run: Run, tmp_path: Path) -> None:
    made, plain = tmp_path / "r.track.jsonl", tmp_path / "plain.track.jsonl"
    ran = run("-", "-o", made, stdin=LOGIN + HEAD + FRAME)
    assert "redacted  cookie 1" in ran.out
    assert "node0abcdef" not in made.read_text("utf-8") + ran.out + ran.err
    run("-", "-o", plain, "--redact", "none", stdin=LOGIN + HEAD + FRAME)
    assert "node0abcdef" in plain.read_text("utf-8")


def test_an_unfinished_message_at_the_end_of_the_file_is_written_too(
    run: Run, tmp_path: Path
) -> None:
    made = tmp_path / "r.track.jsonl"
    fragment = Frame.make(Opcode.TEXT, b'{"devices":[', fin=False).serialize()
    ran = run("-", "-o", made, stdin=HEAD + FRAME + fragment)
    assert ran.out.splitlines()[1:3] == ["messages  1", "frames    2"]
    assert [entry.kind for entry in read(made)] == ["open", "response", "frame", "frame", "closed"]


def test_an_existing_recording_is_replaced_only_by_force(run: Run, tmp_path: Path) -> None:
    made = tmp_path / "r.track.jsonl"
    made.write_text("mine")
    ran = run(CURL, "-o", made)
    assert ran.code == Exit.EXISTS
    assert "--force" in ran.err
    assert made.read_text() == "mine"
    assert run(CURL, "-o", made, "--force").code == Exit.OK
    assert len(read(made)) > 20
    assert files_in(tmp_path) == {"r.track.jsonl"}


def test_a_folder_that_is_not_there_is_said(run: Run, tmp_path: Path) -> None:
    ran = run(CURL, "-o", tmp_path / "no" / "r.track.jsonl")
    assert ran.code == Exit.EXISTS
    assert "no such folder" in ran.err


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"hello", "nothing in its 5 bytes could be read; expected the raw output of `curl"),
        (b'{"log":{"version":"1.2"}}', 'nothing in it could be read; expected a HAR ({"log":'),
        (b'\xef\xbb\xbf{\n  "log": {"entries":[]}}', "expected a HAR"),
        (b'{"log":{"entries":[{"request":', "could be read (it ends at byte 30; expected a value"),
        (b'{"kind":"header","format":"track-recording"}\n{}', "this is a recording already"),
        (b"\x28\xb5\x2f\xfd" + FRAME, "its zstd data is damaged behind 0 expanded bytes"),
    ],
)
def test_what_cannot_be_imported_says_why_and_leaves_nothing(
    run: Run, tmp_path: Path, data: bytes, said: str
) -> None:
    ran = run("-", "-o", tmp_path / "r.track.jsonl", stdin=data)
    assert ran.code == Exit.BAD_DATA
    assert said in ran.err
    assert ran.out == ""
    assert files_in(tmp_path) == set()


def test_a_failed_import_leaves_what_was_there(run: Run, tmp_path: Path) -> None:
    made = tmp_path / "r.track.jsonl"
    made.write_text("mine")
    assert run("-", "-o", made, "--force", stdin=b"hello").code == Exit.BAD_DATA
    assert made.read_text() == "mine"
    assert files_in(tmp_path) == {"r.track.jsonl"}


def test_a_disk_that_fails_leaves_no_half_recording(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DiskFailed("no space left")

    monkeypatch.setattr(Writer, "write", fail)
    assert run(CURL, "-o", tmp_path / "r.track.jsonl").code == Exit.DISK_FAILED
    assert files_in(tmp_path) == set()


def test_a_disk_that_fails_at_the_end_hides_no_error_and_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Writer.abort

    def fail(writer: Writer) -> None:
        real(writer)
        raise DiskFailed("no space left")

    monkeypatch.setattr(Writer, "abort", fail)
    ran = run("-", "-o", tmp_path / "r.track.jsonl", stdin=b"hello")
    assert ran.code == Exit.BAD_DATA
    assert files_in(tmp_path) == set()


def test_a_folder_is_no_recording_even_by_force(run: Run, tmp_path: Path) -> None:
    made = tmp_path / "r.track.jsonl"
    made.mkdir()
    assert run(CURL, "-o", made, "--force").code == Exit.EXISTS
    assert files_in(tmp_path) == {"r.track.jsonl"}


@pytest.mark.parametrize("file", ["missing.bin", "."])
def test_an_input_that_cannot_be_opened_is_said(run: Run, tmp_path: Path, file: str) -> None:
    ran = run(tmp_path / file, "-o", tmp_path / "r.track.jsonl")
    assert ran.code == Exit.NO_INPUT
    assert str(tmp_path / file) in ran.err
    assert files_in(tmp_path) == set()


def test_an_input_that_fails_while_it_is_read_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("recorder.commands.importing._opened", lambda _: Failing())
    ran = run("x.bin", "-o", tmp_path / "r.track.jsonl")
    assert ran.code == Exit.NO_INPUT
    assert "x.bin: reading failed: Input/output error" in ran.err
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["x.bin"],
        ["-o", "r.track.jsonl"],
        ["x.bin", "-o", "r.track.jsonl", "--from", "pcap"],
        ["x.bin", "-o", "r.track.jsonl", "--max-bytes", "0"],
        ["x.bin", "-o", "r.track.jsonl", "--redact", "some"],
    ],
)
def test_a_wrong_command_line_is_a_usage_error(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).code == Exit.USAGE


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(lambda text: text.encode("utf-8")),
        st.binary(max_size=30).map(lambda data: HEAD + data),
        st.integers(0, len(HEAD + FRAME)).map(lambda cut: (HEAD + FRAME)[:cut]),
    ),
    st.sampled_from(["auto", "curl", "text", "har"]),
)
def test_any_bytes_become_a_recording_or_a_refusal(tmp_path: Path, data: bytes, form: str) -> None:
    made = tmp_path / "r.track.jsonl"
    try:
        import_file(io.BytesIO(data), made, name="x", form=form, force=True)
    except ImportFailed:
        assert files_in(tmp_path) <= {made.name}
    else:
        assert len(read(made)) >= 2
        assert files_in(tmp_path) == {made.name}
