"""What a recording does not know is asked of the backend, and then it knows."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fake_server.exchange import HttpRequest
from fake_server.testing.forwarding import Forwarder, joined
from fake_server.testing.proxied import proxying
from recorder.credentials import Credentials
from recorder.errors import LoginRefused, Unreachable
from recorder.recording import Reader
from replayer.playing.script import load_script
from tests.fake_server.support import DEVICES, exchange, said, upgrade, write
from tests.fake_server.testing.test_proxied import GROUPS, WHO, backend
from tests.recorder.scripted import SET_COOKIE, answer, saying, scripted

OF_PROXY = b"track-recorder proxy: no route\n"
ASKED = HttpRequest(method="GET", target="/api/groups", headers=(("cookie", "JSESSIONID=ours"),))


async def test_an_answer_that_was_forwarded_is_known_the_next_time(tmp_path: Path) -> None:
    known = [*exchange("/api/server", b'{"id":1}'), *upgrade(at_s=1), said(DEVICES, 2)]
    path = write(tmp_path / "old.track.jsonl", known)
    added = tmp_path / "added.track.jsonl"
    assert load_script(path).answer("GET", "/api/groups") is None
    async with (
        backend(tmp_path) as (url, fake),
        proxying(url, added, accounts=[WHO]) as proxied,
        Forwarder(proxied.base_url, WHO) as forwarder,
    ):
        answers = [await forwarder.ask(ASKED) for _ in range(2)]
        assert [one.body for one in answers] == [GROUPS, GROUPS]
        assert answers[0].headers == (("Content-Type", "application/json"),)
        assert list(fake.violations.latest) == []
        proxied.keep()
    assert "JSESSIONID=ours" not in added.read_text()
    assert added.read_text().count('"method":"POST"') == 2, "one login, on both legs"
    with Reader(path) as reader:
        started_at = reader.header.started_at
    joined(path, added).replace(path)
    with Reader(path) as reader:
        assert reader.header.started_at == started_at
    script = load_script(path)
    for target, body in (("/api/groups", GROUPS), ("/api/server", b'{"id":1}')):
        answer = script.answer("GET", target)
        assert answer is not None
        assert answer.body == body
    assert [cue.message for cue in script.cues(0)] == [DEVICES]
    assert sorted(one.name for one in path.parent.iterdir() if "joined" in one.name) == []
    assert WHO.password not in path.read_text()


async def test_a_login_that_the_backend_refuses_is_told_without_the_password(
    tmp_path: Path,
) -> None:
    wrong = Credentials(WHO.email, "not this one")
    async with backend(tmp_path) as (url, _), Forwarder(url, wrong) as forwarder:
        with pytest.raises(LoginRefused, match="refused the login: 401; check the email") as caught:
            await forwarder.ask(ASKED)
    assert wrong.password not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (answer("500 Oh", SET_COOKIE), "the backend refused the login: 500; is this a Track"),
        (answer("200 OK", body=b"<html>"), "the backend answered 200 but set no cookie for /api/s"),
    ],
)
async def test_what_is_no_track_backend_is_told_at_the_login(said: bytes, told: str) -> None:
    async with scripted(login=saying(said)) as server, Forwarder(server.url, WHO) as forwarder:
        with pytest.raises(LoginRefused, match=told):
            await forwarder.ask(ASKED)
    assert len(server.requests) == 1


async def test_a_backend_that_is_not_there_is_told() -> None:
    async with Forwarder("http://127.0.0.1:9", WHO) as forwarder:
        with pytest.raises(Unreachable, match="POST /api/session was forwarded to the backend, wh"):
            await forwarder.ask(ASKED)


async def test_what_the_proxy_says_itself_is_no_answer_of_the_backend(tmp_path: Path) -> None:
    async with (
        proxying("http://127.0.0.1:9", tmp_path / "a.track.jsonl") as proxied,
        Forwarder(proxied.base_url, WHO) as forwarder,
    ):
        with pytest.raises(Unreachable, match=r"did not answer: 127\.0\.0\.1:9: cannot conn"):
            await forwarder.ask(ASKED)
    async with (
        scripted(rest={"/api/groups": saying(answer("502 Bad Gateway", body=OF_PROXY))}) as server,
        Forwarder(server.url, WHO) as forwarder,
    ):
        with pytest.raises(Unreachable, match=r"GET /api/groups .*did not answer: no route$"):
            await forwarder.ask(ASKED)


async def test_a_head_is_asked_for_as_the_get_that_a_fake_answers_it_by(tmp_path: Path) -> None:
    head = msgspec.structs.replace(ASKED, method="HEAD")
    async with backend(tmp_path) as (url, fake), Forwarder(url, WHO) as forwarder:
        assert (await forwarder.ask(head)).body == GROUPS
        assert [one.method for one in fake.journal.kept if one.kind == "request"][1:] == ["GET"]
