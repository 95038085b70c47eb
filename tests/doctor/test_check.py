"""The check as a whole: its end, its time, its recording, and servers that say anything."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.doctor import STEPS, Result, Surroundings, check, exit_code_of
from recorder.doctor.journal import Journal
from recorder.doctor.results import fail, ok, skipped, warn
from recorder.doctor.text import line_of_skipped, lines_of, verdict
from recorder.exits import Exit
from recorder.model import Note
from recorder.recording import Writer
from recorder.redaction import Redactor
from recorder.sink import Sink
from tests.doctor.support import (
    NOT_LOGGED_IN,
    backend,
    examine,
    examine_fake,
    outcomes,
    replying,
    says,
    silent,
)
from tests.fake_server.support import DEVICES, POSITION, quiet, serving
from tests.profiles import examples
from tests.recorder.scripted import (
    COOKIE,
    EMAIL,
    PASSWORD,
    Peer,
    assert_no_secret,
    close,
    header,
    read,
    text,
)

# Time


async def test_the_time_for_all_steps_is_limited(autojump_clock: trio.testing.MockClock) -> None:
    results = await examine(silent, total_s=12)
    says(
        results["http"],
        "fail",
        "not done when the 12 s for all steps were over",
        "--limit",
        exit_code=Exit.UNREACHABLE,
    )
    assert results["login"].seen == ("the time is over",)
    assert trio.current_time() == pytest.approx(12)


async def test_by_default_it_is_a_minute_more_than_the_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(DEVICES)) as fake:

        async def slow(*_: object) -> trio.abc.Stream:
            await trio.sleep(9)
            return fake.connect()

        results = await examine(connect=slow, wait_s=1)
        assert "f" in outcomes(results)
    assert trio.current_time() <= 61


async def test_what_is_open_is_closed_when_the_time_is_over(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ended = trio.Event()

    async def listen(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES))
        await peer.read_to_end()
        ended.set()

    results = await examine(backend(listen), total_s=20)
    assert outcomes(results)[-3:] == "ofs"
    with trio.fail_after(1):
        await ended.wait()


# Anything


FIELDS = b"Location: //\r\nSet-Cookie: a=b\r\nServer: \x1b]0;x\x07\r\n"
SAYINGS = st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=80).map(lambda data: b"HTTP/1.1 200 OK\r\n\r\n" + data),
    st.sampled_from([200, 204, 301, 401, 407, 426, 599]).map(
        lambda status: b"HTTP/1.1 %d \xff\x1b[0m\r\n%b\r\n{}" % (status, FIELDS)
    ),
)


@given(SAYINGS, SAYINGS, SAYINGS)
@example(b"HTTP/1.1 404 X\r\n\r\n", b"HTTP/1.1 200 X\r\nSet-Cookie:a=\r\n\r\n{}", b"")
@settings(max_examples=examples(60))
def test_whatever_a_server_says_is_a_result(first: bytes, login: bytes, rest: bytes) -> None:
    async def main() -> None:
        async def saying_so(peer: Peer, head: bytes) -> None:
            said = first if b"GET /api/session" in head else login if b"POST" in head else rest
            await peer.send(said)
            await peer.stream.aclose()

        parts = {f"/api/{name}": saying_so for name in ("devices", "beacons", "positions")}
        handle = backend(saying_so, first=saying_so, login=saying_so, rest=parts)
        results = await examine(handle)
        assert "f" in outcomes(results)
        assert all("".join(result.seen).isprintable() for result in results.values())

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@given(st.lists(st.binary(max_size=40), max_size=4), st.booleans())
@settings(max_examples=examples(30))
def test_whatever_a_socket_says_is_a_result(chunks: list[bytes], in_order: bool) -> None:
    async def main() -> None:
        async def saying_so(peer: Peer, head: bytes) -> None:
            await peer.accept(head, behind=text(POSITION))
            for chunk in chunks:
                await peer.send(chunk)
                await trio.sleep(0.3)
            if in_order:
                await peer.send(close(1000))

        results = await examine(backend(saying_so))
        assert exit_code_of(results.values()) == Exit.CONNECTION_LOST

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


# The recording


async def test_the_check_is_recorded_without_its_secrets(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    path = tmp_path / "check.track.jsonl"
    sink = Sink(Writer.create(path, header()), Redactor("secrets"), started_ns=time.monotonic_ns())

    async def listen(peer: Peer, head: bytes) -> None:
        await peer.accept(head, behind=text(DEVICES))
        await peer.send(close(1001, f"{EMAIL} {PASSWORD} {COOKIE}"))
        await peer.read_to_end()

    results = await examine(backend(listen), sink=sink)
    sink.close()
    entries = read(path)
    notes = [entry.text for entry in entries if isinstance(entry, Note)]
    assert [note.split(", ")[1] for note in notes] == [f"step {step}" for step in STEPS]
    assert notes[0] == "check, step url, ok\n" + results["url"].seen[0]
    assert "check, step push, fail" in notes[9]
    kinds = [entry.kind for entry in entries if entry.kind != "note"]
    exchanges = ["open", "request", "response", "body", "closed"]
    assert kinds[:5] == exchanges
    assert kinds[5:11] == ["open", "request", "body", "response", "body", "closed"]
    assert kinds[11:26] == exchanges * 3
    assert kinds[26:] == ["open", "request", "response", "frame", "frame", "frame", "closed", "end"]
    assert_no_secret(path.read_text())


@pytest.mark.parametrize(
    ("data", "closed"),
    [(b"", ("server", "eof")), (NOT_LOGGED_IN, ("recorder", "stopped"))],
)
async def test_who_ended_a_connection_is_recorded(
    data: bytes, closed: tuple[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "check.track.jsonl"
    sink = Sink(Writer.create(path, header()), Redactor("secrets"), started_ns=time.monotonic_ns())
    await examine(replying(data), sink=sink)
    sink.close()
    first = next(entry for entry in read(path) if entry.kind == "closed")
    assert (first.by, first.how) == closed


# What is shown


def test_the_exit_code_is_that_of_the_first_failure() -> None:
    results = [
        ok("url"),
        warn("tcp", means="", do=""),
        fail("login", means="", do="", exit_code=Exit.CONNECTION_LOST),
        fail("upgrade", means="", do=""),
    ]
    assert exit_code_of(results) == Exit.CONNECTION_LOST
    assert exit_code_of(results[:2]) == Exit.OK
    assert exit_code_of([]) == Exit.OK


@given(st.text(max_size=300))
@settings(max_examples=examples(60))
def test_what_is_shown_is_one_short_line_without_control_characters(text: str) -> None:
    shown = Journal().shown(text)
    assert shown.isprintable() or not shown
    assert len(shown) <= 121
    assert "\u202e" not in shown


@pytest.mark.parametrize("secret", ["hush", "p4ssw0rd with spaces", "ünïcode-secret"])
def test_a_learned_secret_is_not_shown(secret: str) -> None:
    journal = Journal()
    journal.learn("password", secret)
    assert secret not in journal.shown(f"before {secret} after")
    assert "before" in journal.shown(f"before {secret} after")


LONG = Result(
    step="upgrade",
    outcome="fail",
    seen=("seen " * 30, "x" * 100),
    means="means " * 30,
    do="do " * 60,
    exit_code=Exit.HANDSHAKE_REFUSED,
)


@pytest.mark.parametrize("width", [80, 60, 100])
def test_lines_fit_the_terminal(width: int) -> None:
    lines = lines_of(LONG, width)
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("FAIL  upgrade seen")
    assert all(line.startswith(" " * 14) for line in lines[1:])
    words = " ".join(lines).split()
    assert (words.count("seen"), words.count("means"), words.count("do")) == (30, 30, 60)


def test_skipped_steps_are_one_line() -> None:
    three = [skipped("push", "no"), skipped("ping", "no"), skipped("close", "no")]
    assert line_of_skipped(three) == "skip  push to close: no"
    assert line_of_skipped(three[:2]) == "skip  push, ping: no"
    assert line_of_skipped(three[:1]) == "skip  push: no"


def test_the_verdict_counts() -> None:
    results = [ok("url"), ok("dns"), warn("tcp", means="", do=""), skipped("tls", "")]
    assert verdict(results) == "nothing failed: 2 ok, 1 warn, 1 skipped"
    results.append(fail("rest", means="", do=""))
    results.append(fail("upgrade", means="", do=""))
    assert verdict(results) == "failed: rest, upgrade (2 ok, 1 warn, 1 skipped; exit code 1)"


async def test_results_are_told_as_they_come(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet(DEVICES)) as fake:
        at: dict[str, float] = {}

        async def connect(*_: object) -> trio.abc.Stream:
            return fake.connect()

        await check(
            "http://127.0.0.1",
            surroundings=Surroundings(connect=connect),
            on_result=lambda result: at.setdefault(result.step, trio.current_time()),
        )
    assert list(at) == list(STEPS)


async def test_the_fake_sees_nothing_against_its_rules(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(DEVICES)) as fake:
        for _ in range(2):
            await examine_fake(fake)
            await trio.sleep(60)
        assert fake.rules_broken == []
