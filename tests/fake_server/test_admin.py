"""The control API as its users have it: over HTTP, in JSON, and closed to everybody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.admin import Admin
from fake_server.exchange import HttpRequest
from fake_server.playback import Playback
from fake_server.server import FakeServer
from recorder.wire.frames import Opcode
from tests.fake_server.admin_client import ask, no_cors
from tests.fake_server.support import (
    DEVICES,
    MOVED,
    POSITION,
    TIMEOUT,
    Http,
    pings_of,
    quiet,
    said,
    script_of,
    serving,
    texts_of,
    upgrade,
)
from tests.profiles import examples

TOKEN = "wq81-not-to-be-shown"


def some_script(folder: Path) -> Any:
    return script_of(folder, [*upgrade(), said(DEVICES, 1), said(POSITION, 2), said(MOVED, 9)])


# What it does


async def test_the_status_tells_sockets_sessions_playback_faults_and_violations(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(some_script(tmp_path)) as fake:
        await (await fake.socket()).listen(until_s=1.5)
        status, body = await ask(fake, "GET")
        assert status == 200
        assert body == fake.server.control.status()
        assert body["playback"] == {"mode": "per-connection", "paused": False, "speed": 1.0}
        assert [socket["position_s"] for socket in body["sockets"]] == [1.5]
        assert body["accounts"] == ["demo@example.com"]


async def test_violations_are_listed_by_time_since_the_start_filtered_and_forgotten(
    autojump_clock: trio.testing.MockClock,
) -> None:
    await trio.sleep(1000)
    async with serving(quiet()) as fake:
        client = await fake.socket(await fake.cookie())
        await trio.sleep(2.5)
        await client.text("hello")
        await fake.http().ask("/api/devices")
        await trio.sleep(1)
        _, listed = await ask(fake, "GET", "/violations")
        assert listed["counts"] == {"session.no-cookie": 1, "text.unknown": 1}
        assert [one["rule"] for one in listed["violations"]] == [
            "text.unknown",
            "session.no-cookie",
        ]
        assert listed["violations"][0] == {
            "rule": "text.unknown",
            "section": "3.3",
            "connection": 2,
            "at_s": 2.5,
            "seen": "the client sent 'hello'",
            "expected": "only pongs",
        }
        _, filtered = await ask(fake, "GET", "/violations?rule=session.no-cookie")
        assert filtered["violations"] == listed["violations"][1:]
        assert await ask(fake, "DELETE", "/violations") == (200, {"forgotten": 2})
        assert await ask(fake, "GET", "/violations") == (200, {"counts": {}, "violations": []})


async def test_faults_are_set_listed_and_taken_away(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    close = {"fault": "close", "code": 1011, "after": 2}
    async with serving(some_script(tmp_path)) as fake:
        client = await fake.socket()
        await client.listen(until_s=0.5)
        assert await ask(fake, "POST", "/faults", {"fault": "loss"}) == (200, {"number": 1})
        assert await ask(fake, "POST", "/faults", close) == (200, {"number": 2})
        _, listed = await ask(fake, "GET", "/faults")
        assert listed["faults"] == [
            {"number": 1, "fault": "loss", "struck": 0},
            {"number": 2, **close, "reason": "", "struck": 0},
        ]
        assert texts_of(await client.listen(until_s=1.5)) == []
        _, listed = await ask(fake, "GET", "/faults")
        assert [fault["struck"] for fault in listed["faults"]] == [1, 0]
        assert await ask(fake, "DELETE", "/faults/1") == (200, {"removed": 1})
        status, body = await ask(fake, "DELETE", "/faults/1")
        assert (status, body) == (404, {"error": "there is no fault 1; there are: 2"})
        assert texts_of(await client.listen(until_s=2.5)) == [POSITION]
        assert await ask(fake, "DELETE", "/faults") == (200, {"removed": 1})
        assert texts_of(await client.listen(until_s=9.5)) == [MOVED]


async def test_playback_is_paused_stepped_sought_sped_up_and_resumed(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(some_script(tmp_path)) as fake:
        client = await fake.socket()
        paused = {"playback": {"mode": "per-connection", "paused": True, "speed": 1.0}}
        assert await ask(fake, "POST", "/playback", {"action": "pause"}) == (200, paused)
        assert texts_of(await client.listen(until_s=5)) == [TIMEOUT]
        for step, expected in (({}, [DEVICES]), ({"cues": 2}, [POSITION, MOVED])):
            await ask(fake, "POST", "/playback", {"action": "step", **step})
            assert texts_of(await client.listen(until_s=trio.current_time() + 1)) == expected
        seek = {"action": "seek", "position_s": 1.5}
        assert await ask(fake, "POST", "/playback", seek) == (200, paused)
        status, body = await ask(fake, "POST", "/playback", {"action": "speed", "speed": 10})
        assert (status, body["playback"]["speed"]) == (200, 10.0)
        assert texts_of(await client.listen(until_s=10)) == [DEVICES]
        await ask(fake, "POST", "/playback", {"action": "resume"})
        assert texts_of(await client.listen(until_s=10.1)) == [POSITION]
        status, body = await ask(fake, "POST", "/playback", {"action": "speed", "speed": "max"})
        assert body["playback"] == {"mode": "per-connection", "paused": False, "speed": "max"}
        assert texts_of(await client.listen(until_s=10.2)) == [MOVED]


async def test_a_day_is_let_pass_for_sessions(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet()) as fake:
        cookie = await fake.cookie()
        status, body = await ask(fake, "POST", "/sessions", {"advance_s": 86_000})
        assert status == 200
        assert [one["expires_in_s"] for one in body["sessions"]] == [400.0]
        assert await ask(fake, "POST", "/sessions", {"advance_s": 400}) == (200, {"sessions": []})
        assert (await fake.http().ask("/api/devices", Cookie=cookie)).status == 401


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (
            b'{"message": {"positions":[ {"id":1,"speed":1.10,"x":1E2} ]} , "socket":1}',
            b'{"positions":[ {"id":1,"speed":1.10,"x":1E2} ]}',
        ),
        (b'{"text":"\\"no JSON \\u00e4"}', '"no JSON ä'.encode()),
        (b'{"text":"","socket":null}', b""),
    ],
)
async def test_a_message_is_pushed_byte_for_byte(
    body: bytes, sent: bytes, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        assert await ask(fake, "POST", "/push", body) == (200, {"sent": 1})
        heard = await client.listen(until_s=1)
        assert [(one.frame.opcode, one.frame.payload) for one in heard] == [
            (Opcode.TEXT, TIMEOUT),
            (Opcode.TEXT, sent),
        ]


async def test_sockets_are_dropped_one_or_all(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet()) as fake:
        clients = [await fake.socket() for _ in range(3)]
        path = "/sockets/2?how=close&code=4001&reason=go+away"
        assert await ask(fake, "DELETE", path) == (200, {"dropped": 1})
        last = (await clients[1].listen())[-1].frame
        assert (last.close_code, last.close_reason) == (4001, "go away")
        status, body = await ask(fake, "DELETE", "/sockets/2")
        assert (status, body["error"]) == (404, "there is no open socket 2; open are: 1, 3")
        assert await ask(fake, "DELETE", "/sockets?how=fin") == (200, {"dropped": 2})
        for client in (clients[0], clients[2]):
            assert texts_of(await client.listen()) == [TIMEOUT]
        assert await ask(fake, "DELETE", "/sockets") == (200, {"dropped": 0})


async def test_an_account_is_logged_in_without_a_form(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        for body in ({}, {"email": None}, {"email": "demo@example.com"}):
            status, answer = await ask(fake, "POST", "/login", body)
            assert status == 200
            assert (await fake.http().ask("/api/devices", Cookie=answer["cookie"])).status == 200
            await fake.socket(answer["cookie"])
        status, answer = await ask(fake, "POST", "/login", {"email": "x@example.com"})
        assert (status, answer["error"]) == (
            404,
            "there is no account 'x@example.com'; there are: demo@example.com",
        )


async def test_a_login_begins_shared_playback_as_that_of_a_client_does(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(some_script(tmp_path), playback=Playback(mode="shared")) as fake:
        _, answer = await ask(fake, "POST", "/login", {})
        await trio.sleep(3)
        await fake.socket(answer["cookie"])
        assert [one["position_s"] for one in fake.server.control.status()["sockets"]] == [3.0]


async def test_sockets_are_pinged_one_or_all(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet()) as fake:
        clients = [await fake.socket() for _ in range(2)]
        _, one = await ask(fake, "POST", "/ping", {"socket": 2})
        _, both = await ask(fake, "POST", "/ping", {})
        heard = [pings_of(await clients[n].listen(until_s=n + 1)) for n in range(2)]
        assert [[uuid for _, uuid in pings] for pings in heard] == [
            both["pinged"][:1],
            one["pinged"] + both["pinged"][1:],
        ]
        status, answer = await ask(fake, "POST", "/ping", {"socket": 3})
        assert (status, answer["error"]) == (404, "there is no open socket 3; open are: 1, 2")


async def test_doings_are_listed_behind_a_number(autojump_clock: trio.testing.MockClock) -> None:
    await trio.sleep(1000)
    async with serving(quiet()) as fake:
        client = await fake.socket(await fake.cookie())
        await trio.sleep(1.25)
        await client.text("hello")
        await trio.testing.wait_all_tasks_blocked()
        status, listed = await ask(fake, "GET", "/doings")
        assert (status, listed["last"]) == (200, 4)
        assert listed["doings"][0] == {
            "at_s": 0.0,
            "number": 1,
            "what": "request",
            "method": "POST",
            "target": "/api/session",
            "status": 200,
            "connection": 1,
            "words": "POST /api/session, answered 200",
        }
        _, later = await ask(fake, "GET", "/doings?after=3")
        assert later["doings"] == [
            {
                "at_s": 1.25,
                "number": 4,
                "what": "text",
                "connection": 2,
                "socket": 1,
                "text": "hello",
                "words": "sent 'hello' on socket 1",
            }
        ]
        _, of_kind = await ask(fake, "GET", "/doings?what=text")
        assert of_kind == later
        _, of_kind = await ask(fake, "GET", "/doings?after=0&what=request")
        assert [one["number"] for one in of_kind["doings"]] == [1]
        assert await ask(fake, "GET", "/doings?after=99") == (200, {"last": 4, "doings": []})
        await ask(fake, "POST", "/reset")
        assert await ask(fake, "GET", "/doings") == (200, {"last": 0, "doings": []})


async def test_an_expectation_is_answered_when_it_is_met_or_417(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        client = await fake.socket()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.listen)
            status, answer = await ask(fake, "POST", "/expect", {"what": "pong", "socket": 1})
            assert status == 200
            assert answer["seen"] == {
                "at_s": 0.0,
                "number": 5,
                "what": "pong",
                "connection": answer["seen"]["connection"],
                "socket": 1,
                "uuid": answer["seen"]["uuid"],
                "words": f"pong {answer['seen']['uuid']} on socket 1",
            }
            nursery.cancel_scope.cancel()
        began_s = trio.current_time()
        close = {"what": "close", "code": 1000, "within_s": 3}
        status, answer = await ask(fake, "POST", "/expect", close)
        assert (status, answer) == (
            417,
            {"error": "waited 3.0 s for a close frame with 1000; meanwhile the client did nothing"},
        )
        assert trio.current_time() == began_s + 3
        await client.close(1000)
        assert (await ask(fake, "POST", "/expect", close))[1]["seen"]["code"] == 1000


async def test_others_are_answered_while_an_expectation_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake, trio.open_nursery() as nursery:
        answers: list[int] = []

        async def expect() -> None:
            answers.append((await ask(fake, "POST", "/expect", {"what": "socket"}))[0])

        nursery.start_soon(expect)
        await trio.sleep(1)
        assert (await ask(fake, "GET"))[0] == 200
        assert answers == []
        await fake.socket()
        await trio.sleep(0.001)
        assert answers == [200]


async def test_a_reset_brings_everything_back(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet()) as fake:
        before = fake.server.control.status()
        await fake.socket()
        await ask(fake, "POST", "/faults", {"fault": "loss"})
        assert await ask(fake, "POST", "/reset") == (200, {"reset": True})
        assert fake.server.control.status() == before


async def test_the_same_fault_behind_a_reset_strikes_alike(
    autojump_clock: trio.testing.MockClock,
) -> None:
    heard = []
    async with serving(quiet(*(b'{"events":[{"id":%d}]}' % n for n in range(40)))) as fake:
        for _ in range(2):
            fault = {"fault": "loss", "probability": 0.5}
            assert await ask(fake, "POST", "/faults", fault) == (200, {"number": 1})
            client = await fake.socket()
            heard.append([text for _, text in await client.listen(until_s=trio.current_time() + 1)])
            await ask(fake, "POST", "/reset")
    assert heard[0] == heard[1]
    assert 0 < len(heard[0]) < 40


# Who may not


async def test_a_web_page_may_do_nothing_not_even_with_the_token(
    autojump_clock: trio.testing.MockClock,
) -> None:
    for token in (None, TOKEN):
        async with serving(quiet(), admin_token=token) as fake:
            for origin in ("http://localhost:8082", "https://evil.example", "null", ""):
                for method in ("GET", "POST", "DELETE", "OPTIONS"):
                    status, body = await ask(
                        fake, method, Origin=origin, Authorization=f"Bearer {TOKEN}"
                    )
                    assert (status, list(body)) == (403, ["error"])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:8082", 200),
        ("[::1]:65535", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:8082", 403),
        ("evil.example:localhost", 403),
        ("localhost:80@evil.example", 403),
        ("", 403),
    ],
)
async def test_the_host_must_be_this_machine_unless_there_is_a_token(
    host: str, status: int, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake:
        assert (await ask(fake, "GET", Host=host))[0] == status
    async with serving(quiet(), admin_token=TOKEN) as fake:
        assert (await ask(fake, "GET", Host=host, Authorization=f"Bearer {TOKEN}"))[0] == 200


@pytest.mark.parametrize(
    ("peer", "status"),
    [
        (None, 200),
        ("127.0.0.1", 200),
        ("127.8.9.1", 200),
        ("::1", 200),
        ("::ffff:127.0.0.1", 200),
        ("192.0.2.7", 403),
        ("::ffff:192.0.2.7", 403),
        ("fe80::1%eth0", 403),
        ("", 403),
        ("somewhere", 403),
    ],
)
def test_the_peer_must_be_this_machine_unless_there_is_a_token(
    peer: str | None, status: int
) -> None:
    host, bearer = ("host", "localhost"), ("authorization", f"Bearer {TOKEN}")
    open_to_all = FakeServer(quiet(), admin_token=TOKEN)
    for server, headers, expected in (
        (FakeServer(quiet()), (host,), status),
        (FakeServer(quiet()), (host, bearer), status),
        (open_to_all, (host,), 401),
        (open_to_all, (bearer,), 200),
    ):
        admin = Admin(server, token=TOKEN if server is open_to_all else None)
        target = "/__admin/faults"
        request = HttpRequest(method="GET", target=target, headers=headers, peer=peer)
        assert admin(request).status == expected


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"bearer {TOKEN}", TOKEN, "Bearer é"],
)
async def test_a_wrong_token_is_401_and_the_right_one_is_not_shown(
    authorization: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet(), admin_token=TOKEN) as fake:
        http = fake.http()
        await http.send(
            b"GET /__admin HTTP/1.1\r\nHost: localhost\r\nAuthorization: "
            + authorization.encode("iso-8859-1")
            + b"\r\n\r\n"
        )
        answer = await http.answer()
        assert (answer.status, list(answer.json)) == (401, ["error"])
        assert answer.header("WWW-Authenticate") == 'Bearer realm="tracktape"'
        assert no_cors(answer)
        assert TOKEN not in repr(answer)
        assert TOKEN not in repr(fake.server._admin)


async def test_a_token_may_have_any_characters(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet(), admin_token="schlüssel") as fake:
        http = fake.http()
        await http.send(
            b"GET /__admin HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
            + "schlüssel".encode()
            + b"\r\n\r\n"
        )
        assert (await http.answer()).status == 200


def test_an_empty_token_is_refused_as_it_would_open_the_api_to_all() -> None:
    with pytest.raises(ValueError, match="the admin token is empty"):
        FakeServer(quiet(), admin_token="")


async def test_over_tcp_the_address_of_the_client_is_known() -> None:
    async with trio.open_nursery() as nursery:
        server = FakeServer(quiet())
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        await nursery.start(server.serve, [listener])
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            assert (await Http(stream).ask("/__admin", Host=f"127.0.0.1:{port}")).status == 200
        nursery.cancel_scope.cancel()


# What it refuses


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("POST", "/playback", {}, "action: it is missing, expected one of pause, resume"),
        ("POST", "/playback", {"action": 1}, "action: read 1, expected one of pause"),
        ("POST", "/playback", {"action": "stop"}, "action: read 'stop', expected one of pause"),
        ("POST", "/playback", {"action": "pause", "cues": 1}, "'cues': no such key here, expec"),
        ("POST", "/playback", {"action": "step"}, "step: playback is not paused; pause it first"),
        ("POST", "/playback", {"action": "seek"}, "position_s: it is missing, expected seconds"),
        ("POST", "/playback", {"action": "seek", "position_s": "9"}, 'position_s: read "9", expec'),
        ("POST", "/playback", {"action": "seek", "position_s": -1}, "seek -1: expected seconds"),
        ("POST", "/playback", b'{"action":"seek","position_s":1e999}', "position_s: read 1e999"),
        ("POST", "/playback", {"action": "speed", "speed": 0}, "speed 0: expected a factor above"),
        ("POST", "/playback", {"action": "speed", "speed": "fast"}, "speed: read 'fast', expected"),
        ("POST", "/playback", {"action": "speed", "speed": True}, "speed: read true, expected a"),
        ("POST", "/sessions", {"advance_s": -5}, "-5 s: the sessions' clock goes forward"),
        ("POST", "/sessions", {"advance_s": "a day"}, 'advance_s: read "a day", expected seconds'),
        ("POST", "/push", {}, "read neither of 'message' and 'text', expected one"),
        ("POST", "/push", {"text": "a", "message": {}}, "read both of 'message' and 'text'"),
        ("POST", "/push", {"message": [1]}, "message: read [1], expected a JSON object"),
        ("POST", "/push", {"text": {}}, "text: read {}, expected a string"),
        ("POST", "/push", {"text": "a", "socket": 1.5}, "socket: read 1.5, expected the number"),
        ("POST", "/push", {"text": "a", "to": 1}, "'to': no such key here, expected 'text', 'sock"),
        ("POST", "/push", b'{"text":"\xff"}', "the body: read"),
        ("POST", "/push", b"[]", "the body: read [], expected a JSON object"),
        ("POST", "/push", b'{"message":{"a":NaN}}', 'the body: read {"message":{"a":NaN}}, expe'),
        ("POST", "/push", b'{"message":' + b"[" * 9999, 'the body: read {"message":[[[['),
        ("POST", "/faults", {}, "expected 'fault', the name of one: broken-json"),
        ("POST", "/faults", {"fault": "nonsense"}, "there is no fault 'nonsense'; there are"),
        (
            "POST",
            "/faults",
            {"fault": "close", "cod": 1},
            "close has no field 'cod'; did you mean 'code'?",
        ),
        (
            "POST",
            "/faults",
            {"fault": "close", "code": "x"},
            "close: code = 'x': expected int, got str",
        ),
        ("POST", "/faults", b'{"fault":"close","code":1e999}', "code: read 1e999"),
        ("POST", "/ping", {"socket": "1"}, 'socket: read "1", expected the number of an open'),
        ("POST", "/login", {"mail": "x"}, "'mail': no such key here, expected 'email'"),
        ("GET", "/doings?after=x", None, "after: read 'x', expected the number of a doing, or 0"),
        ("GET", "/doings?what=pings", None, "what: read 'pings', expected one of request, socket"),
        ("POST", "/expect", {}, "what: it is missing, expected what a client does, as pong"),
        ("POST", "/expect", {"what": "png"}, "what: read 'png', expected one of request, login"),
        ("POST", "/expect", {"what": "pong", "code": 1}, "'code': pong does not have it, expec"),
        ("POST", "/expect", {"what": "close", "code": "1"}, "code: read '1', expected a number"),
        ("POST", "/expect", {"what": "pong", "within_s": -1}, "within_s: read -1, expected sec"),
        ("POST", "/expect", b'{"what":"text","text":"\\ud800"}', "the body: read"),
        ("GET", "/findings?require_all=1", None, "require_all: read '1', expected true or false"),
        ("GET", "/findings?alow=pong.late", None, "'alow': no such parameter here, expected 'requ"),
        (
            "GET",
            "/findings?allow=pong.*&allow=pong.lat",
            None,
            "allow: there is no finding 'pong.lat'; did you mean 'pong.late'? Patterns as",
        ),
        (
            "GET",
            "/findings?require_all=true&require_all=true",
            None,
            "a parameter stands there twice, expected it once",
        ),
        ("GET", "/frames?last=0", None, "last: read '0', expected a count from 1 to 1000"),
        ("GET", "/frames?last=1001", None, "last: read '1001', expected a count from 1 to 1000"),
        ("GET", "/frames?last=-1", None, "last: read '-1', expected a count from 1 to 1000"),
        ("GET", "/frames?last=" + "9" * 500, None, "last: read '999"),
        ("GET", "/frames?last=1&last=2", None, "a parameter stands there twice"),
        ("GET", "/violations?rule=nonsense", None, "rule: read 'nonsense', expected one of pong."),
        ("GET", "/violations?role=x", None, "'role': no such parameter here, expected 'rule'"),
        ("GET", "?rule=x", None, "'rule': no such parameter here, expected none"),
        ("DELETE", "/sockets?how=gently", None, "drop 'gently': expected close, fin or rst"),
        ("DELETE", "/sockets?how=fin&how=rst", None, "a parameter stands there twice"),
        (
            "DELETE",
            "/sockets?code=x",
            None,
            "code: read 'x', expected a close code from 0 to 65535",
        ),
        (
            "DELETE",
            "/sockets?code=65536",
            None,
            "code 65536: expected a close code from 0 to 65535",
        ),
        ("DELETE", "/sockets?reason=" + "x" * 124, None, "reason"),
    ],
)
async def test_a_400_says_which_key_what_was_read_and_what_was_expected(
    method: str,
    path: str,
    body: Any,
    error: str,
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        before = fake.server.control.status()
        status, answer = await ask(fake, method, path, body)
        assert status == 400
        assert error in answer["error"]
        assert len(answer["error"]) < 1000
        assert fake.server.control.status() == before


async def test_an_unknown_number_is_404_and_says_which_there_are(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        await fake.socket()
        status, body = await ask(fake, "POST", "/push", {"text": "a", "socket": 7})
        assert (status, body["error"]) == (404, "there is no open socket 7; open are: 1")
        assert (await ask(fake, "DELETE", "/faults/1"))[1] == {
            "error": "there is no fault 1; there are: none"
        }


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/faults/",
        "/faults/x",
        "/faults/-1",
        "/reset/1",
        "/1",
        "/faults/" + "1" * 5000,
    ],
)
async def test_a_path_that_is_none_is_404_and_names_those_there_are(
    path: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake:
        status, body = await ask(fake, "DELETE", path)
        assert status == 404
        assert "/__admin/playback" in body["error"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "", "GET"),
        ("OPTIONS", "", "GET"),
        ("PUT", "/violations", "GET, DELETE"),
        ("PUT", "/faults", "GET, POST, DELETE"),
        ("GET", "/faults/1", "DELETE"),
        ("GET", "/reset", "POST"),
        ("POST", "/sockets/1", "DELETE"),
    ],
)
async def test_a_wrong_method_is_405_with_allow(
    method: str, path: str, allow: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake:
        answer = await fake.http().ask(f"/__admin{path}", method=method, Host="localhost")
        assert (answer.status, answer.header("Allow")) == (405, allow)
        assert allow in answer.json["error"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_that_says_it_is_no_json_is_415(
    content_type: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(quiet()) as fake:
        body = {"action": "pause"}
        status, answer = await ask(fake, "POST", "/playback", body, Content_Type=content_type)
        assert status == 415
        assert "expected application/json" in answer["error"]
        assert not fake.server.control.status()["playback"]["paused"]
        charset = "Application/JSON; charset=utf-8"
        assert (await ask(fake, "POST", "/playback", body, Content_Type=charset))[0] == 200


async def test_a_body_of_more_than_a_mebibyte_is_413(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        body = b'{"text":"%s"}' % (b"x" * 1024 * 1024)
        answer = await fake.http().ask(
            "/__admin/push",
            method="POST",
            body=body,
            Host="localhost",
            Content_Type="application/json",
        )
        assert answer.status == 413


async def test_a_head_is_answered_as_its_get(autojump_clock: trio.testing.MockClock) -> None:
    async with serving(quiet()) as fake:
        answer = await fake.http().ask("/__admin", method="HEAD", Host="localhost")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.header("Cache-Control") == "no-store"


@settings(max_examples=examples(150))
@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=st.sampled_from(
        [
            "",
            "/violations",
            "/faults",
            "/faults/1",
            "/playback",
            "/sessions",
            "/login",
            "/ping",
            "/doings",
            "/expect",
            "/findings",
            "/frames",
            "/push",
            "/sockets/1",
        ]
    ),
    query=st.text(alphabet="?&=%+abcdehowru159", max_size=12)
    | st.sampled_from(["allow=", "allow=*&allow=pong.*", "require_all=true&allow=%", "last=1"]),
    body=st.binary(max_size=30)
    | st.dictionaries(
        st.sampled_from(
            [
                "action",
                "cues",
                "position_s",
                "speed",
                "advance_s",
                "text",
                "message",
                "fault",
                "what",
                "within_s",
                "socket",
                "email",
            ]
        ),
        st.sampled_from(["pause", "step", "seek", "speed", "max", "close", "flood", "pong"])
        | st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=2),
            max_leaves=3,
        ),
        max_size=3,
    ).map(lambda values: json.dumps(values).encode()),
)
def test_whatever_is_asked_the_answer_is_json_and_nothing_is_raised(
    method: str, path: str, query: str, body: bytes
) -> None:
    async def run() -> None:
        async with serving(quiet(DEVICES)) as fake:
            request = HttpRequest(
                method=method,
                target=f"/__admin{path}?{query}",
                headers=(("host", "localhost"), ("content-type", "application/json")),
                body=body,
            )
            answer = fake.server._admin(request)
            if answer.later is not None:
                if path == "/expect":
                    return
                answer = await answer.later()
            assert answer.status in (200, 400, 404, 405, 409)
            assert ("error" in json.loads(answer.body)) == (answer.status != 200)

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
