"""The page that shows the OpenAPI document."""

from __future__ import annotations

import re

import pytest
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fake_server.rest.swagger import documentation
from recorder.track.rules import Rules
from tests.fake_server.support import quiet, serving
from tests.profiles import examples

ASSETS = {
    "/api/swagger/swagger-ui.css": "text/css; charset=utf-8",
    "/api/swagger/index.css": "text/css; charset=utf-8",
    "/api/swagger/favicon-32x32.png": "image/png",
    "/api/swagger/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "/api/swagger/start.js": "text/javascript; charset=utf-8",
}


def got(path: str) -> tuple[bytes, dict[str, str]]:
    answer = documentation(path, Rules())
    assert answer is not None
    assert answer.status == 200
    return answer.body, dict(answer.headers)


@pytest.mark.parametrize("path", ["/api/swagger", "/api/swagger/"])
def test_the_page_needs_only_what_this_server_has(path: str) -> None:
    body, headers = got(path)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert set(re.findall(r'(?:src|href)="([^"]*)"', body.decode())) == set(ASSETS)
    assert b"://" not in body


@pytest.mark.parametrize("path", ASSETS)
def test_assets_are_served_as_what_they_are(path: str) -> None:
    body, headers = got(path)
    assert headers["Content-Type"] == ASSETS[path]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert body


def test_styles_ask_nothing_of_other_servers() -> None:
    for path, content_type in ASSETS.items():
        if content_type.startswith("text/css"):
            linked = re.findall(rb"""(?:url\(\s*["']?|@import\s+["'])([a-z]+:|/)""", got(path)[0])
            assert set(linked) <= {b"data:"}


def test_the_page_shows_the_document_of_this_server_and_asks_no_validator() -> None:
    body, _ = got("/api/swagger/start.js")
    assert b'url: "/api/openapi.json"' in body
    assert b"validatorUrl: null" in body
    assert got("/api/openapi.json")[1] == {"Content-Type": "application/json"}


def test_scripts_may_come_and_ask_from_here_only() -> None:
    policy = got("/api/swagger")[1]["Content-Security-Policy"]
    directives = dict(one.strip().split(" ", 1) for one in policy.split(";"))
    assert directives["default-src"] == "'self'"
    assert not {"script-src", "connect-src"} & set(directives)
    assert "unsafe-eval" not in policy
    assert re.search(rb"<script>|\son\w+=", got("/api/swagger")[0]) is None


@settings(max_examples=examples(200))
@given(st.text(st.sampled_from("./\\%2eabc-_:;?\0"), max_size=30) | st.text(max_size=20))
@example("../__init__.py")
@example("..%2f__init__.py")
@example("/etc/passwd")
@example("index.html")
@example("swagger-ui-bundle.js.map")
@example("swagger-ui.css/../index.j2")
@example("SWAGGER-UI.CSS")
def test_no_other_file_can_be_asked_for(name: str) -> None:
    path = f"/api/swagger/{name}"
    if path not in ASSETS and name:
        assert documentation(path, Rules()) is None
        assert documentation(f"/api/swagger{name}", Rules()) is None or name.startswith("/")


async def test_page_and_document_need_no_session_and_break_no_rule(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        for path in ("/api/openapi.json", "/api/swagger", *ASSETS):
            http = fake.http()
            answer = await http.ask(path)
            assert answer.status == 200
            head = await http.ask(path, method="HEAD")
            assert head.header("Content-Length") == str(len(answer.body))
        assert (await fake.http().ask("/api/openapi.json")).json["openapi"] == "3.0.3"
        assert fake.rules_broken == []


async def test_the_document_of_a_server_goes_by_its_rules(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet(), rules=Rules(cookie_name="SID")) as fake:
        document = (await fake.http().ask("/api/openapi.json")).json
        assert document["components"]["securitySchemes"]["cookie"]["name"] == "SID"


async def test_other_files_and_methods_are_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        for path in ("/api/swagger/../swagger_ui.py", "/api/swagger/index.j2"):
            assert (await fake.http().ask(path)).status in (401, 404)
        assert (await fake.http().ask("/api/swagger", method="POST")).status in (401, 404, 405)
