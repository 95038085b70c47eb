"""What of a recording is kept: a value, and what it is known by. Pure."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Mapping

import msgspec

from replayer.minimise.units import Role, Units

__all__ = ["Plan", "emptied", "is_playable", "kept_units", "whole"]


class Plan(msgspec.Struct, frozen=True):
    """The sockets that are kept, with their handshakes and logins; the units that are kept beside
    those, in order; and of kept messages the parts that are cut out, by the numbers of
    :func:`~replayer.minimise.payloads.nodes_of`.
    """

    sockets: frozenset[int]
    units: list[int]
    cuts: Mapping[int, frozenset[int]] = {}

    @property
    def key(self) -> str:
        """The same for the same plan of the same recording, and for no other: a sha256."""
        cuts = [(unit, sorted(nodes)) for unit, nodes in sorted(self.cuts.items()) if nodes]
        digest = hashlib.sha256(f"{sorted(self.sockets)} {cuts} ".encode())
        digest.update(array("I", self.units).tobytes())
        return digest.hexdigest()


def whole(units: Units) -> Plan:
    """All of a recording. Logins that a socket needs stay with it and are no units to leave out."""
    needed = set(units.sockets.values())
    parts = [
        unit for unit, role in enumerate(units.roles) if role == Role.PART and unit not in needed
    ]
    return Plan(frozenset(units.sockets), parts)


def emptied(units: Units) -> Plan:
    """The handshakes alone."""
    return Plan(frozenset(units.sockets), [])


def is_playable(units: Units, plan: Plan) -> bool:
    """Whether a fake can play it: there is a socket whose handshake was seen, or something that a
    server said.
    """
    return not plan.sockets.isdisjoint(units.upgraded) or any(
        units.messages[unit] == 2 for unit in plan.units
    )


def kept_units(units: Units, plan: Plan) -> bytearray:
    """Whether each unit is kept, 1 or 0: those of the plan, and what they need."""
    kept = bytearray(len(units.roles))
    connections = set(plan.sockets)
    for unit in (*plan.units, *_logins(units, plan)):
        kept[unit] = 1
        connections.add(units.connections[unit])
    for unit, role in enumerate(units.roles):
        if role == Role.FIXED:
            kept[unit] = 1
        elif role == Role.HANDSHAKE:
            kept[unit] = units.connections[unit] in plan.sockets
        elif role == Role.CONNECTION:
            kept[unit] = units.connections[unit] in connections
    return kept


def _logins(units: Units, plan: Plan) -> Iterator[int]:
    for socket in plan.sockets:
        login = units.sockets[socket]
        if login is not None:
            yield login
