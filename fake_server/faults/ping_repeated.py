"""The fault ``ping-repeated``."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from fake_server.faults.base import MessageFault, Place, Send, Stage, Step, text_of
from fake_server.faults.json_places import retold
from recorder.track.kinds import ping_uuids

__all__ = ["PingRepeated"]


class PingRepeated(MessageFault, frozen=True, kw_only=True, tag="ping-repeated"):
    """A PING carries the uuid of an earlier one: that of the first PING that this fault strikes on
    the socket, which stays as it is. Its pong is the pong with that uuid.
    """

    stage: ClassVar[Stage] = Stage.CONTENT
    kinds: ClassVar[tuple[str, ...]] = ("PING",)

    def change(self, send: Send, place: Place) -> list[Step]:
        """The PING with the uuid of the first."""
        payload = text_of(send)
        uuids = ping_uuids(payload) if payload is not None else []
        if payload is None or not uuids:
            return [send]
        earlier: str = place.memory.setdefault("uuid", uuids[0])
        repeated = payload.replace(msgspec.json.encode(uuids[0]), msgspec.json.encode(earlier))
        carries = msgspec.structs.replace(send, ping=send.ping and earlier)
        return [send if repeated == payload else retold(carries, repeated)]
