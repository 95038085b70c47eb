"""A fake Track backend: it replays recordings and enforces the ping/pong and cookie rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorder.lazy import at_first_use

if TYPE_CHECKING:
    from fake_server.accounts import Accounts
    from fake_server.fleet import Fleet
    from fake_server.playback import Playback
    from fake_server.server import FakeServer
else:
    __getattr__, __dir__ = at_first_use(
        __name__,
        {
            "Accounts": "fake_server.accounts",
            "Fleet": "fake_server.fleet",
            "Playback": "fake_server.playback",
            "FakeServer": "fake_server.server",
        },
    )

__all__ = ["Accounts", "FakeServer", "Fleet", "Playback"]
