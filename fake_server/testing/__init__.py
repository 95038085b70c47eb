"""A fake server for a test: in a thread beside it, or in its own nursery and on its own clock.

============== ==============================================================
module         what it holds
============== ==============================================================
``settings``   what a test asks for: recording, playback, faults, rules
``server``     TrackServer, what a test holds in its hands
``values``     what it gives and raises
``expect``     waiting for what a client does
``loops``      how calls reach the server's event loop, and come back
``thread``     a server in a trio run of a thread of its own
``native``     the same in the test's own trio run, on its clock
``memory``     HTTP and sockets over memory streams, for tests in trio
``live``       a TrackServer over a real backend
``proxied``    a recording proxy before a real backend
``observing``  what clients do, seen by that proxy
``forwarding`` what a recording does not know, asked of the backend
``adding``     the same while a fake plays, added to the recording
``frames``     the last of a recording, in lines
``guard``      no network but the fake
============== ==============================================================

The pytest plugin (:mod:`fake_server.pytest_plugin`) makes fixtures of it; any other test runner may
use it as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorder.lazy import at_first_use

if TYPE_CHECKING:
    from fake_server.testing.native import open_track_server
    from fake_server.testing.server import TrackServer, run_track_server
    from fake_server.testing.settings import Settings
else:
    __getattr__, __dir__ = at_first_use(
        __name__,
        {
            "Settings": "fake_server.testing.settings",
            "TrackServer": "fake_server.testing.server",
            "open_track_server": "fake_server.testing.native",
            "run_track_server": "fake_server.testing.server",
        },
    )

__all__ = ["Settings", "TrackServer", "open_track_server", "run_track_server"]
