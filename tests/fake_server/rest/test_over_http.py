"""REST through a whole server: what playback has shown, HTTP as clients speak it, and pushes."""

from __future__ import annotations

import gzip
import io
import math
from pathlib import Path

import msgspec
import openpyxl
import trio
import trio.testing

from fake_server.accounts import Account, Accounts
from fake_server.playback import Playback
from recorder.credentials import Credentials
from recorder.model import Body, Response, encode_bytes
from recorder.wire.frames import Frame, Opcode
from replayer.playing.script import Script
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
    texts_of,
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


# Over HTTP


async def test_an_exchange_that_was_cut_short_is_not_there(tmp_path: Path) -> None:
    cut = [entry for entry in exchange("/api/x", b"{}") if not isinstance(entry, Response)]
    script = script_of(tmp_path, [*cut, *upgrade(), said(TIMEOUT)])
    async with serving(script) as fake:
        assert (await get(fake, "/api/x")).status == 404


async def test_a_position_that_is_not_the_latest_is_still_found_by_its_id(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(moving(tmp_path), playback=Playback(speed=math.inf)) as fake:
        cookie = await fake.cookie()
        await fake.socket(cookie)
        await trio.sleep(1)
        assert (await get(fake, "/api/positions?id=11", cookie)).json[0]["rssi"] == -64
        assert [one["id"] for one in (await get(fake, "/api/positions", cookie)).json] == [12]


async def test_a_login_in_pieces_and_one_behind_the_other_on_one_connection() -> None:
    form = b"email=demo%40example.com&password=demo"
    async with serving(quiet(DEVICES)) as fake:
        http = fake.http()
        request = (
            b"POST /api/session HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for size in (1, 7, len(form)):
            await http.send(request)
            for start in range(0, len(form), size):
                piece = form[start : start + size]
                await http.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            await http.send(b"0\r\n\r\n")
            assert (await http.answer()).status == 200


async def test_a_head_has_the_length_of_its_get_and_no_body() -> None:
    async with serving(quiet(DEVICES)) as fake:
        cookie, http = await fake.cookie(), fake.http()
        whole = await http.ask("/api/devices", Cookie=cookie)
        head = await http.ask("/api/devices", method="HEAD", Cookie=cookie)
        assert head.status == 200
        assert head.header("Content-Length") == str(len(whole.body))
        assert (await http.ask("/api/devices", Cookie=cookie)).body == whole.body


async def test_open_sockets_survive_the_logout() -> None:
    async with serving(quiet()) as fake:
        cookie = await fake.cookie()
        client = await fake.socket(cookie)
        gone = await fake.http().ask("/api/session", method="DELETE", Cookie=cookie)
        assert (gone.status, gone.body) == (204, b"")
        assert (await fake.http().ask("/api/session", Cookie=cookie)).status == 404
        assert await client.close() is not None


# What clients write is pushed


async def test_what_a_client_writes_is_pushed_to_the_sockets_that_may_see_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    accounts = Accounts(
        [
            Credentials("all@x", "x"),
            Account(credentials=Credentials("two@x", "x"), devices=frozenset({"two"})),
        ]
    )
    async with serving(quiet(DEVICES), accounts=accounts) as fake:
        cookies = []
        for email in ("all@x", "two@x"):
            login = await fake.http().log_in(email, "x")
            cookies.append((login.header("Set-Cookie") or "").partition(";")[0])
        everything, two = [await fake.socket(cookie) for cookie in cookies]
        await everything.listen(until_s=1)
        assert texts_of(await two.listen(until_s=2)) == [
            TIMEOUT,
            b'{"devices":[{"name":"two","id":2}]}',
        ]
        sent = b'{"id":1,"name":"renamed","speed":100.0}'
        put = await fake.http().ask(
            "/api/devices/1",
            method="PUT",
            body=sent,
            Cookie=cookies[0],
            Content_Type="application/json",
        )
        assert (put.status, put.body) == (200, sent)
        await fake.http().ask("/api/devices/2", method="DELETE", Cookie=cookies[0])
        assert texts_of(await everything.listen(until_s=3)) == [b'{"devices":[%s]}' % sent]
        assert texts_of(await two.listen(until_s=4)) == []
        assert (await get(fake, "/api/devices", cookies[0])).json[0]["name"] == "renamed"


async def test_a_large_spreadsheet_is_made_beside_everything_else() -> None:
    rows = 600
    positions = b",".join(
        b'{"id":%d,"deviceId":1,"fixTime":"2025-02-21T10:00:00Z"}' % number
        for number in range(1, rows + 1)
    )
    async with serving(quiet(b'{"positions":[%s]}' % positions)) as fake:
        cookie = await fake.cookie()
        span = "from=2025-02-21T00:00:00Z&to=2025-02-22T00:00:00Z"
        answer = await fake.http().ask(f"/api/reports/route?deviceId=0&{span}", Cookie=cookie)
    assert answer.status == 200
    sheet = openpyxl.load_workbook(io.BytesIO(answer.body)).worksheets[0]
    assert sheet.max_row == rows + 1
