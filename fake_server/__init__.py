"""A fake Track backend: it replays recordings and enforces the ping/pong and cookie rules."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fake_server.accounts import Accounts
    from fake_server.fleet import Fleet
    from fake_server.playback import Playback
    from fake_server.server import FakeServer

__all__ = ["Accounts", "FakeServer", "Fleet", "Playback"]

_HOMES: Final = {
    "Accounts": "fake_server.accounts",
    "Fleet": "fake_server.fleet",
    "Playback": "fake_server.playback",
    "FakeServer": "fake_server.server",
}
"""Where each name lives; imported at first use, so that a command loads only its own part."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
