"""The last messages and exchanges before a failure, asked for by HTTP of a server that records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from fake_server.last_frames import last_frames, last_frames_of
from fake_server.recording import ServerRecording
from fake_server.server import FakeServer
from tests.fake_server.admin_client import ask, ask_over
from tests.fake_server.command_lines import served_here
from tests.fake_server.support import DEVICES, TIMEOUT, Fake, quiet, serving


@asynccontextmanager
async def recorded(path: Path) -> AsyncIterator[Fake]:
    """A server that sends one message, and records."""
    recording = ServerRecording.open(path)
    server = FakeServer(
        quiet(DEVICES),
        tap=lambda stream, _: recording.tap(stream),
        last_frames=last_frames_of(recording, path),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        yield Fake(server, nursery)
        nursery.cancel_scope.cancel()
    recording.close()


async def test_a_server_that_does_not_record_is_409_and_says_how(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with serving(quiet()) as fake:
        assert await ask(fake, "GET", "/frames") == (
            409,
            {"error": "nothing is recorded; start the server with --record FILE"},
        )


@pytest.mark.parametrize("name", ["fake.track.jsonl", "fake.track.jsonl.zst"])
async def test_the_last_frames_are_those_of_clients_oldest_first(name: str, tmp_path: Path) -> None:
    async with recorded(tmp_path / name) as fake:
        assert await ask(fake, "GET", "/frames") == (200, {"frames": []})
        client = await fake.socket()
        await client.expect(TIMEOUT, DEVICES)
        await client.text("hello")
        http = fake.http()
        await http.ask("/api/nothing")
        await ask_over(http, "GET", "/doings")
        _, all_of_them = await ask_over(http, "GET", "/frames")
        frames = all_of_them["frames"]
        for line, words in zip(
            frames,
            ["POST /api/session", "GET /api/socket", "webSession", "devices", "hello", "/nothing"],
            strict=True,
        ):
            assert words in line
            assert len(line) <= 80
        assert (await ask_over(http, "GET", "/frames?last=2"))[1] == {"frames": frames[-2:]}
        await client.close()
        await client.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        _, after = await ask(fake, "GET", "/frames?last=1000")
        assert after["frames"][:6] == frames
        assert "closed" in after["frames"][-1]


async def test_a_recording_that_is_gone_is_500_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "fake.track.jsonl"
    async with recorded(path) as fake:
        path.unlink()
        status, answer = await ask(fake, "GET", "/frames")
        assert status == 500
        assert answer["error"].startswith(f"{path}")
        assert "No such file" in answer["error"]
        assert fake.server.failures == []


async def test_the_command_line_records_and_tells(tmp_path: Path) -> None:
    path = tmp_path / "fake.track.jsonl"
    async with served_here(None, "--record", path) as here:
        cookie = await here.cookie()
        await (await here.http()).ask("/api/devices", Cookie=cookie)
        status, answer = await ask_over(await here.http(), "GET", "/frames?last=1")
        assert status == 200
        [line] = answer["frames"]
        assert "GET /api/devices" in line
        secret = cookie.partition("=")[2]
        assert secret not in str(await ask_over(await here.http(), "GET", "/frames"))
    async with served_here(None) as here:
        assert (await ask_over(await here.http(), "GET", "/frames"))[0] == 409


def test_what_is_not_quite_the_control_api_is_shown(tmp_path: Path) -> None:
    async def run() -> Any:
        path = tmp_path / "fake.track.jsonl"
        async with recorded(path) as fake:
            http = fake.http()
            for target in ("/__admin?x=1", "/__adminx", "/__admin/violations?rule=pong.late"):
                await http.ask(target, Host="localhost")
        return last_frames(path, 12)

    [line] = trio.run(run)
    assert "GET /__adminx" in line
