"""A fake server for a test: in a thread beside it, or in its own nursery and on its own clock.

============== ==============================================================
module         what it holds
============== ==============================================================
``settings``   what a test asks for: recording, playback, faults, rules
``server``     TrackServer, what a test holds in its hands
``expect``     waiting for what a client does
``loops``      how calls reach the server's event loop, and come back
``native``     the same in the test's own trio run, on its clock
``memory``     HTTP and sockets over memory streams, for tests in trio
``proxied``    a recording proxy before a real backend
``forwarding`` what a recording does not know, asked of the backend
``guard``      no network but the fake
============== ==============================================================

The pytest plugin (:mod:`fake_server.pytest_plugin`) makes fixtures of it; any other test runner may
use it as it is.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fake_server.testing.native import open_track_server
    from fake_server.testing.server import TrackServer, run_track_server
    from fake_server.testing.settings import Settings

__all__ = ["Settings", "TrackServer", "open_track_server", "run_track_server"]

_HOMES: Final = {
    "Settings": "fake_server.testing.settings",
    "TrackServer": "fake_server.testing.server",
    "open_track_server": "fake_server.testing.native",
    "run_track_server": "fake_server.testing.server",
}
"""Where each name lives; imported at first use, for a test run that uses none of it."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
