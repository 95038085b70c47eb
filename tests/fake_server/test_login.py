"""`POST /api/session` (manual section 2)."""

from __future__ import annotations

import re
from urllib.parse import quote_plus

import pytest
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.accounts import Accounts
from fake_server.login import MAX_LOGIN_BYTES
from recorder.credentials import Credentials
from recorder.track.rules import Rules
from tests.fake_server.support import DEVICES, Answer, Fake, quiet, serving
from tests.profiles import examples

FORM = "application/x-www-form-urlencoded"
GOOD = b"email=demo%40example.com&password=demo"
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


async def post(fake: Fake, body: bytes, content_type: str | None = FORM) -> Answer:
    headers = {} if content_type is None else {"Content_Type": content_type}
    return await fake.http().ask("/api/session", method="POST", body=body, **headers)


async def test_a_login_is_answered_with_the_user_and_a_cookie() -> None:
    async with serving(quiet()) as fake:
        answer = await post(fake, GOOD)
    assert answer.status == 200
    assert (answer.header("Content-Type") or "").startswith("application/json")
    cookies = [value for name, value in answer.headers if name.lower() == "set-cookie"]
    assert len(cookies) == 1
    assert re.fullmatch(r"JSESSIONID=node0[0-9a-z]+\.node0; Path=/api", cookies[0])
    assert answer.header("Expires") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert b'"name"' in answer.body
    assert answer.json["email"] == "demo@example.com"
    assert answer.json["password"] is None


async def test_each_login_is_a_session_of_its_own() -> None:
    async with serving(quiet()) as fake:
        assert len({await fake.cookie() for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"email":"demo@example.com","password":"demo"}', "application/json", 415),
        (b'{"email":"demo@example.com"}', "application/json; charset=utf-8", 415),
        (b"email=demo%40example.com", FORM, 400),
        (b"password=demo", FORM, 400),
        (b"", FORM, 400),
        (b"", None, 400),
        (b"email=demo%40example.com&password=Demo", FORM, 401),
        (b"email=demo%40example.com&password=", FORM, 401),
        (b"email=nobody%40example.com&password=demo", FORM, 401),
        (b"email=nobody%40example.com&password=", FORM, 401),
        (b"email=" + b"x" * MAX_LOGIN_BYTES + b"&password=demo", FORM, 413),
    ],
)
async def test_a_login_that_is_refused_says_why_by_its_status_and_sets_no_cookie(
    body: bytes, content_type: str | None, status: int
) -> None:
    async with serving(quiet()) as fake:
        answer = await post(fake, body, content_type)
        assert answer.status == status
        assert answer.header("Set-Cookie") is None
        # The manual's scripts look for "name" to tell a login that worked.
        assert b"name" not in answer.body
        assert answer.header("WWW-Authenticate") is None
        # The connection or another one goes on.
        assert (await post(fake, GOOD)).status == 200


@pytest.mark.parametrize("content_type", [FORM.upper(), f"{FORM}; charset=UTF-8", f"{FORM} ;x=y"])
async def test_the_content_type_may_have_any_case_and_parameters(content_type: str) -> None:
    async with serving(quiet()) as fake:
        assert (await post(fake, GOOD, content_type)).status == 200


@settings(max_examples=examples(60))
@given(texts, texts)
def test_any_email_and_password_can_log_in(email: str, password: str) -> None:
    async def main() -> None:
        async with serving(quiet(), accounts=Accounts([Credentials(email, password)])) as fake:
            answer = await post(
                fake, f"email={quote_plus(email)}&password={quote_plus(password)}".encode()
            )
            assert answer.status == 200
            assert answer.json["email"] == email
            wrong = f"email={quote_plus(email)}&password={quote_plus(password + 'x')}"
            assert (await post(fake, wrong.encode())).status == 401

    trio.run(main)


async def test_a_login_in_pieces_and_one_behind_the_other_on_one_connection() -> None:
    async with serving(quiet(DEVICES)) as fake:
        http = fake.http()
        request = (
            b"POST /api/session HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" % FORM.encode()
        )
        for size in (1, 7, len(GOOD)):
            await http.send(request)
            for start in range(0, len(GOOD), size):
                piece = GOOD[start : start + size]
                await http.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            await http.send(b"0\r\n\r\n")
            assert (await http.answer()).status == 200


async def test_other_methods_of_the_session_are_no_login() -> None:
    async with serving(quiet()) as fake:
        answer = await fake.http().ask("/api/session", method="PUT", body=GOOD, Content_Type=FORM)
        assert answer.header("Set-Cookie") is None
        assert answer.status == 401


async def test_a_refused_login_reports_nothing_that_holds_a_secret(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with serving(quiet()) as fake:
        await post(fake, b"email=demo%40example.com&password=hunter2")
        assert "hunter2" not in str(list(fake.server.violations.latest))
    assert "hunter2" not in "".join(capfd.readouterr())


async def test_a_refusal_is_worded_as_its_status_says() -> None:
    async with serving(quiet(), rules=Rules(status_wrong_password=403)) as fake:
        answer = await fake.http().log_in(password="wrong")
    assert answer.status == 403
    assert answer.body.startswith(b"HTTP 403 Forbidden")


async def test_a_status_without_a_name_is_answered_too() -> None:
    async with serving(quiet(), rules=Rules(status_wrong_password=499)) as fake:
        answer = await fake.http().log_in(password="wrong")
    assert answer.status == 499
