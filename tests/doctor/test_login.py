"""The steps login, cookie and rest."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.backend import Backend
from recorder.doctor.cookies import parse_set_cookie, why_not_sent
from recorder.exits import Exit
from tests.doctor.support import (
    DEMO,
    LISTS,
    NOW_S,
    ONE,
    backend,
    examine,
    examine_fake,
    outcomes,
    page,
    replying,
    says,
)
from tests.fake_server.support import DEVICES, quiet, serving
from tests.profiles import examples
from tests.recorder.scripted import (
    COOKIE,
    EMAIL,
    PASSWORD,
    SET_COOKIE,
    Peer,
    Script,
    answer,
    saying,
)

USER = b'{"id":1,"name":"kim","administrator":false,"readonly":true}'


def logged_in(*headers: str, body: bytes = USER) -> Script:
    return saying(answer("200 OK", *headers, "Content-Type: application/json", body=body))


# Login


async def test_a_login_that_is_right() -> None:
    results = await examine(backend(login=logged_in(SET_COOKIE)))
    says(results["login"], "ok", "200 OK in", "administrator no, readonly yes")


async def test_the_fake_refuses_a_wrong_password() -> None:
    async with serving(quiet(DEVICES)) as fake:
        wrong = type(DEMO)(DEMO.email, "guessed-guessed")
        results = await examine_fake(fake, credentials=wrong)
    says(
        results["login"],
        "fail",
        "401 Unauthorized",
        "The email or the password is wrong",
        "Check both",
        exit_code=Exit.LOGIN_REFUSED,
    )
    assert outcomes(results) == "ooowof" + "s" * 6
    assert results["rest"].seen == ("login failed",)
    assert "guessed" not in repr(results)


REFUSALS: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "400": (answer("400 Bad Request"), ("misses the email or the password",)),
    "403": (page("403 Forbidden"), ("a page (HTML)", "The account is locked")),
    "404": (answer("404 Not Found", body=b"no"), ("it says: no", "no API at this path")),
    "405": (answer("405 Method Not Allowed"), ("takes no logins there",)),
    "415": (answer("415 Unsupported Media Type"), ("does not take a form", "Content-Type")),
    "429": (answer("429 Too Many Requests"), ("too many logins", "Wait a while")),
    "500": (answer("500 Internal Server Error"), ("it says nothing about the account",)),
    "501": (answer("501 Not Implemented"), ("takes no logins there",)),
    "418": (answer("418 I'm a teapot"), ("does not answer a login so",)),
    "redirect": (
        answer("302 Found", "Location: https://sso.example/login?state=4711471147114711"),
        ("it sends to https://sso.example/login", "single sign-on"),
    ),
    "page": (page("200 OK"), ("a page (HTML), not a user", "Something else stands at the URL")),
    "array": (answer("200 OK", body=b"[]"), ("no JSON object",)),
    "nested": (answer("200 OK", body=b"[" * 100_000), ("no JSON object",)),
}


@pytest.mark.parametrize(("data", "words"), REFUSALS.values(), ids=REFUSALS)
async def test_a_login_that_is_refused(data: bytes, words: tuple[str, ...]) -> None:
    results = await examine(backend(login=saying(data)))
    says(results["login"], "fail", *words, exit_code=Exit.LOGIN_REFUSED)
    assert results["cookie"].seen == ("login failed",)
    assert "4711" not in repr(results)


async def test_a_login_without_an_answer_is_a_lost_connection() -> None:
    async def hang_up(peer: Peer, head: bytes) -> None:
        await peer.stream.aclose()

    results = await examine(backend(login=hang_up))
    says(results["login"], "fail", "hung up without an answer", exit_code=Exit.CONNECTION_LOST)


async def test_a_server_that_goes_away_after_the_first_answer() -> None:
    connections = 0
    first = replying(answer("404 Not Found"))

    async def once(stream: trio.abc.Stream) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await first(stream)

    results = await examine(once)
    says(results["login"], "fail", "hung up", exit_code=Exit.CONNECTION_LOST)


async def test_a_disabled_account_is_a_warning() -> None:
    body = b'{"id":1,"disabled":true}'
    results = await examine(backend(login=logged_in(SET_COOKIE, body=body)))
    says(results["login"], "warn", "marked as disabled", "Ask an administrator")


async def test_what_a_server_says_back_is_not_repeated_with_its_secrets() -> None:
    """Nor with what would drive a terminal."""
    said = f"\x1b[31mno {EMAIL} with {PASSWORD} and JSESSIONID={COOKIE}\x07\u202eevil"
    refusal = answer("401 Unauthorized", SET_COOKIE, body=said.encode())
    results = await examine(backend(login=saying(refusal)))
    # `examine` looks for the secrets.
    shown = "".join(results["login"].seen)
    assert shown.isprintable()
    assert "no " in shown


async def test_a_further_connection_that_is_refused() -> None:
    refused = False

    async def connect(address: object) -> trio.abc.Stream:
        nonlocal refused
        await trio.lowlevel.checkpoint()
        if refused:
            raise ConnectionRefusedError(111, "Connection refused")
        refused = True
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.send_all(answer("404 Not Found"))
        return ours

    results = await examine(connect=connect)
    says(
        results["login"],
        "fail",
        "a further connection failed: Connection refused",
        "the server restarts",
        exit_code=Exit.CONNECTION_LOST,
    )


async def test_an_answer_that_is_compressed_though_nobody_asked() -> None:
    login = logged_in(SET_COOKIE, "Content-Encoding: gzip", body=b"\x1f\x8b")
    results = await examine(backend(login=login))
    says(
        results["login"],
        "fail",
        "encoded as gzip, which nobody asked for",
        exit_code=Exit.LOGIN_REFUSED,
    )


# Cookies


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ("Path=/api", "JSESSIONID with Path=/api, until the client ends"),
        ("Path=/; HttpOnly; SameSite=Lax", "Path=/, SameSite=Lax, HttpOnly"),
        ("Path=/api; Domain=.track.example", "Domain=.track.example"),
        ("Path=/api; Domain=example", "Domain=example"),
        ("path=/api; Max-Age=60", "until a date"),
        ("Path=elsewhere", "Path=elsewhere, until"),
        ("Path=/api; Expires=Fri, 01 Jan 2100 00:00:00 GMT", "until a date"),
        ("Path=/api; Max-Age=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "until a date"),
    ],
)
async def test_a_cookie_that_clients_send(attributes: str, words: str) -> None:
    header = f"Set-Cookie: JSESSIONID={COOKIE}; {attributes}"
    results = await examine(backend(login=logged_in(header)))
    says(results["cookie"], "ok", words, "Clients send it to /api/socket")
    assert results["rest"].outcome == "ok"


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ("Path=/api/session", ("do not send it to /api/socket", "proxy_cookie_path")),
        ("Path=/ap", ("do not send it to /api/socket",)),
        ("Path=/api; Secure", ("Secure, and clients do not send it over plain http", "https URL")),
        ("Path=/api; Domain=other.example", ("domain other.example", "proxy_cookie_domain")),
        ("Path=/api; Domain=rack.example", ("throw it away",)),
        ("Path=/api; Max-Age=0", ("It is over already", "clocks")),
        ("Path=/api; Expires=Thu, 01 Jan 1970 00:00:00 GMT", ("It is over already",)),
    ],
)
async def test_a_cookie_that_clients_do_not_send(attributes: str, words: tuple[str, ...]) -> None:
    header = f"Set-Cookie: JSESSIONID={COOKIE}; {attributes}"
    results = await examine(backend(login=logged_in(header)))
    says(results["cookie"], "fail", *words, exit_code=Exit.LOGIN_REFUSED)
    assert outcomes(results) == "ooowoof" + "s" * 5


async def test_a_proxy_that_mounts_the_api_elsewhere_but_not_its_cookie() -> None:
    results = await examine(
        backend(login=logged_in(SET_COOKIE), prefix="/track"), url="http://track.example/track"
    )
    says(
        results["cookie"],
        "fail",
        "set for the path /api, and clients do not send it to /track/api/socket",
        "proxy_cookie_path",
        exit_code=Exit.LOGIN_REFUSED,
    )


@pytest.mark.parametrize("headers", [(), ("Set-Cookie: nothing",), ("Set-Cookie: =x",)])
async def test_a_login_that_sets_no_cookie(headers: tuple[str, ...]) -> None:
    results = await examine(backend(login=logged_in(*headers)))
    says(
        results["cookie"],
        "fail",
        "set no cookie",
        "have it pass Set-Cookie on",
        exit_code=Exit.LOGIN_REFUSED,
    )


async def test_a_cookie_without_a_path_is_a_warning() -> None:
    results = await examine(backend(login=logged_in(f"Set-Cookie: JSESSIONID={COOKIE}")))
    says(results["cookie"], "warn", "no Path", "the folder of the login", "rewrites cookies")
    assert results["rest"].outcome == "ok"


async def test_same_site_none_without_secure_is_a_warning() -> None:
    header = f"Set-Cookie: JSESSIONID={COOKIE}; Path=/api; SameSite=None"
    results = await examine(backend(login=logged_in(header)))
    says(results["cookie"], "warn", "browsers throw the cookie away", "Have Secure added")


async def test_of_several_cookies_those_go_on_that_clients_send() -> None:
    heads: list[bytes] = []

    async def devices(peer: Peer, head: bytes) -> None:
        heads.append(head)
        await peer.send(ONE)

    login = logged_in(
        "Set-Cookie: route=node-one-and-only; Path=/",
        "Set-Cookie: gone=not-for-the-socket; Path=/other",
        SET_COOKIE,
    )
    results = await examine(backend(login=login, rest={**LISTS, "/api/devices": devices}))
    says(results["cookie"], "ok", "route with Path=/", "gone with Path=/other", "JSESSIONID")
    (head,) = heads
    assert b"\r\nConnection: close\r\n" in head
    assert f"\r\nCookie: route=node-one-and-only; JSESSIONID={COOKIE}\r\n".encode() in head
    assert "node-one" not in repr(results)


WORDS = ("a", "=", ";", " ", "Path", "Expires", "Max-Age", "Domain", "/", "9", "é", "\0", ".")


@given(st.lists(st.sampled_from(WORDS), max_size=20).map("".join))
@settings(max_examples=examples(150))
def test_any_set_cookie_is_read_or_is_none(line: str) -> None:
    cookie = parse_set_cookie(line)
    if cookie is not None:
        assert cookie.name
        why_not_sent(cookie, Backend.parse("http://track.example"), "/api/socket", NOW_S)
        cookie.describe()


def test_a_secure_cookie_is_sent_over_tls() -> None:
    cookie = parse_set_cookie("a=b; Secure; Path=/")
    assert cookie is not None
    assert why_not_sent(cookie, Backend.parse("https://x.example"), "/api/socket", NOW_S) is None


def test_the_value_of_a_cookie_is_not_in_its_repr() -> None:
    assert "secret" not in repr(parse_set_cookie("a=secret; Path=/"))


async def test_a_cookie_that_is_renewed_takes_the_place_of_the_first() -> None:
    heads: list[bytes] = []

    async def remember(peer: Peer, head: bytes) -> None:
        heads.append(head)
        await peer.send(answer("503 Service Unavailable"))

    field = b"\r\nSet-Cookie: JSESSIONID=second-second; Path=/\r\n"
    renewing = saying(ONE.replace(b"\r\n", field, 1))
    results = await examine(backend(remember, rest={**LISTS, "/api/positions": renewing}))
    assert b"\r\nCookie: JSESSIONID=second-second\r\n" in heads[0]
    assert "second-second" not in repr(results)


# REST


async def test_rest_counts_and_times_each_list() -> None:
    three = answer("200 OK", body=b'[{"id":1},{"id":2},{"id":3}]')
    results = await examine(backend(rest={**LISTS, "/api/devices": saying(three)}))
    says(results["rest"], "ok", "devices: 3, 28 bytes in", "beacons: 1", "The session is accepted")


REST: dict[str, tuple[Mapping[str, Script], tuple[str, ...], Exit]] = {
    "401": (
        dict.fromkeys(LISTS, saying(answer("401 Unauthorized"))),
        ("devices: 401 Unauthorized", "The session of the login is not accepted", "sticky"),
        Exit.LOGIN_REFUSED,
    ),
    "one 500": (
        {**LISTS, "/api/beacons": saying(answer("500 Internal Server Error"))},
        ("devices: 1", "beacons: 500", "does not answer as the manual says"),
        Exit.DIFFERENT,
    ),
    "page": (
        {**LISTS, "/api/devices": saying(page("200 OK"))},
        ("devices: 200, but a page (HTML)",),
        Exit.DIFFERENT,
    ),
    "object": (
        {**LISTS, "/api/devices": saying(answer("200 OK", body=b"{}"))},
        ("devices: 200, but no JSON array",),
        Exit.DIFFERENT,
    ),
}


@pytest.mark.parametrize(("rest", "words", "code"), REST.values(), ids=REST)
async def test_rest_that_is_not_as_it_should_be(
    rest: Mapping[str, Script], words: tuple[str, ...], code: Exit
) -> None:
    results = await examine(backend(rest=rest))
    says(results["rest"], "fail", *words, exit_code=code)
    # The socket is tried nevertheless.
    says(results["upgrade"], "fail", "503", exit_code=Exit.HANDSHAKE_REFUSED)


async def test_rest_that_breaks_off() -> None:
    async def hang_up(peer: Peer, head: bytes) -> None:
        await peer.stream.aclose()

    results = await examine(backend(rest={**LISTS, "/api/beacons": hang_up}))
    says(results["rest"], "fail", "hung up", exit_code=Exit.CONNECTION_LOST)


async def test_an_account_that_sees_no_devices_is_a_warning() -> None:
    none = saying(answer("200 OK", body=b"[]"))
    results = await examine(backend(rest=dict.fromkeys(LISTS, none)))
    says(results["rest"], "warn", "devices: 0", "sees no devices", "another one")


# Without credentials


async def test_without_credentials_it_goes_as_far_as_it_can() -> None:
    async with serving(quiet(DEVICES)) as fake:
        results = await examine_fake(fake, credentials=None)
    assert outcomes(results) == "ooowossoosss"
    says(results["login"], "skipped", "no credentials")
    says(results["rest"], "ok", "without a login: 401", "REST is there and wants a login")
    says(results["upgrade"], "ok", "Without a login the socket is refused, as it should be")
    says(results["push"], "skipped", "there is no socket without a login")
    assert set(fake.rules_broken) == {"session.no-cookie"}


async def test_rest_that_lets_anyone_in_is_a_warning() -> None:
    results = await examine(backend(), credentials=None)
    says(results["rest"], "warn", "without a login: 200 OK", "A backend answers 401 here")


async def test_rest_that_breaks_off_without_a_login() -> None:
    async def hang_up(peer: Peer, head: bytes) -> None:
        await peer.stream.aclose()

    results = await examine(backend(rest={"/api/devices": hang_up}), credentials=None)
    says(results["rest"], "fail", "hung up", exit_code=Exit.CONNECTION_LOST)
