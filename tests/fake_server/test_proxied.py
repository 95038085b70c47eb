"""The fake plays what a proxy recorded of a browser, and any part of a series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from fake_server.accounts import Account, Accounts
from fake_server.playback import Playback
from recorder.checkpoint import SoFar
from recorder.model import Body, Closed, Entry, Open, Request, Response, Series
from recorder.wire.frames import Frame, Opcode
from replayer.playing.script import Script, load_script
from tests.fake_server.rest.support import account
from tests.fake_server.support import (
    BEACONS,
    DEVICES,
    MOVED,
    PING,
    POSITION,
    TIMEOUT,
    Heard,
    data_of,
    ns,
    said,
    serving,
    text,
    texts_of,
    write,
)

UUID = "a0b34365-908f-4868-a52a-84a3ed83bd59"
UPSTREAM = 100
HOST = ("Host", "proxy.example:8083")


def opened(connection: int, at_s: float) -> list[Entry]:
    """Both legs of a client's connection."""
    common = {"offset_ns": ns(at_s)}
    upstream = connection + UPSTREAM
    return [
        Open(**common, connection=connection, leg="client", peer="127.0.0.1:5000"),
        Open(
            **common,
            connection=upstream,
            leg="upstream",
            paired_with=connection,
            url="https://track.example",
        ),
    ]


def exchanged(
    connection: int,
    number: int,
    at_s: float,
    target: str,
    *pieces: str,
    method: str = "GET",
    status: int = 200,
    headers: Any = (("Content-Type", "text/html"),),
    last: bool = True,
) -> list[Entry]:
    """A call on the client leg, and its heads on the upstream leg, which answered otherwise."""
    common: dict[str, Any] = {"exchange": number, "offset_ns": ns(at_s)}
    ours, theirs = {"connection": connection}, {"connection": connection + UPSTREAM}
    upgrade = [("Upgrade", "websocket")] if status == 101 else []
    asked = {"method": method, "target": target}
    return [
        Request(**ours, **common, **asked, headers=[HOST, *upgrade]),
        Request(**theirs, **common, **asked, headers=[("Host", "track.example"), *upgrade]),
        Response(**theirs, **common, status=status, headers=[("Content-Type", "of/upstream")]),
        Response(**ours, **common, status=status, headers=list(headers)),
        *(
            Body(**ours, **common, sender="server", text=piece, last=last and at == len(pieces) - 1)
            for at, piece in enumerate(pieces)
        ),
    ]


def closed(connection: int, at_s: float) -> list[Entry]:
    return [
        Closed(connection=one, offset_ns=ns(at_s), by="client", how="eof")
        for one in (connection, connection + UPSTREAM)
    ]


def browsed() -> list[Entry]:
    """A page, its files, a login, REST, and two sockets, over four connections that are kept."""
    return [
        *opened(1, 0),
        *exchanged(
            1, 1, 0, "/", status=302, headers=[("Location", f"http://{HOST[1]}/index.html")]
        ),
        *exchanged(1, 2, 0.1, "/index.html", "<html>", "</html>"),
        *opened(2, 0.2),
        *exchanged(2, 3, 0.2, "/app.js", "let x", last=False),
        *exchanged(1, 4, 0.3, "/api/session", status=404),
        *exchanged(2, 5, 0.4, "/app.js", "let x = 1"),
        *exchanged(1, 6, 1, "/api/session", '{"name":"x"}', method="POST"),
        *exchanged(2, 7, 1.1, "/api/groups", "Bad Gateway", status=502),
        *exchanged(2, 8, 1.2, "/api/groups", '[{"id":4}]'),
        *exchanged(1, 9, 1.3, "/video", "part", status=206),
        *opened(3, 2),
        *exchanged(3, 10, 2, "/api/socket", status=101),
        said(TIMEOUT, 2, connection=3),
        said(DEVICES, 2, connection=3),
        # A connection that came earlier becomes a socket later: it is the second one.
        *exchanged(2, 11, 3, "/api/socket", status=101),
        said(BEACONS, 3, connection=2),
        said(POSITION, 4, connection=3),
        *closed(3, 5),
        said(MOVED, 5, connection=2),
        *closed(2, 6),
        *closed(1, 6),
    ]


async def test_a_browsers_session_is_played_from_its_client_legs(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = load_script(write(tmp_path / "a.track.jsonl", browsed(), mode="proxy"))
    assert script.sockets == 2
    async with serving(script) as fake:
        http = fake.http()
        root = await http.ask("/")
        assert (root.status, root.header("Location")) == (302, "/index.html")
        page = await http.ask("/index.html")
        assert (page.body, page.header("Content-Type")) == (b"<html></html>", "text/html")
        assert (await http.ask("/app.js")).body == b"let x = 1"
        assert (await http.ask("/video")).status == 404
        cookie = await fake.cookie()
        assert (await http.ask("/api/groups", Cookie=cookie)).json == [{"id": 4}]
        first, second = await fake.socket(cookie), await fake.socket(cookie)
        assert texts_of(await first.listen(until_s=10)) == [TIMEOUT, DEVICES, POSITION]
        assert texts_of(await second.listen(until_s=20)) == [TIMEOUT, BEACONS, MOVED]
        assert fake.rules_broken == ["rest.not-recorded"]


def test_a_redirection_elsewhere_stays_one(tmp_path: Path) -> None:
    for location in ("https://login.example/", "/other", "//[", "http://track.example/"):
        entries = [
            *exchanged(1, 1, 0, "/", status=302, headers=[("location", location)]),
            *opened(2, 1),
            *exchanged(2, 2, 1, "/api/socket", status=101),
        ]
        script = load_script(write(tmp_path / "a.track.jsonl", entries, mode="proxy"))
        answer = script.answer("GET", "/")
        assert answer is not None
        assert answer.headers == [("location", location)]


# A part of a series


def last_part(folder: Path, before: list[Entry], behind: list[Entry]) -> Script:
    """The second part of a series alone."""
    so_far = SoFar()
    for entry in before:
        so_far.feed(entry)
    checkpoint = so_far.checkpoint(behind[0].offset_ns)
    return load_script(
        write(
            folder / "a.002.track.jsonl",
            [checkpoint, *behind],
            series=Series(id="s", part=2, previous_sha256="0" * 64),
            mode="proxy",
        )
    )


BEFORE = [
    *opened(1, 0),
    *exchanged(1, 1, 0, "/api/socket", status=101),
    said(TIMEOUT, 0, connection=1),
    said(BEACONS, 1, connection=1),
    said(DEVICES, 1, connection=1),
    said(POSITION, 2, connection=1),
    said(PING % UUID.encode(), 30, connection=1),
    said(Frame.make(Opcode.TEXT, MOVED[:9], fin=False), 31, connection=1),
    *opened(2, 31),
    said(Frame.make(Opcode.CONTINUATION, MOVED[9:12], fin=False), 32, connection=1),
]
BEHIND = [
    said(Frame.make(Opcode.PING, b"x"), 33, connection=1),
    said(Frame.make(Opcode.CONTINUATION, MOVED[12:]), 34, connection=1),
    *exchanged(2, 2, 35, "/api/socket", status=101),
    said(DEVICES, 36, connection=2),
    said(POSITION, 37, connection=1),
]
GREETING = [DEVICES, BEACONS, POSITION]


def test_a_part_plays_the_state_and_then_the_rest_of_what_was_begun(tmp_path: Path) -> None:
    script = last_part(tmp_path, BEFORE, BEHIND)
    assert script.sockets == 2
    assert [(cue.at_ns, cue.kind, cue.message) for cue in script.cues(0)] == [
        *((0, "data", message) for message in GREETING),
        (0, "data", None),
        (0, "control", None),
        (ns(1), "data", MOVED),
        (ns(4), "data", POSITION),
    ]
    assert [cue.message for cue in script.cues(1)] == [DEVICES]
    assert script.opening.messages() == GREETING


async def test_who_connects_to_a_part_is_told_the_state_and_then_hears_it_go_on(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(last_part(tmp_path, BEFORE, BEHIND)) as fake:
        cookie = await fake.cookie()
        http = fake.http()
        # REST knows it before there is a socket.
        assert (await http.ask("/api/beacons", Cookie=cookie)).body == b'[{"id":7,"name":"room"}]'
        socket = await fake.socket(cookie)
        heard = await socket.listen(until_s=2)
        assert data_of(heard) == [
            (0, text(TIMEOUT)),
            *((0, text(message)) for message in GREETING),
            (0, Frame.make(Opcode.TEXT, MOVED[:12], fin=False).serialize()),
            (0, Frame.make(Opcode.PING, b"x").serialize()),
            (1, Frame.make(Opcode.CONTINUATION, MOVED[12:]).serialize()),
        ]
        positions = await http.ask("/api/positions", Cookie=cookie)
        assert positions.body == b'[{"id":12,"deviceId":1,"rssi":-65.0}]'
        assert texts_of(await socket.listen(until_s=5)) == [POSITION]
        assert fake.rules_broken == []


@pytest.mark.parametrize("mode", ["per-connection", "shared"])
async def test_who_sees_less_is_told_less_of_the_state(
    mode: Any, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    accounts = Accounts([Account(credentials=account("a@x"), devices=frozenset({"two"}))])
    script = last_part(tmp_path, BEFORE, BEHIND)
    async with serving(script, accounts=accounts, playback=Playback(mode=mode)) as fake:
        answer = await fake.http().log_in("a@x", account("a@x").password)
        cookie = (answer.header("Set-Cookie") or "").partition(";")[0]
        heard: list[Heard] = await (await fake.socket(cookie)).listen(until_s=2)
    devices = b'{"devices":[{"name":"two","id":2}]}'
    assert texts_of(heard)[:2] == [TIMEOUT, devices]
    assert not any(b'"deviceId":1' in one for one in texts_of(heard))


async def test_a_part_in_shared_playback_tells_the_state_to_all(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    script = last_part(tmp_path, BEFORE, BEHIND)
    async with serving(script, playback=Playback(mode="shared")) as fake:
        socket = await fake.socket()
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                assert texts_of(await socket.listen(until_s=10)) == [
                    # MOVED is in fragments.
                    *(TIMEOUT, *GREETING, DEVICES, POSITION)
                ]

            nursery.start_soon(listen)
            await trio.sleep(2)
            late = await (await fake.socket()).listen(until_s=10)
    assert texts_of(late) == [TIMEOUT, DEVICES, BEACONS, MOVED, DEVICES, POSITION]


def test_what_rest_showed_in_a_part_fills_what_its_checkpoint_lacks(tmp_path: Path) -> None:
    devices = '[{"id":1,"name":"later"},{"id":9,"name":"nine"}]'
    script = last_part(
        tmp_path, BEFORE, [*BEHIND, *opened(3, 40), *exchanged(3, 3, 40, "/api/devices", devices)]
    )
    assert script.opening.objects("devices") == [
        b'{"id":1,"name":"one","speed":100.0}',
        b'{"name":"two","id":2}',
        b'{"id":9,"name":"nine"}',
    ]


def test_a_call_that_a_part_answers_is_known_from_its_checkpoint(tmp_path: Path) -> None:
    asked, _, _, answered, body = exchanged(2, 7, 31, "/api/groups", '[{"id":4}]')
    script = last_part(tmp_path, [*BEFORE, asked], [answered, body, *BEHIND])
    answer = script.answer("GET", "/api/groups")
    assert answer is not None
    assert answer.body == b'[{"id":4}]'


def test_an_open_socket_is_enough_of_a_part_to_play(tmp_path: Path) -> None:
    script = last_part(tmp_path, BEFORE[:6], closed(1, 5))
    assert (script.sockets, script.cues(0)) == (1, [])
