"""A test records by way of a proxy, with a fake on loopback sockets as the real backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from trio_websocket import open_websocket_url

from fake_server.accounts import Account, Accounts
from fake_server.playback import Playback
from fake_server.server import FakeServer
from fake_server.testing.proxied import Proxied, proxying
from recorder.credentials import Credentials
from recorder.errors import DiskFailed, OutputExists
from recorder.leaks import KnownValue, Look, Values
from recorder.recording import Reader, Writer
from recorder.track.kinds import ping_uuids
from replayer.conformance import conformance
from replayer.playing.script import load_script
from tests.fake_server.support import (
    DEVICES,
    POSITION,
    exchange,
    said,
    script_of,
    upgrade,
)

WHO = Credentials("someone@example.com", "correct horse battery")
GROUPS = b'[{"id":4,"name":"harbour"}]'


@asynccontextmanager
async def backend(folder: Path) -> AsyncIterator[tuple[str, FakeServer]]:
    """The URL of a backend that is as good as a real one, and the server behind it."""
    entries = [*exchange("/api/groups", GROUPS), *upgrade(), said(DEVICES), said(POSITION, 1)]
    fake = FakeServer(
        script_of(folder, entries),
        accounts=Accounts([Account(credentials=WHO)]),
        playback=Playback(mode="per-connection", speed=1e6),
    )
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fake.serve, listeners)
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}", fake
        nursery.cancel_scope.cancel()


async def log_in(client: httpx.AsyncClient) -> str:
    """A session's cookie."""
    form = {"email": WHO.email, "password": WHO.password}
    (await client.post("/api/session", data=form)).raise_for_status()
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


async def use(proxied: Proxied, fake: FakeServer, *, answer: bool = True) -> list[str]:
    """A client's day: log in, ask, listen, answer a PING. Returns the secrets of it."""
    async with httpx.AsyncClient(base_url=proxied.base_url, trust_env=False) as client:
        cookie = await log_in(client)
        assert (await client.get("/api/groups")).content == GROUPS
        async with open_websocket_url(
            proxied.ws_url, extra_headers=[(b"Cookie", cookie.encode())]
        ) as socket:
            while POSITION.decode() != await socket.get_message():
                pass
            fake.control.ping()
            uuids = ping_uuids(str(await socket.get_message()).encode())
            await socket.send_message(f"pong {uuids[0] if answer else 'x'}")
            assert (await client.get("/api/groups")).content == GROUPS
    return [cookie.partition("=")[2], WHO.password]


def leaks(path: Path, secrets: list[str]) -> list[str]:
    known = Values([KnownValue(f"secret {at}", one) for at, one in enumerate(secrets)])
    assert not known.left_out
    return [str(one) for one in Look(path, known).findings()]


async def test_what_was_recorded_through_the_proxy_can_be_replayed(tmp_path: Path) -> None:
    path = tmp_path / "recordings" / "test_x" / "a.track.jsonl"
    async with backend(tmp_path) as (url, fake), proxying(url, path) as proxied:
        secrets = await use(proxied, fake)
        proxied.keep()
        assert not path.exists()
    assert list(texts_in(path.parent)) == [path.name]
    with Reader(path) as reader:
        assert (reader.header.mode, reader.header.upstream) == ("proxy", url)
        assert reader.header.redaction.profile == "secrets"
        list(reader)
        assert reader.complete
    script = load_script(path)
    answer = script.answer("GET", "/api/groups")
    assert answer is not None
    assert answer.body == GROUPS
    messages = [cue.message for cue in script.cues(0)]
    assert [one for one in messages if one in (DEVICES, POSITION)] == [DEVICES, POSITION]
    assert leaks(path, secrets) == []
    for secret in secrets:
        assert secret not in path.read_text()


async def test_without_redaction_secrets_are_seen_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    async with backend(tmp_path) as (url, fake), proxying(url, path, redact="none") as proxied:
        secrets = await use(proxied, fake)
        proxied.keep()
    assert all(secret.split()[0] in path.read_text() for secret in secrets)


async def test_what_an_account_logs_in_with_is_masked_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    account = Credentials("administrator", "hunter-22")
    async with (
        backend(tmp_path) as (url, _),
        proxying(url, path, accounts=[account]) as proxied,
        httpx.AsyncClient(base_url=proxied.base_url, trust_env=False) as client,
    ):
        await client.get("/api/hunter-22/administrator")
        proxied.keep()
    text = path.read_text()
    assert "hunter-22" not in text
    assert "administrator" not in text
    assert "redacted:email" in text


async def test_a_recording_that_was_finished_is_whole_and_nothing_is_relayed_any_more(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.track.jsonl"
    async with backend(tmp_path) as (url, fake), proxying(url, path) as proxied:
        await use(proxied, fake, answer=False)
        await proxied.finish()
        await proxied.finish()
        with Reader(proxied.recorded_to) as reader:
            assert [one.rule for one in conformance(reader)] == ["pong.wrong-uuid"]
        async with httpx.AsyncClient(base_url=proxied.base_url, trust_env=False) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get("/api/groups")


# Where it goes


def texts_in(folder: Path) -> dict[str, str]:
    files = [one for one in folder.rglob("*") if one.is_file()]
    return {str(one.relative_to(folder)): one.read_text() for one in files}


def nothing(proxied: Proxied, elsewhere: Path) -> None:
    pass


def keep(proxied: Proxied, elsewhere: Path) -> None:
    proxied.keep()


def keep_at(proxied: Proxied, elsewhere: Path) -> None:
    proxied.keep()
    proxied.keep_at(elsewhere)


@pytest.mark.parametrize(
    ("decide", "expected"),
    [
        (nothing, {"a.track.jsonl": False}),
        (keep, {"a.track.jsonl": True}),
        (keep_at, {"a.track.jsonl": False, "failed/b.track.jsonl": True}),
    ],
)
async def test_the_old_recording_is_replaced_only_by_one_that_is_kept(
    decide: Callable[[Proxied, Path], None], expected: dict[str, bool], tmp_path: Path
) -> None:
    path = tmp_path / "a.track.jsonl"
    path.write_text("old")
    async with proxying("http://127.0.0.1:9", path, force=True) as proxied:
        decide(proxied, tmp_path / "failed" / "b.track.jsonl")
    assert {name: text != "old" for name, text in texts_in(tmp_path).items()} == expected


async def test_a_block_that_fails_keeps_the_old_one_and_its_error_comes_out(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.track.jsonl"
    path.write_text("old")
    error = AssertionError("of the test")
    cause = ValueError("why")
    with pytest.raises(AssertionError) as caught:  # noqa: PT012 - all of it is the block
        async with proxying("http://127.0.0.1:9", path, force=True) as proxied:
            proxied.keep()
            raise error from cause
    assert caught.value is error
    assert error.__cause__ is cause
    assert texts_in(tmp_path) == {path.name: "old"}


async def test_a_block_that_is_cancelled_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    path.write_text("old")
    with trio.CancelScope() as scope:
        async with proxying("http://127.0.0.1:9", path, force=True) as proxied:
            proxied.keep()
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert texts_in(tmp_path) == {path.name: "old"}


async def test_a_recording_that_is_there_is_not_replaced_without_force(tmp_path: Path) -> None:
    path = tmp_path / "a.track.jsonl"
    path.write_text("old")
    with pytest.raises(OutputExists, match="exists already"):
        async with proxying("http://127.0.0.1:9", path):
            pass
    assert path.read_text() == "old"


async def test_a_disk_that_fails_is_told_and_the_old_recording_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.track.jsonl"
    path.write_text("old")

    def fails(self: Writer, entry: Any) -> None:
        raise DiskFailed("the disk is full")

    async with backend(tmp_path) as (url, _):
        with pytest.raises(DiskFailed, match="the disk is full"):  # noqa: PT012
            async with proxying(url, path, force=True) as proxied:
                proxied.keep()
                monkeypatch.setattr(Writer, "write", fails)
                async with httpx.AsyncClient(base_url=proxied.base_url, trust_env=False) as client:
                    await client.get("/api/groups")
                    await trio.sleep_forever()
    assert path.read_text() == "old"


async def test_who_asks_while_the_backend_is_down_is_told_so(tmp_path: Path) -> None:
    async with (
        proxying("http://127.0.0.1:9", tmp_path / "a.track.jsonl") as proxied,
        httpx.AsyncClient(base_url=proxied.base_url, trust_env=False) as client,
    ):
        answer = await client.get("/api/server")
    assert answer.status_code == 502
