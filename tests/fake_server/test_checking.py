"""What `run` asks of a program, and what its report says."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest
import trio
import trio.testing

from fake_server.commands.checking import Check, check_of, junit_cases, settled, write_junit
from fake_server.findings import BESIDES, Finding
from fake_server.playback import Playback
from recorder.errors import OutputExists
from recorder.track.violations import RULES
from replayer.junit import Case
from tests.fake_server.support import DEVICES, quiet, serving


def asked(**given: Any) -> Check | None:
    usual: dict[str, Any] = {"check": False, "require_all": False, "allow": (), "junit": None}
    return check_of(**{**usual, **given})


def check(**given: Any) -> Check:
    found = asked(check=True, **given)
    assert found is not None
    return found


def finding(name: str, count: int) -> Finding:
    return Finding(name=name, title="It is kept.", section="1", detail=("so",), count=count)


# What is asked


def test_nothing_is_asked_unless_something_is(tmp_path: Path) -> None:
    assert asked() is None
    assert asked(check=True) == Check(fails=True, require_all=False, allow=(), junit=None)
    junit = tmp_path / "report.xml"
    assert asked(junit=junit, require_all=True, allow=("pong.*",)) == Check(
        fails=False, require_all=True, allow=("pong.*",), junit=junit
    )
    assert list(tmp_path.iterdir()) == [], "it is not written yet"


@pytest.mark.parametrize("name", ["pong.missing", "pong.*", *BESIDES, "socket.*"])
def test_every_finding_can_be_allowed(name: str) -> None:
    assert check(allow=(name,)).allow == (name,)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"allow": ("pong.*",)}, "--allow needs --check or --junit-xml"),
        ({"require_all": True}, "--require-all needs --check or --junit-xml"),
        ({"check": True, "allow": ("pong.*", "pink.*")}, "there is no finding 'pink.\\*'"),
    ],
)
def test_what_would_do_nothing_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(click.UsageError, match=told):
        asked(**given)


def test_where_no_report_can_be_written_is_told_before(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "report.xml"):
        with pytest.raises(OutputExists):
            asked(junit=path)
    (tmp_path / "report.xml").write_text("of the last run")
    assert asked(junit=tmp_path / "report.xml") is not None


async def test_what_was_never_taken_is_looked_for_if_it_is_asked_for() -> None:
    async with serving(quiet(DEVICES), playback=Playback(paused=True)) as fake:
        assert check().findings(fake.server) == []
        (found,) = check(require_all=True).findings(fake.server)
        assert found.name == "message.untaken"
        assert check(require_all=True, allow=("message.*",)).findings(fake.server) == []


# The end of a program


async def test_every_socket_of_the_program_may_take_a_second_to_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        first, second = await fake.socket(), await fake.socket()
        started_s = trio.current_time()

        async def end() -> None:
            for client in (first, second):
                await trio.sleep(0.3)
                await client.stream.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(end)
            await settled(fake.server)
            assert trio.current_time() - started_s == pytest.approx(0.6, abs=0.05)
        await fake.socket()
        started_s = trio.current_time()
        await settled(fake.server)
        assert trio.current_time() - started_s == pytest.approx(1.0, abs=0.05)


# The report


def cases(code: int = 0, *found: Finding, **given: Any) -> dict[str, Case]:
    made = junit_cases("./it\x1b", code, 1.5, check(**given), found)
    assert [one.name for one in made] == ["./it\\x1b", *BESIDES, *RULES]
    return {one.name: one for one in made}


def test_the_program_has_passed_if_it_ended_with_0() -> None:
    passed, failed = cases()["./it\\x1b"], cases(3)["./it\\x1b"]
    assert (passed.outcome, passed.took_s) == ("passed", 1.5)
    assert (failed.outcome, failed.message, failed.took_s) == ("failed", "ended with 3", 1.5)
    assert failed.detail == "./it\\x1b ended with 3"


def test_each_finding_has_failed_was_skipped_or_has_passed() -> None:
    found = (finding("pong.missing", 1), finding("socket.left-open", 2))
    told = cases(0, *found, allow=("rest.*",))
    assert told["pong.missing"].message == "1 time: It is kept."
    assert told["socket.left-open"].message == "2 times: It is kept."
    assert "--allow" in told["pong.missing"].detail
    assert told["rest.polling"].outcome == "skipped"
    assert told["rest.polling"].message == "allowed"
    assert told["message.untaken"].message == "needs --require-all"
    assert told["server.failed"] == Case(group="findings", name="server.failed")
    failed = [name for name, one in told.items() if one.outcome == "failed"]
    assert failed == ["socket.left-open", "pong.missing"]
    asked_for = cases(0, require_all=True)["message.untaken"]
    assert asked_for.outcome == "passed"


def test_a_report_takes_the_place_of_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("report.xml")
    path.write_text("of the last run")
    write_junit(path, list(cases(3).values()))
    root = ElementTree.parse(path).getroot()
    assert [one.get("name") for one in root.iter("testcase")] == ["./it\\x1b", *BESIDES, *RULES]
    assert [one.name for one in tmp_path.iterdir()] == ["report.xml"]
