"""Playback to each socket on its own: what of it REST shows to a session."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from fake_server.playback import per_connection
from replayer.playing.script import Script
from tests.fake_server.support import Fake, exchange, said, script_of, serving, upgrade

OPENING = b'[{"id":1,"name":"at first"}]'


def two_sockets(folder: Path) -> Script:
    """The second says something else at the same moments of its own time."""
    entries = [*exchange("/api/devices", OPENING)]
    for connection, name in ((2, "first"), (3, "second")):
        entries += upgrade(connection)
        for at_s in (1, 2):
            text = f'{{"devices":[{{"id":1,"name":"{name} {at_s}"}}]}}'
            entries.append(said(text.encode(), at_s, connection=connection))
    return script_of(folder, entries)


async def shown(fake: Fake, cookie: str) -> bytes:
    return (await fake.http().ask("/api/devices", Cookie=cookie)).body


async def test_of_sockets_that_are_equally_far_the_first_is_shown(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(two_sockets(tmp_path)) as fake:
        cookie = await fake.cookie()
        first = await fake.socket(cookie)
        await fake.socket(cookie)
        assert await shown(fake, cookie) == OPENING
        await trio.sleep_until(1.5)
        assert await shown(fake, cookie) == b'[{"id":1,"name":"first 1"}]'
        await first.stream.aclose()
        await trio.sleep_until(3)
        assert await shown(fake, cookie) == b'[{"id":1,"name":"second 2"}]'


async def test_of_old_sessions_is_forgotten_what_they_were_shown(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(per_connection, "_MAX_SESSION_VIEWS", 2)
    async with serving(two_sockets(tmp_path)) as fake:
        cookies = [await fake.cookie() for _ in range(3)]
        for number, cookie in enumerate(cookies):
            await (await fake.socket(cookie)).stream.aclose()
            await fake.socket(cookie)
            await trio.sleep_until(10 * (number + 1))
        bodies = [await shown(fake, cookie) for cookie in cookies]
    assert bodies == [OPENING, *[b'[{"id":1,"name":"second 2"}]'] * 2]
