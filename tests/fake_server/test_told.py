"""What is told of doings, expectations and findings: bounded, without secrets, and about the right
thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from fake_server.expectations import Expectation, ExpectationFailed, Expectations
from fake_server.findings import BESIDES, Finding, findings, findings_of, report
from fake_server.journal import Doing, Journal
from fake_server.playback import Playback
from fake_server.violation_log import ViolationLog
from recorder.redaction import Redactor
from tests.fake_server.support import said, script_of, serving, upgrade


def doing(kind: Any, **fields: Any) -> Doing:
    return Doing(number=1, at_ns=0, kind=kind, **fields)


def journal(*passwords: str) -> Journal:
    """One on trio's clock where there is one, else at rest."""

    def clock() -> int:
        return round(trio.current_time() * 1e9) if trio.lowlevel.in_trio_run() else 0

    made = Journal(clock)
    made.learn_passwords(passwords)
    return made


# Doings


def test_a_line_of_words_is_bounded_whatever_the_client_sent() -> None:
    asked = doing("request", method="M" * 999, target="/" + "t" * 999, status=404)
    assert journal().words(asked) == f"{'M' * 20} /{'t' * 199}, answered 404"
    said = doing("text", payload=b"x" * 999, socket=1)
    assert journal().words(said) == f"sent {'x' * 200!r} on socket 1"


def test_secrets_are_neither_in_words_nor_in_fields() -> None:
    noted = journal("hunter-22")
    asked = doing("request", method="GET", target="/a?token=abcdef&q=hunter-22", connection=3)
    said = doing("text", payload=b'{"password":"other","q":"hunter-22"}', socket=1)
    for one in (asked, said):
        for secret in ("abcdef", "hunter-22", "other"):
            assert secret not in noted.words(one)
            assert secret not in str(noted.fields(one))
    fields = noted.fields(asked)
    assert fields["target"].startswith("/a?token=")
    assert (fields["what"], fields["connection"]) == ("request", 3)
    assert "socket" not in fields


# Expectations in vain


async def failure(noted: Journal, what: str, within_s: float = 0.0, **values: Any) -> str:
    with pytest.raises(ExpectationFailed) as caught:
        await Expectations(noted).fulfil(Expectation.of(what, **values), within_s=within_s)
    return str(caught.value)


async def test_five_doings_are_told_whole_and_of_more_how_many(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    noted = journal()

    async def client(count: int) -> None:
        for number in range(count):
            noted.note("text", payload=b"%d" % number, socket=1)

    for count, told in ((5, "meanwhile:"), (6, "meanwhile, the last 5 of 6:")):
        nursery.start_soon(client, count)
        lines = (await failure(noted, "close", within_s=1.0)).splitlines()
        assert lines[0] == f"waited 1.0 s for a close frame; {told}"
        assert sum(line.startswith("  ") for line in lines) == 5


async def test_the_unanswered_ping_that_is_named_is_of_the_socket_that_was_asked_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    noted = journal()
    for number in (1, 2):
        noted.note("socket", socket=number)
        noted.note("ping", socket=number, uuid=f"u-{number}")
    for number in (1, 2):
        text = await failure(noted, "pong", socket=number)
        assert text.splitlines()[-1] == (
            f"the PING u-{number} to socket {number} is unanswered since 0.0 s"
        )
    noted.note("pong", socket=1, uuid="u-1")
    assert "PING u-2 to socket 2" in await failure(noted, "pong", uuid="u-3")


async def test_only_requests_are_near_to_a_request(autojump_clock: trio.testing.MockClock) -> None:
    noted = journal()
    noted.note("socket", socket=1)
    assert "nearest" not in await failure(noted, "request")
    noted.note("request", method="GET", target="/api/devices", status=200)
    text = await failure(noted, "request", method="GET", path="/api/device")
    assert text.splitlines()[-1] == "the nearest request was GET /api/devices, answered 200"


# Findings


def found(**what: Any) -> list[Finding]:
    nothing: dict[str, Any] = {
        "failures": [],
        "violations": ViolationLog(),
        "left_open": [],
        "redactor": Redactor("secrets"),
        "allow": (),
    }
    return findings_of(**{**nothing, **what})


def test_of_each_kind_three_are_told_and_all_are_counted() -> None:
    many = [f"socket {number}" for number in range(5)]
    failed, left_open = found(failures=[f"KeyError: {one}" for one in many], left_open=many)
    assert (failed.name, failed.count, failed.detail) == (
        "server.failed",
        5,
        ("KeyError: socket 0", "KeyError: socket 1", "KeyError: socket 2"),
    )
    assert (left_open.name, left_open.count) == ("socket.left-open", 5)
    assert left_open.detail == ("socket 0", "socket 1", "socket 2")
    assert left_open.title == BESIDES["socket.left-open"]


@pytest.mark.parametrize(
    ("count", "more"), [(3, None), (4, "    and 1 more"), (9, "    and 6 more")]
)
def test_what_is_counted_and_not_told_is_said(count: int, more: str | None) -> None:
    lines = report(found(left_open=["socket"] * count))
    assert [line for line in lines if "more" in line] == ([more] if more else [])


def test_a_failure_is_told_by_its_error_and_the_last_place() -> None:
    traceback = (
        "Traceback (most recent call last):\n"
        '  File "/a.py", line 1, in first\n    second()\n'
        '  File "/b.py", line 2, in second\n    raise KeyError\n'
        "KeyError: 'password=hunter-22'\n"
    )
    redactor = Redactor("secrets")
    redactor.learn("password", "hunter-22")
    (failed,) = found(failures=[traceback], redactor=redactor)
    (line,) = failed.detail
    assert line.endswith(', at File "/b.py", line 2, in second')
    assert line.startswith("KeyError: ")
    assert "hunter-22" not in line
    assert found(failures=[""])[0].detail == ("",)


async def test_what_was_never_taken_is_told_by_its_socket_and_cut_where_it_is_long(
    tmp_path: Path,
) -> None:
    exact = b'{"a":"%s"}' % (b"x" * 152)
    assert len(exact) == 160
    script = script_of(tmp_path, [*upgrade(), said(exact), said(b" " + exact, 1)])
    for mode, where in (("per-connection", "recorded socket 1, "), ("shared", "")):
        async with serving(script, playback=Playback(mode=mode, paused=True)) as fake:
            (untaken,) = findings(fake.server, require_all=True)
        told = exact.decode()
        assert untaken.detail == (f"{where}0.000 s: {told}", f"{where}1.000 s:  {told[:-1]}…")


def test_what_was_never_taken_is_not_even_looked_for_where_it_is_allowed() -> None:
    looked: list[bool] = []

    def untaken() -> Iterator[Finding]:
        looked.append(True)
        yield Finding(name="message.untaken", title="", section="", detail=(), count=1)

    assert found(untaken=untaken(), allow=("message.*",)) == []
    assert looked == []
    assert [one.name for one in found(untaken=untaken(), allow=("pong.*",))] == ["message.untaken"]
