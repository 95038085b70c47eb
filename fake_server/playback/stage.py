"""How playback is set, and what it needs of the hub around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from fake_server.connection import Socket
from fake_server.written import Written
from recorder.track.rules import Rules
from replayer.playing.script import Source

__all__ = ["Playback", "Stage"]


class Playback(msgspec.Struct, frozen=True):
    """How a source is played.

    ``mode``: each socket plays the next recorded socket from its start (``per-connection``), or all
    sockets hear one playback of all recorded sockets merged by time (``shared``). ``speed``: a
    factor; infinity makes everything due at once. ``at_end``: ``close`` as recorded, ``hold`` the
    socket open, or ``loop``. ``pings``: ``live`` leaves recorded PINGs out and sends fresh ones;
    ``recorded`` sends the recorded ones and enforces their uuids. ``start``: what begins shared
    playback, the first login or the server's start. ``paused``: whether it begins paused.
    """

    mode: Literal["per-connection", "shared"] = "per-connection"
    speed: float = 1.0
    at_end: Literal["close", "hold", "loop"] = "hold"
    pings: Literal["live", "recorded"] = "live"
    start: Literal["login", "now"] = "login"
    paused: bool = False


class Stage(Protocol):
    """What playback needs of the hub around it."""

    sockets: list[Socket]
    rules: Rules
    source: Source
    settings: Playback
    written: Written

    def start(self, run: Callable[[], Any]) -> None:
        """Run a task beside all others."""

    def broadcast(self, frame: bytes, message: bytes | None) -> int:
        """Send a frame to every socket that may see its message."""

    def learn(self, message: bytes) -> None:
        """A message is played: accounts may name devices in it."""

    def expect_pongs(self, socket: Socket, uuids: list[str]) -> None:
        """Recorded PINGs go out to this socket."""

    def played(self, socket: Socket) -> None:
        """This socket was sent all that there is for it."""
