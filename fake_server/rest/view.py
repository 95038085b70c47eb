"""What one caller sees: the state, what clients wrote over it, what the account may see of it."""

from __future__ import annotations

from fake_server.reports import History
from fake_server.sight import Sight, identity_of
from fake_server.written import Written
from replayer.state import State

__all__ = ["View"]


class View:
    """Objects as raw JSON texts, read from ``state`` and ``written`` when they are asked for."""

    def __init__(self, state: State, written: Written, sight: Sight) -> None:
        self._state = state
        self._written = written
        self._sight = sight

    def objects(self, kind: str) -> list[bytes]:
        """All devices or beacons, or the latest position of each device."""
        return self._sight.seen(kind, self._written.overlay(kind, self._state.objects(kind)))

    def get(self, kind: str, object_id: int) -> bytes | None:
        """The object with that id, of positions also one that is not the latest; or None."""
        text = self._written.get(kind, object_id, self._state.get(kind, object_id))
        return text if text is not None and self._sight.sees(kind, text) else None

    def devices_of_unique_id(self, unique_id: str) -> list[bytes]:
        """The devices with that uniqueId, of which there should be one."""
        return [one for one in self.objects("devices") if identity_of(one).uniqueId == unique_id]

    def latest_of(self, device_id: int) -> list[bytes] | None:
        """The latest position of a device, an empty list if it has none; None if there is no such
        device.
        """
        found: list[bytes] = []
        if self._written.changes_positions:
            found = [
                one for one in self.objects("positions") if identity_of(one).deviceId == device_id
            ]
        elif self._sight.sees_device_id(device_id):
            found = self._state.positions_of_devices([device_id])
        # A device that only positions speak of is one, too.
        if found or self.get("devices", device_id) is not None:
            return found
        return None

    @property
    def history(self) -> History:
        """All that a report may be made of."""
        written, state, sight = self._written, self._state, self._sight
        positions = written.history(state.history("positions"))
        return History(
            devices=self.objects("devices"),
            positions=sight.seen("positions", positions),
            events=sight.seen("events", state.history("events")),
        )

    def highest_id(self, *others: State) -> int:
        """The highest id that is known to the state here, or to others."""
        return max(state.highest_id() for state in (self._state, *others))
