"""The devices, beacons and positions that a recording has told of, by id: what joins look up.

They come by the socket (manual section 3), by REST (manual section 4) and with a checkpoint.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import msgspec

from recorder.model import Checkpoint
from replayer.reading.calls import Call

__all__ = ["MAX_KNOWN", "Known"]

MAX_KNOWN: Final = 100_000
"""So many ids of a kind are remembered. Positions beyond that are forgotten, the oldest first; of
devices or beacons beyond that nothing is said to be unknown."""


class _Id(msgspec.Struct):
    id: Any = None


_read_ids: Final = msgspec.json.Decoder(list[_Id]).decode
_read_id: Final = msgspec.json.Decoder(_Id).decode


class Known:
    """The ids of one recording. An id is one only if it is a whole number."""

    __slots__ = ("beacons", "devices", "positions")

    def __init__(self) -> None:
        self.devices: set[int] = set()
        self.beacons: set[int] = set()
        # Not a plain dict: to find the oldest key of one, all that were forgotten are passed over.
        self.positions: OrderedDict[int, None] = OrderedDict()

    def position(self, one: int) -> None:
        """A position was seen."""
        self.positions[one] = None
        if len(self.positions) > MAX_KNOWN:
            self.positions.popitem(last=False)

    def device(self, one: int) -> None:
        """A device was seen."""
        if len(self.devices) <= MAX_KNOWN:
            self.devices.add(one)

    def beacon(self, one: int) -> None:
        """A beacon was seen."""
        if len(self.beacons) <= MAX_KNOWN:
            self.beacons.add(one)

    @property
    def knows_all_devices(self) -> bool:
        """Whether there were not too many to remember."""
        return len(self.devices) <= MAX_KNOWN

    @property
    def knows_all_beacons(self) -> bool:
        """Whether there were some, and not too many to remember."""
        return 0 < len(self.beacons) <= MAX_KNOWN

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """What the recorder knew when it went on in a further file."""
        for kind, learn in self._learners().items():
            for raw in getattr(checkpoint, kind):
                try:
                    found = _read_id(raw)
                except (ValueError, RecursionError):
                    continue
                if type(found.id) is int:
                    learn(found.id)

    def answered(self, kind: str, call: Call) -> None:
        """A list of objects, or one, was answered by REST."""
        learn = self._learners().get(kind)
        if learn is None or not call.response_body:
            return
        try:
            found = _read_ids(call.response_body)
        except (ValueError, RecursionError):
            try:
                found = [_read_id(call.response_body)]
            except (ValueError, RecursionError):
                return
        for one in found:
            if type(one.id) is int:
                learn(one.id)

    def _learners(self) -> dict[str, Any]:
        return {"devices": self.device, "beacons": self.beacon, "positions": self.position}
