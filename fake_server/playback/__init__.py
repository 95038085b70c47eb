"""What is played to the sockets: to each its own recorded socket, or one playback to all.

Playback has a clock of its own, which can be paused, stepped, sped up and set anywhere; heartbeats
and sessions do not follow it.
"""

from __future__ import annotations

from fake_server.playback.per_connection import PerConnection
from fake_server.playback.shared import Shared
from fake_server.playback.stage import Playback

__all__ = ["PerConnection", "Playback", "Shared"]
