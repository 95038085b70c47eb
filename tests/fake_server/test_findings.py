"""What a contract test fails for, and how it is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.findings import BESIDES, Finding, findings, report
from fake_server.server import FakeServer
from recorder.track.violations import RULES, Violation
from tests.fake_server.support import DEVICES, POSITION, quiet, said, script_of, serving, upgrade
from tests.profiles import examples

SECRET = b'{"devices":[{"id":1,"token":"hunter2","name":"%s"}]}' % (b"x" * 400)


def names(found: list[Finding]) -> list[str]:
    return [one.name for one in found]


def broken(rule: str, *, at_ns: int = 0) -> Violation:
    return Violation.of(rule, seen=f"saw \x1b {at_ns}", expected="more", connection=3, at_ns=at_ns)


async def test_a_quiet_server_has_no_findings() -> None:
    async with serving(quiet()) as fake:
        assert findings(fake.server, require_all=True) == []
    assert report([]) == []


async def test_violations_are_grouped_and_the_first_three_are_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    await trio.sleep(10)
    async with serving(quiet()) as fake:
        start_ns = fake.server.hub.started_ns
        fake.server.violations.report([broken("rest.polling", at_ns=start_ns)])
        fake.server.violations.report(
            broken("pong.missing", at_ns=start_ns + number * 1_500_000_000) for number in range(5)
        )
        polling, missing = findings(fake.server)
    assert (polling.name, polling.count, len(polling.detail)) == ("rest.polling", 1, 1)
    assert (missing.name, missing.section, missing.count) == ("pong.missing", "3.3", 5)
    assert missing.title == RULES["pong.missing"][1]
    assert len(missing.detail) == 3
    assert missing.detail[1].startswith("connection 3, 1.500 s: saw \\x1b ")
    assert missing.detail[1].endswith("; expected more")


async def test_an_open_socket_is_a_finding_until_it_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket(await fake.cookie())
        await trio.sleep(2.5)
        [left] = findings(fake.server)
        assert (left.name, left.count) == ("socket.left-open", 1)
        assert left.detail == ("socket 1 of demo@example.com (connection 2), open for 2.500 s",)
        await client.close()
        await trio.testing.wait_all_tasks_blocked()
        assert findings(fake.server) == []


async def test_untaken_messages_are_findings_where_all_is_required(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(
        tmp_path, [*upgrade(), said(DEVICES, 1), said(SECRET, 2), *[said(POSITION, 9)] * 3]
    )
    async with serving(script) as fake:
        assert findings(fake.server) == []
        [untaken] = findings(fake.server, require_all=True)
        client = await fake.socket()
        await client.listen(until_s=trio.current_time() + 1.5)
        await client.close()
        [fewer] = findings(fake.server, require_all=True, allow=["socket.*"])
    assert (untaken.name, untaken.count, len(untaken.detail)) == ("message.untaken", 5, 3)
    assert untaken.detail[0] == "recorded socket 1, 1.000 s: " + DEVICES.decode()
    assert "hunter2" not in untaken.detail[1]
    assert untaken.detail[1].endswith("…")
    assert (fewer.count, fewer.detail[1]) == (4, untaken.detail[2])


async def test_a_failure_of_the_server_tells_what_was_raised_and_where() -> None:
    async with serving(quiet()) as fake:
        fake.server.failures.append(
            'Traceback (most recent call last):\n  File "/a.py", line 1, in f\n    g()\n'
            '  File "/b.py", line 2, in g\n    raise ValueError("x")\nValueError: token=hunter2\n'
        )
        [failed] = findings(fake.server)
    assert (failed.name, failed.section, failed.count) == ("server.failed", "", 1)
    [words] = failed.detail
    assert words.startswith("ValueError: token=[redacted")
    assert words.endswith(', at File "/b.py", line 2, in g')


@pytest.mark.parametrize(
    ("allow", "left"),
    [
        (["pong.missing"], ["pong.late", "socket.left-open"]),
        (["pong.*"], ["socket.left-open"]),
        (["*"], []),
        (["socket.left-open", "p*.late", "message.untaken"], ["pong.missing"]),
    ],
)
async def test_what_is_allowed_by_name_or_pattern_is_left_out(
    allow: list[str], left: list[str]
) -> None:
    async with serving(quiet()) as fake:
        await fake.socket()
        fake.server.violations.report([broken("pong.missing"), broken("pong.late")])
        assert names(findings(fake.server, allow=allow)) == left


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("pong.mising", "pong.missing"),
        ("sockets.left-open", "socket.left-open"),
        ("message.untake", "message.untaken"),
        ("", None),
    ],
)
def test_a_name_that_nothing_has_is_refused_with_the_nearest(name: str, near: str | None) -> None:
    with pytest.raises(ValueError, match="allow: there is no finding") as raised:
        findings(FakeServer(quiet()), allow=["pong.*", name])
    assert repr(name) in str(raised.value)
    if near is not None:
        assert f"did you mean {near!r}?" in str(raised.value)


def test_a_report_sums_up_tells_each_and_how_it_is_allowed() -> None:
    found = [
        Finding(
            name="pong.missing",
            title="Every PING is answered.",
            section="3.3",
            detail=("connection 2, 20.000 s: PING a was not answered; expected pong a",) * 3,
            count=5,
        ),
        Finding(name="frame.broken", title="Whole.", section="RFC 6455 5", detail=("x",), count=1),
        Finding(
            name="socket.left-open",
            title=BESIDES["socket.left-open"],
            section="",
            detail=("socket 1 of a@example.com (connection 2), open for 2.500 s",),
            count=1,
        ),
    ]
    told = "    connection 2, 20.000 s: PING a was not answered; expected pong a"
    assert report(found) == [
        "3 findings: pong.missing (5 times), frame.broken (1 time), socket.left-open (1",
        "    time)",
        "pong.missing (manual 3.3), 5 times: Every PING is answered.",
        told,
        told,
        told,
        "    and 2 more",
        "frame.broken (RFC 6455 5), 1 time: Whole.",
        "    x",
        "socket.left-open, 1 time: Every socket that was opened is closed.",
        "    socket 1 of a@example.com (connection 2), open for 2.500 s",
        'What is meant to be can be allowed: allow=["pong.missing", "frame.broken",',
        '    "socket.left-open"]',
    ]


TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=300)


@settings(max_examples=examples(50))
@given(
    st.lists(
        st.builds(
            Finding,
            name=st.sampled_from([*RULES, *BESIDES]),
            title=TEXT,
            section=st.sampled_from(["", "3.3", "RFC 6455 5"]),
            detail=st.lists(TEXT, max_size=3).map(tuple),
            count=st.integers(3, 10**9),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_report_has_80_columns_and_every_name(found: list[Finding]) -> None:
    lines = report(found)
    assert max(map(len, lines)) <= 80
    for one in found:
        assert any(line.startswith(one.name) for line in lines)
