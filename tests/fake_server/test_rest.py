"""The REST endpoints (manual section 4): what they show, when, and byte for byte."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from fake_server.hub import Playback
from recorder.model import Body, Response, encode_bytes
from recorder.track.sessions import random_session_id
from recorder.wire.frames import Frame, Opcode
from replayer.script import Script
from tests.fake_server.support import (
    BEACONS,
    DEVICES,
    MOVED,
    POSITION,
    TIMEOUT,
    Answer,
    Fake,
    exchange,
    quiet,
    said,
    script_of,
    serving,
    upgrade,
)

SNAPSHOT = b'[ {"id": 5, "speed":100.0,"name":"five"} , {"name":"one","id":1,"speed":1E+2}]'


async def get(fake: Fake, target: str, cookie: str | None = None) -> Answer:
    return await fake.http().ask(target, Cookie=cookie or await fake.cookie())


def moving(folder: Path) -> Script:
    return script_of(
        folder,
        [
            *upgrade(),
            said(TIMEOUT),
            said(DEVICES, 1),
            said(BEACONS, 1),
            said(POSITION, 2),
            said(MOVED, 10),
            said(b'{"devices":[{"id":1,"name":"renamed"}]}', 20),
        ],
    )


# What is shown, and when


async def test_before_any_socket_rest_shows_the_recorded_snapshot_byte_for_byte(
    tmp_path: Path,
) -> None:
    script = script_of(
        tmp_path,
        [*exchange("/api/devices", SNAPSHOT), *upgrade(2, 1), said(DEVICES, 2)],
    )
    async with serving(script) as fake:
        answer = await get(fake, "/api/devices")
    assert answer.status == 200
    assert answer.header("Content-Type") == "application/json"
    # The device 2 was not in the snapshot: it stands behind it, as the socket showed it first.
    assert answer.body == (
        b'[{"id": 5, "speed":100.0,"name":"five"},{"name":"one","id":1,"speed":1E+2},'
        b'{"name":"two","id":2}]'
    )


async def test_without_a_snapshot_it_shows_each_object_as_the_recording_did_first(
    tmp_path: Path,
) -> None:
    async with serving(moving(tmp_path)) as fake:
        bodies = [
            (await get(fake, f"/api/{kind}")).body for kind in ("devices", "beacons", "positions")
        ]
    assert bodies == [
        b'[{"id":1,"name":"one","speed":100.0},{"name":"two","id":2}]',
        b'[{"id":7,"name":"room"}]',
        b'[{"id":11,"deviceId":1,"rssi":-64}]',
    ]


async def test_of_several_snapshots_the_first_is_what_was_before_any_socket(
    tmp_path: Path,
) -> None:
    script = script_of(
        tmp_path,
        [
            *exchange("/api/devices", b'[{"id":1,"name":"before"}]', number=1),
            *upgrade(2, 1),
            said(TIMEOUT, 1),
            *exchange("/api/devices", b'[{"id":1,"name":"after"}]', number=2, at_s=50),
        ],
    )
    async with serving(script) as fake:
        assert (await get(fake, "/api/devices")).body == b'[{"id":1,"name":"before"}]'


async def test_a_compressed_snapshot_is_read_too(tmp_path: Path) -> None:
    # The format keeps the content encoding of a body.
    entries = exchange(
        "/api/devices", b"", headers=[("Content-Encoding", "gzip"), ("Content-Type", "x")]
    )
    packed = encode_bytes(gzip.compress(b'[{"id":1}]'))
    entries = [
        msgspec.structs.replace(entry, **({"text": None} | packed))
        if isinstance(entry, Body)
        else entry
        for entry in entries
    ]
    script = script_of(tmp_path, [*entries, *upgrade(), said(TIMEOUT)])
    async with serving(script) as fake:
        assert (await get(fake, "/api/devices")).body == b'[{"id":1}]'


async def test_exchanges_of_several_connections_may_have_the_same_number(tmp_path: Path) -> None:
    script = script_of(
        tmp_path,
        [
            *exchange("/api/devices", b'[{"id":1}]', number=1, connection=8),
            *exchange("/api/beacons", b'[{"id":2}]', number=1, connection=9),
            *upgrade(),
            said(TIMEOUT),
        ],
    )
    async with serving(script) as fake:
        assert (await get(fake, "/api/devices")).body == b'[{"id":1}]'
        assert (await get(fake, "/api/beacons")).body == b'[{"id":2}]'


async def test_it_shows_what_the_sessions_socket_was_played_so_far(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(moving(tmp_path)) as fake:
        cookie = await fake.cookie()
        await fake.socket(cookie)
        shown = []
        for at_s in (3, 11, 21):
            await trio.sleep_until(at_s)
            shown.append(
                [
                    (await get(fake, f"/api/{kind}", cookie)).body
                    for kind in ("devices", "positions")
                ]
            )
        other = await get(fake, "/api/positions", await fake.cookie())
    devices = b'[{"id":1,"name":"one","speed":100.0},{"name":"two","id":2}]'
    renamed = b'[{"id":1,"name":"renamed"},{"name":"two","id":2}]'
    first, moved = (
        b'[{"id":11,"deviceId":1,"rssi":-64}]',
        b'[{"id":12,"deviceId":1,"rssi":-65.0}]',
    )
    assert shown == [[devices, first], [devices, moved], [renamed, moved]]
    assert other.body == first  # another session has seen nothing yet


async def test_of_several_sockets_the_furthest_is_shown_and_kept_after_it_closed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(moving(tmp_path)) as fake:
        cookie = await fake.cookie()
        first = await fake.socket(cookie)
        await trio.sleep_until(15)
        await fake.socket(cookie)
        moved = b'[{"id":12,"deviceId":1,"rssi":-65.0}]'
        assert (await get(fake, "/api/positions", cookie)).body == moved
        await first.close()
        await first.stream.aclose()
        await trio.sleep_until(19)
        assert (await get(fake, "/api/positions", cookie)).body == moved
        # The second socket overtakes the first at 35 s.
        await trio.sleep_until(36)
        assert b"renamed" in (await get(fake, "/api/devices", cookie)).body


async def test_fragments_count_when_their_message_is_whole_and_binary_never(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = script_of(
        tmp_path,
        [
            *exchange("/api/positions", b"[]"),
            *upgrade(2, 0),
            said(POSITION, 0),
            said(Frame.make(Opcode.BINARY, MOVED), 1),
            said(Frame.make(Opcode.TEXT, MOVED[:9], fin=False), 5),
            said(Frame.make(Opcode.CONTINUATION, MOVED[9:]), 9),
        ],
    )
    async with serving(script) as fake:
        cookie = await fake.cookie()
        await fake.socket(cookie)
        for at_s, number in ((1.5, b"11"), (6, b"11"), (9.5, b"12")):
            await trio.sleep_until(at_s)
            body = (await get(fake, "/api/positions", cookie)).body
            assert body.startswith(b'[{"id":' + number)


# Filters

LISTED = {
    "/api/devices": [b'{"id":3,"x":1.0}', b'{"id":1}', b'{"x":[],"id":2}'],
    "/api/beacons": [b'{"id":30}', b'{"id":10}'],
    "/api/positions": [b'{"id":13,"deviceId":3}', b'{"id":11,"deviceId":1,"speed":100.0}'],
}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/api/devices", [b'{"id":3,"x":1.0}', b'{"id":1}', b'{"x":[],"id":2}']),
        ("/api/devices?id=2&id=3", [b'{"x":[],"id":2}', b'{"id":3,"x":1.0}']),
        ("/api/devices?id=1&id=99", [b'{"id":1}']),
        ("/api/devices?id=99", []),
        ("/api/devices?responseType=json&delimiter=,", LISTED["/api/devices"]),
        ("/api/beacons?id=10", [b'{"id":10}']),
        ("/api/positions?id=11", [b'{"id":11,"deviceId":1,"speed":100.0}']),
        ("/api/positions?id=13&id=11", LISTED["/api/positions"]),
        ("/api/positions?id=11&id=13", LISTED["/api/positions"][::-1]),
        ("/api/positions?deviceId=3", [b'{"id":13,"deviceId":3}']),
        ("/api/positions?deviceId=3&id=11", [b'{"id":11,"deviceId":1,"speed":100.0}']),
        ("/api/positions?deviceId=99", []),
    ],
)
async def test_filters_choose_and_keep_their_order(
    target: str, expected: list[bytes], tmp_path: Path
) -> None:
    entries = [
        entry
        for number, (path, objects) in enumerate(LISTED.items())
        for entry in exchange(path, b"[" + b",".join(objects) + b"]", number=number)
    ]
    script = script_of(tmp_path, [*entries, *upgrade(), said(TIMEOUT)])
    async with serving(script) as fake:
        answer = await get(fake, target)
        assert fake.rules_broken == []
    assert (answer.status, answer.body) == (200, b"[" + b",".join(expected) + b"]")


async def test_a_position_that_is_not_the_latest_is_still_found_by_its_id(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(moving(tmp_path), playback=Playback(speed=math.inf)) as fake:
        cookie = await fake.cookie()
        await fake.socket(cookie)
        await trio.sleep(1)
        assert (await get(fake, "/api/positions?id=11", cookie)).json[0]["rssi"] == -64
        assert [one["id"] for one in (await get(fake, "/api/positions", cookie)).json] == [12]


@pytest.mark.parametrize(
    "target",
    [
        "/api/positions?id=abc",
        "/api/positions?deviceId=abc",
        "/api/devices?id=abc",
        "/api/devices?id=1&id=",
        "/api/beacons?id=1.5",
        # BUG: Python's int takes these, the backend's Long.parseLong does not.
        "/api/devices?id=1_1",
        "/api/devices?id=+1",  # a space, once it is decoded
        "/api/devices?id=%D9%A1",
    ],
)
async def test_a_filter_that_is_no_number_is_answered_404(target: str) -> None:
    async with serving(quiet(DEVICES)) as fake:
        assert (await get(fake, target)).status == 404


# Sessions


@pytest.mark.parametrize("target", ["/api/devices", "/api/positions?id=abc", "/api/whatever"])
async def test_without_a_session_the_answer_is_401_with_a_challenge(target: str) -> None:
    async with serving(quiet(DEVICES)) as fake:
        answer = await fake.http().ask(target)
        assert (answer.status, answer.header("WWW-Authenticate")) == (401, 'Basic realm="api"')
        cookie = f"JSESSIONID={random_session_id()}"
        answer = await fake.http().ask(target, Cookie=cookie)
        assert (answer.status, answer.header("WWW-Authenticate")) == (401, 'Basic realm="api"')
        answer = await fake.http().ask(target, X_Requested_With="XMLHttpRequest")
        assert (answer.status, answer.header("WWW-Authenticate")) == (401, None)
        assert fake.rules_broken == [
            "session.no-cookie",
            "session.unknown-cookie",
            "session.no-cookie",
        ]
        assert b"one" not in answer.body


# Recorded exchanges


async def test_whatever_else_was_recorded_is_answered_as_recorded(tmp_path: Path) -> None:
    route = "/api/reports/route"
    script = script_of(
        tmp_path,
        [
            *exchange("/api/server", b'{"id":1,"version":"4.0"}', number=1),
            *exchange(f"{route}?deviceId=1&from=a&to=b", b'["with"]', number=2),
            *exchange(route, b'["posted"]', number=3, method="POST"),
            *exchange("/api/gone", b"Gone - E", number=4, status=410, headers=[]),
            *exchange(f"{route}?deviceId=1&deviceId=2", b'["two"]', number=5),
            *upgrade(),
            said(TIMEOUT),
        ],
    )
    async with serving(script) as fake:
        cookie = await fake.cookie()
        assert (await get(fake, "/api/server", cookie)).body == b'{"id":1,"version":"4.0"}'
        for query in ("deviceId=1&from=a&to=b", "to=b&from=a&deviceId=1"):
            answer = await get(fake, f"{route}?{query}", cookie)
            assert (answer.status, answer.body) == (200, b'["with"]')
            assert answer.header("Content-Type") == "application/json"
        assert (await get(fake, f"{route}?deviceId=2&deviceId=1", cookie)).body == b'["two"]'
        posted = await fake.http().ask(route, method="POST", body=b"{}", Cookie=cookie)
        assert posted.body == b'["posted"]'
        gone = await get(fake, "/api/gone", cookie)
        assert (gone.status, gone.body) == (410, b"Gone - E")
        assert fake.rules_broken == []
        assert (await get(fake, f"{route}?deviceId=1&from=a", cookie)).status == 404
        assert (await get(fake, route, cookie)).status == 404
        assert fake.rules_broken == ["rest.not-recorded"] * 2


async def test_what_was_not_recorded_is_404_and_a_violation_that_names_no_query() -> None:
    async with serving(quiet()) as fake:
        answer = await get(fake, "/api/secrets?token=hunter2")
        assert answer.status == 404
        (violation,) = fake.server.violations.latest
        assert violation.rule == "rest.not-recorded"
        assert "GET /api/secrets" in str(violation)
        assert "hunter2" not in str(violation)


async def test_a_recorded_login_of_another_time_is_no_answer_for_who_is_not_logged_in(
    tmp_path: Path,
) -> None:
    script = script_of(
        tmp_path, [*exchange("/api/session", b'{"id":1}'), *upgrade(), said(TIMEOUT)]
    )
    async with serving(script) as fake:
        assert (await fake.http().ask("/api/session")).status in (401, 404)


async def test_an_exchange_that_was_cut_short_is_not_there(tmp_path: Path) -> None:
    cut = [entry for entry in exchange("/api/server", b"{}") if not isinstance(entry, Response)]
    script = script_of(tmp_path, [*cut, *upgrade(), said(TIMEOUT)])
    async with serving(script) as fake:
        assert (await get(fake, "/api/server")).status == 404


async def test_who_is_logged_in_is_told_until_the_logout(tmp_path: Path) -> None:
    async with serving(quiet()) as fake:
        cookie = await fake.cookie()
        assert (await fake.http().ask("/api/session")).status == 404
        answer = await fake.http().ask("/api/session", Cookie=cookie)
        assert (answer.status, answer.json["email"]) == (200, "demo@example.com")
        client = await fake.socket(cookie)
        gone = await fake.http().ask("/api/session", method="DELETE", Cookie=cookie)
        assert (gone.status, gone.body) == (204, b"")
        assert (await fake.http().ask("/api/session", Cookie=cookie)).status == 404
        assert fake.rules_broken == []
        assert await client.close() is not None
        again = await fake.http().ask("/api/session", method="DELETE", Cookie=cookie)
        assert again.status == 401


async def test_what_is_not_recorded_is_reported_without_a_session_or_a_control() -> None:
    async with serving(quiet()) as fake:
        cookie = await fake.cookie()
        target = "/api/x%1b%5b31mRED;jsessionid=node0secret.node0"
        assert (await fake.http().ask(target, Cookie=cookie)).status == 404
        [violation] = fake.server.violations.latest
    assert "secret" not in str(violation)
    assert str(violation).isprintable()
