"""What one socket is told by the server: joins, repetitions, order, the initial push (manual
sections 3, 3.4 and 3.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from replayer.diagnosis.findings import Findings
from replayer.diagnosis.known import Known
from replayer.diagnosis.messages import Device, Numbered, Position, Said, shown
from replayer.reading.words import seconds

__all__ = ["FLOOD_MESSAGES", "Pushed"]

FLOOD_MESSAGES: Final = 500
"""So many messages within a second are worth a remark."""

_GRACE_NS: Final = 5_000_000_000
"""A position and its device come right behind each other: what did not in this time does not."""

_MAX_HELD: Final = 10_000
"""So many devices of one socket are told apart, and so many positions waited for."""

_SECOND_NS: Final = 1_000_000_000


class Pushed:
    """The server's messages on one socket, in order. ``from_opening``: it was seen to open."""

    __slots__ = (
        "_connection",
        "_count",
        "_findings",
        "_known",
        "_last",
        "_lists",
        "_named",
        "_previous",
        "_since_ns",
        "_strangers",
        "_timeout_shown",
        "_waiting",
        "from_opening",
        "opening",
    )

    def __init__(
        self, findings: Findings, known: Known, connection: int, *, from_opening: bool
    ) -> None:
        self.from_opening = from_opening
        self.opening: list[str] = []
        """The kinds of the initial push, in the order in which they came."""
        self._findings = findings
        self._known = known
        self._connection = connection
        self._previous = b""
        self._since_ns = 0
        self._count = 0
        self._timeout_shown = False
        # The id of the latest position of each device.
        self._last: dict[int, int] = {}
        # The first position of each device that was not pushed yet: which, when, entry.
        self._strangers: dict[int, tuple[int, int, int]] = {}
        # Which beacons were said to be unknown already.
        self._named: set[int] = set()
        # The position that a device names and that has not come: of which device, when, entry.
        self._waiting: dict[int, tuple[int, int, int]] = {}
        # The ids of the first long list of each kind.
        self._lists: dict[str, frozenset[Any]] = {}

    def message(self, payload: bytes, texts: list[Said], at_ns: int, seq: int) -> None:
        """One message, and its JSON texts, without those that are PINGs."""
        is_new = payload != self._previous or payload == b"{}"
        if not is_new:
            what = f"the same message again: {_excerpt(payload)}"
            self._add("message.repeated", at_ns, seq, what)
        for said in texts:
            if said.positions is not None and is_new:
                self._positions(said.positions, at_ns, seq)
            if said.devices is not None and is_new:
                self._devices(said.devices, at_ns, seq)
            if said.beacons is not None and is_new:
                self._beacons(said.beacons, at_ns, seq)
            if said.web_session_timeout is not None:
                self._timeout(said.web_session_timeout, at_ns, seq)
        self._previous = payload
        if at_ns - self._since_ns >= _SECOND_NS:
            self._since_ns = at_ns
            self._count = 0
        self._count += 1
        if self._count == FLOOD_MESSAGES and self._findings.is_timed:
            what = f"{FLOOD_MESSAGES} messages within {seconds(at_ns - self._since_ns)} s"
            self._add("message.flood", self._since_ns, seq, what)

    def end(self, at_ns: int) -> None:
        """The socket ended, or the recording did."""
        if not (self.from_opening and self._findings.is_timed):
            return
        for position_id, (device_id, named_ns, seq) in self._waiting.items():
            if at_ns - named_ns > _GRACE_NS and position_id not in self._known.positions:
                what = (
                    f"device {device_id} names position {position_id}, which never came: it was"
                    " lost, or the id is wrong"
                )
                self._add("join.unknown-position", named_ns, seq, what)
        # Where devices never were pushed, an account may not be let to see them.
        if "devices" not in self.opening or not self._known.knows_all_devices:
            return
        for device_id, (position_id, named_ns, seq) in self._strangers.items():
            if at_ns - named_ns > _GRACE_NS and device_id not in self._known.devices:
                what = f"position {position_id} is of device {device_id}, which was never pushed"
                self._add("join.unknown-device", named_ns, seq, what)

    def missing(self, at_ns: int) -> None:
        """The socket lived long enough to tell what was never pushed."""
        if not self.from_opening:
            return
        if "devices" not in self.opening:
            strangers = len(self._strangers.keys() - self._known.devices)
            what = "no devices were pushed; an account may have none"
            if strangers:
                of = "1 unknown device" if strangers == 1 else f"{strangers} unknown devices"
                what = (
                    f"no devices were pushed, although positions of {of} were: they were lost, or"
                    " the account may not see them"
                )
            self._add("opening.missing", at_ns, None, what)

    def no_timeout_before(self, at_ns: int, seq: int) -> None:
        """A first message came, and it did not show the timeout of the session."""
        if not self._timeout_shown:
            what = "the first message is not webSessionTimeout (session_timeout_shown)"
            self._add("timeout.missing", at_ns, seq, what)

    # Kinds

    def _positions(self, positions: list[Position], at_ns: int, seq: int) -> None:
        if len(self.opening) < 3:
            self._opens("positions")
        if len(positions) > 1:
            self._list("positions", positions, at_ns, seq)
        known = self._known
        for position in positions:
            one, device = position.id, position.device_id
            if type(one) is not int or type(device) is not int:
                self._unusable(position, at_ns, seq)
                continue
            if one not in known.positions:
                known.position(one)
            if self._waiting:
                self._waiting.pop(one, None)
            last = self._last.get(device)
            if last is None:
                if len(self._last) < _MAX_HELD:
                    self._last[device] = one
            elif last < one:
                self._last[device] = one
            else:
                self._not_new(one, device, last, at_ns, seq)
            if device not in known.devices and len(self._strangers) < _MAX_HELD:
                self._strangers.setdefault(device, (one, at_ns, seq))
            beacon = position.beacon_id
            if beacon is not None and (type(beacon) is not int or beacon not in known.beacons):
                self._beacon(one, beacon, at_ns, seq)

    def _devices(self, devices: list[Device], at_ns: int, seq: int) -> None:
        self._opens("devices")
        if len(devices) > 1:
            self._list("devices", devices, at_ns, seq)
        for device in devices:
            one, position = device.id, device.position_id
            if type(one) is not int:
                self._add("join.field", at_ns, seq, f"a device whose id is {shown(one)}")
                continue
            self._known.device(one)
            # 0 is what a device has that never had a position (Traccar lineage).
            if position is None or (type(position) is int and position == 0):
                continue
            if type(position) is not int:
                what = f"device {one} has the positionId {shown(position)}"
                self._add("join.field", at_ns, seq, what)
            elif position not in self._known.positions and len(self._waiting) < _MAX_HELD:
                self._waiting.setdefault(position, (one, at_ns, seq))

    def _beacons(self, beacons: list[Numbered], at_ns: int, seq: int) -> None:
        self._opens("beacons")
        if len(beacons) > 1:
            self._list("beacons", beacons, at_ns, seq)
        for beacon in beacons:
            if type(beacon.id) is int:
                self._known.beacon(beacon.id)
            else:
                self._add("join.field", at_ns, seq, f"a beacon whose id is {shown(beacon.id)}")

    def _timeout(self, value: Any, at_ns: int, seq: int) -> None:
        if self._timeout_shown:
            self._add("timeout.repeated", at_ns, seq, "webSessionTimeout was shown again")
        self._timeout_shown = True
        is_one = isinstance(value, list) and len(value) == 1
        if not is_one or type(value[0]) not in (int, float, bytes):
            what = f"webSessionTimeout is {shown(value)}"
            self._add("timeout.value", at_ns, seq, what)

    # What is wrong

    def _opens(self, kind: str) -> None:
        if kind not in self.opening:
            self.opening.append(kind)

    def _list(self, kind: str, objects: Sequence[Any], at_ns: int, seq: int) -> None:
        if not self.from_opening:
            return
        try:
            ids = frozenset(one.id for one in objects)
        except TypeError:
            return
        if kind not in self._lists:
            self._lists[kind] = ids if len(ids) <= _MAX_HELD else frozenset()
        elif self._lists[kind] == ids:
            what = f"all {len(ids)} {kind} were pushed again"
            self._add("opening.repeated", at_ns, seq, what)

    def _unusable(self, position: Position, at_ns: int, seq: int) -> None:
        if type(position.id) is not int:
            what = f"a position whose id is {shown(position.id)}"
        else:
            what = f"position {position.id} has the deviceId {shown(position.device_id)}"
        self._add("join.field", at_ns, seq, what)

    def _not_new(self, one: int, device: int, last: int, at_ns: int, seq: int) -> None:
        if one == last:
            what = f"position {one} of device {device} came again"
            self._add("message.repeated", at_ns, seq, what)
        else:
            what = f"position {one} of device {device} came behind the newer {last}"
            self._add("message.out-of-order", at_ns, seq, what)

    def _beacon(self, one: int, beacon: Any, at_ns: int, seq: int) -> None:
        if type(beacon) is not int:
            what = f"position {one} has the beaconId {shown(beacon)}"
            self._add("join.field", at_ns, seq, what)
        elif self.from_opening and self._known.knows_all_beacons and self._is_new(beacon):
            what = f"position {one} is at beacon {beacon}, which was never pushed"
            self._add("join.unknown-beacon", at_ns, seq, what)

    def _is_new(self, beacon: int) -> bool:
        if beacon in self._named or len(self._named) >= _MAX_HELD:
            return False
        self._named.add(beacon)
        return True

    def _add(self, rule: str, at_ns: int, seq: int | None, seen: str) -> None:
        self._findings.add(rule, connection=self._connection, at_ns=at_ns, seq=seq, seen=seen)


def _excerpt(payload: bytes) -> str:
    text = payload[:60].decode("utf-8", "replace")
    return text + ("…" if len(payload) > 60 else "")
