"""The fault ``refusal``."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
import trio
import trio.testing
import websockets

from fake_server.faults import FaultBoard, parse_injection
from fake_server.faults.base import Refusal
from tests.fake_server.faults.support import (
    THREE,
    Served,
    injections,
    on_loopback,
    with_aiohttp,
    with_websockets,
)
from tests.fake_server.support import Http, handshake, quiet, serving

NGINX_502 = (
    b"<html>\r\n"
    b"<head><title>502 Bad Gateway</title></head>\r\n"
    b"<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n"
    b"</body>\r\n"
    b"</html>\r\n"
)


def refusal(fault: str) -> Any:
    return FaultBoard(injections([fault])).handshake(0.0, 1)


def test_an_nginx_page_is_as_nginx_sends_it() -> None:
    assert refusal("refusal:status=502,body=nginx") == Refusal(
        status=502, body=NGINX_502, headers=(("Server", "nginx"), ("Content-Type", "text/html"))
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, b"401 Authorization Required"),
        (403, b"403 Forbidden"),
        (500, b"500 Internal Server Error"),
        (503, b"503 Service Temporarily Unavailable"),
        (504, b"504 Gateway Time-out"),
        (599, b"<h1>599</h1>"),
    ],
)
def test_nginx_has_words_of_its_own(status: int, words: bytes) -> None:
    assert words in refusal(f"refusal:status={status},body=nginx").body


@pytest.mark.parametrize("status", [403, 500, 503])
def test_the_page_of_the_backend_is_the_default(status: int) -> None:
    refused = refusal(f"refusal:status={status}")
    assert refused.status == status
    assert refused.body.startswith(b"<!DOCTYPE html><html><head><title>%d - " % status)
    assert refused.headers == (("Content-Type", "text/html; charset=utf-8"),)


@pytest.mark.parametrize("body", ["jetty", "nginx", "empty"])
def test_a_401_names_a_challenge(body: str) -> None:
    refused = refusal(f"refusal:status=401,body={body}")
    assert refused.headers[-1] == ("WWW-Authenticate", 'Basic realm="api"')
    assert (refused.body == b"") == (body == "empty")


async def test_on_the_wire_it_stands_in_place_of_the_101(
    autojump_clock: trio.testing.MockClock,
) -> None:
    faults = injections(["refusal:status=502,body=nginx,count=1"])
    async with serving(quiet(*THREE), faults=faults) as fake:
        cookie = await fake.cookie()
        http = Http(fake.connect())
        await http.send(handshake(cookie))
        answer = await http.answer()
        assert (answer.status, answer.reason) == (502, "Bad Gateway")
        assert answer.body == NGINX_502
        names = [name.lower() for name, _ in answer.headers]
        assert sorted(names) == ["content-length", "content-type", "date", "server"]
        assert answer.header("Server") == "nginx"
        # The next handshake succeeds, REST was never refused.
        await fake.socket(cookie)
        assert fake.rules_broken == []


async def test_it_does_not_hide_what_a_client_does_wrong() -> None:
    async with serving(quiet(*THREE), faults=injections(["refusal:status=403"])) as fake:
        http = Http(fake.connect())
        await http.send(handshake(None))
        assert (await http.answer()).status == 503
        assert fake.rules_broken == ["session.no-cookie"]


def test_a_schedule_says_which_handshakes() -> None:
    board = FaultBoard(injections(["refusal:after=1,count=2", "refusal:status=500,sockets=9"]))
    answers = [board.handshake(0.0, socket) for socket in (1, 1, 1, 1, 9)]
    assert [answer and getattr(answer, "status", None) for answer in answers] == [
        None,
        503,
        503,
        None,
        500,
    ]


@pytest.mark.parametrize("status", [401, 403, 500, 502, 503])
@pytest.mark.parametrize("body", ["jetty", "nginx"])
async def test_websockets_raises_invalid_status(status: int, body: str) -> None:
    def client(served: Served) -> websockets.Response:
        with pytest.raises(websockets.InvalidStatus) as refused, with_websockets(served):
            pass
        return refused.value.response

    async with on_loopback(f"refusal:status={status},body={body}") as served:
        response = await served.ask(client)
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("text/html")
    assert (response.headers["Server"] == "nginx") == (body == "nginx")
    assert f"{status} ".encode() in (response.body or b"")


async def test_aiohttp_raises_a_handshake_error() -> None:
    async def client(served: Served) -> int:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with with_aiohttp(served):
                pass
        return refused.value.status

    async with on_loopback("refusal:status=502,body=nginx") as served:
        assert await served.ask_async(client) == 502


@pytest.mark.parametrize("field", ["status=200", "status=600", "body=apache"])
def test_impossible_values_are_named(field: str) -> None:
    with pytest.raises(ValueError, match=f"refusal: .*{field.partition('=')[0]}|\\$.body"):
        parse_injection(f"refusal:{field}")
