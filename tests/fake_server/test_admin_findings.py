"""What a contract test fails for, asked for by HTTP: the same as Python's fixtures have."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.findings import BESIDES, findings, report
from recorder.track.violations import RULES, Violation
from tests.fake_server.admin_client import ask, ask_over
from tests.fake_server.support import DEVICES, POSITION, quiet, said, script_of, serving, upgrade
from tests.profiles import examples

NAMES = [*RULES, *BESIDES, "pong.*", "*.polling", "*"]


@settings(max_examples=examples(60))
@given(
    broken=st.lists(st.sampled_from(list(RULES)), max_size=4),
    has_socket=st.booleans(),
    require_all=st.sampled_from([None, False, True]),
    allow=st.lists(st.sampled_from(NAMES), max_size=2),
)
def test_the_answer_is_what_python_finds(
    broken: list[str], has_socket: bool, require_all: bool | None, allow: list[str]
) -> None:
    async def run() -> None:
        async with serving(quiet(DEVICES)) as fake:
            if has_socket:
                await fake.socket()
            fake.server.violations.report(
                Violation.of(rule, seen="this", expected="that", connection=1, at_ns=0)
                for rule in broken
            )
            pairs = [("allow", name) for name in allow]
            if require_all is not None:
                pairs.insert(len(pairs) // 2, ("require_all", str(require_all).lower()))
            status, answer = await ask(fake, "GET", f"/findings?{urlencode(pairs)}")
            found = findings(fake.server, require_all=bool(require_all), allow=allow)
            assert (status, answer) == (
                200,
                {
                    "ok": not found,
                    "findings": json.loads(msgspec.json.encode(found)),
                    "report": "\n".join(report(found, how_to_allow=None)),
                },
            )

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_findings_are_told_with_their_detail_and_in_words(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, [*upgrade(), said(DEVICES, 1), said(POSITION, 9)])
    async with serving(script) as fake:
        assert await ask(fake, "GET", "/findings") == (
            200,
            {"ok": True, "findings": [], "report": ""},
        )
        client = await fake.socket(await fake.cookie())
        await client.listen(until_s=2.5)
        status, answer = await ask(fake, "GET", "/findings?require_all=true")
    assert (status, answer["ok"]) == (200, False)
    untaken, left = answer["findings"]
    assert untaken == {
        "name": "message.untaken",
        "title": "Every recorded message is taken.",
        "section": "",
        "detail": [f"recorded socket 1, 9.000 s: {POSITION.decode()}"],
        "count": 1,
    }
    assert left["detail"] == [
        f"socket 1 of demo@example.com (connection {client_connection(left)}), open for 2.500 s"
    ]
    assert answer["report"].splitlines()[0] == (
        "2 findings: message.untaken (1 time), socket.left-open (1 time)"
    )
    assert "allowed" not in answer["report"]


def client_connection(left: dict[str, list[str]]) -> str:
    return left["detail"][0].partition("connection ")[2].partition(")")[0]


async def test_what_is_under_way_when_it_is_asked_counts(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        http = fake.http()
        await ask_over(http, "GET")
        # Whose turn it is first is left to chance.
        for count in range(1, 11):
            client = await fake.socket()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.text, "hello")
                _, answer = await ask_over(http, "GET", "/findings?allow=socket.*")
            assert [(one["name"], one["count"]) for one in answer["findings"]] == [
                ("text.unknown", count)
            ]


async def test_after_a_reset_the_next_test_is_judged_for_itself(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(tmp_path, [*upgrade(), said(DEVICES, 1), said(POSITION, 9)])
    async with serving(script, on_error=lambda error: None) as fake:
        _, before = await ask(fake, "GET", "/findings?require_all=true")
        client = await fake.socket()
        await client.text("hello")
        await client.listen(until_s=2.5)
        fake.server.failures.append("ValueError: a bug")
        _, broken = await ask(fake, "GET", "/findings?require_all=true")
        assert [(one["name"], one["count"]) for one in broken["findings"]] == [
            ("server.failed", 1),
            ("text.unknown", 1),
            ("message.untaken", 1),
            ("socket.left-open", 1),
        ]
        await ask(fake, "POST", "/reset")
        assert (await ask(fake, "GET", "/findings?require_all=true"))[1] == before
        assert (await ask(fake, "GET", "/findings"))[1]["ok"]


def test_a_server_that_is_never_idle_answers_too() -> None:
    async def run() -> None:
        async with serving(quiet()) as fake, trio.open_nursery() as nursery:

            async def busy() -> None:
                while True:
                    await trio.lowlevel.checkpoint()

            nursery.start_soon(busy)
            assert (await ask(fake, "GET", "/findings"))[1]["ok"]
            assert trio.current_time() >= 0.5
            nursery.cancel_scope.cancel()

    trio.run(run, clock=trio.testing.MockClock(rate=100))
