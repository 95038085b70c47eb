"""What is tried to be left out of a recording, coarse things first: whole connections, then
exchanges and messages, then objects in messages, then fields of objects. Pure.

The levels are gone through again, one thing at a time, until nothing more can be left out: what is
left is 1-minimal over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Literal, TypeAlias

import msgspec

from replayer.minimise.payloads import (
    ELEMENT,
    MEMBER,
    Node,
    leaves_nothing,
    nodes_of,
    outermost,
)
from replayer.minimise.plan import Plan, is_playable, whole
from replayer.minimise.search import Search, minimal, one_minimal
from replayer.minimise.units import NO_CONNECTION, Units

__all__ = ["Level", "Levels", "Round", "levels"]

Level: TypeAlias = Literal["connections", "entries", "objects", "fields"]


class Round(msgspec.Struct, frozen=True):
    """Plans to try, in order, made as they are asked for. None is nothing that could be played: it
    need not be tried, and does not fail.
    """

    level: Level
    plans: Iterator[Plan | None]


Levels: TypeAlias = Generator[Round, int | None, Plan]
"""Yields rounds, is sent the number of the first plan that fails, or None; returns what is left."""


def levels(units: Units, payload_of: Callable[[int], bytes | None]) -> Levels:
    """From the whole recording, which fails, to as little of it as still fails.

    ``payload_of`` gives the text of a unit that is one message of the server and nothing else, None
    for any other.
    """
    going = _Going(units, payload_of)
    plan, search = whole(units), minimal
    while True:
        before = plan
        plan = yield from going.connections(plan, search)
        plan = yield from going.entries(plan, search)
        plan = yield from going.parts(plan, search)
        if plan == before:
            return plan
        search = one_minimal


class _Going:
    def __init__(self, units: Units, payload_of: Callable[[int], bytes | None]) -> None:
        self._units = units
        self._payload_of = payload_of

    def connections(self, plan: Plan, search: Callable[[list[int]], Search]) -> Levels:
        of_unit = self._units.connections
        items = sorted({*plan.sockets, *(of_unit[unit] for unit in plan.units)} - {NO_CONNECTION})
        if len(items) < 2:
            return plan

        def only(connections: list[int]) -> Plan:
            kept = {*connections, NO_CONNECTION}
            return _only(plan, kept, [unit for unit in plan.units if of_unit[unit] in kept])

        left = yield from self._level("connections", search(items), only)
        return only(left)

    def entries(self, plan: Plan, search: Callable[[list[int]], Search]) -> Levels:
        def only(units: list[int]) -> Plan:
            return _only(plan, plan.sockets, units)

        left = yield from self._level("entries", search(plan.units), only)
        return only(left)

    def parts(self, plan: Plan, search: Callable[[list[int]], Search]) -> Levels:
        """Objects and fields, depth by depth."""
        trees = {
            unit: nodes_of(payload)
            for unit in plan.units
            if (payload := self._payload_of(unit)) is not None
        }
        deepest = max((node.depth for nodes in trees.values() for node in nodes), default=0)
        for depth in range(1, deepest + 1):
            plan = yield from self._at_depth(plan, trees, depth, search)
        return plan

    def _at_depth(
        self,
        plan: Plan,
        trees: dict[int, list[Node]],
        depth: int,
        search: Callable[[list[int]], Search],
    ) -> Levels:
        places = [
            (unit, number)
            for unit, nodes in trees.items()
            for number in _left(nodes, plan.cuts.get(unit, frozenset()), depth)
        ]
        if not places:
            return plan

        def without_others(items: list[int]) -> Plan | None:
            kept = set(items)
            cut: dict[int, set[int]] = {unit: set(nodes) for unit, nodes in plan.cuts.items()}
            for item, (unit, number) in enumerate(places):
                if item not in kept:
                    cut.setdefault(unit, set()).add(number)
            if any(leaves_nothing(trees[unit], nodes) for unit, nodes in cut.items()):
                return None
            cuts = {unit: outermost(trees[unit], nodes) for unit, nodes in cut.items()}
            return Plan(plan.sockets, plan.units, cuts)

        name: Level = "objects" if depth <= ELEMENT else "fields"
        left = yield from self._level(name, search(list(range(len(places)))), without_others)
        return without_others(left) or plan

    def _level(
        self, level: Level, search: Search, plan_of: Callable[[list[int]], Plan | None]
    ) -> Generator[Round, int | None, list[int]]:
        """A search for numbers as one for plans."""

        def playable(candidate: list[int]) -> Plan | None:
            plan = plan_of(candidate)
            return plan if plan is not None and is_playable(self._units, plan) else None

        try:
            candidates = next(search)
            while True:
                first = yield Round(level, map(playable, candidates))
                candidates = search.send(first)
        except StopIteration as done:
            left: list[int] = done.value
            return left


def _only(plan: Plan, sockets: set[int] | frozenset[int], units: list[int]) -> Plan:
    kept = set(units) if plan.cuts else set()
    return Plan(
        plan.sockets & sockets,
        units,
        {unit: nodes for unit, nodes in plan.cuts.items() if unit in kept},
    )


def _left(nodes: list[Node], cut: frozenset[int], depth: int) -> Iterator[int]:
    """The nodes of this depth that are in nothing that is cut. One that is all that a message or a
    text of it has stands for that.
    """
    gone: set[int] = set()
    siblings: dict[int, int] = {}
    found: list[int] = []
    for number, node in enumerate(nodes):
        if number in cut or node.parent in gone:
            gone.add(number)
        elif node.depth == depth:
            siblings[node.parent] = siblings.get(node.parent, 0) + 1
            found.append(number)
    for number in found:
        if depth > MEMBER or siblings[nodes[number].parent] > 1:
            yield number
