"""The parts of a message's payload, and the payload without some of them. Pure.

What is left is the text that came, number for number: nothing is parsed and written anew, only cut
out, with the comma or the ``~`` that joined it.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

import msgspec

from recorder.wire.json_texts import JsonText, split

__all__ = [
    "ELEMENT",
    "MEMBER",
    "TEXT",
    "Node",
    "leaves_nothing",
    "nodes_of",
    "outermost",
    "without",
]

TEXT: Final = 1
MEMBER: Final = 2
ELEMENT: Final = 3
"""Depths of nodes: a JSON text of the message, its members (the kinds), what stands in the list of
a kind (the objects). Deeper ones are fields."""

_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]|[^\s"{}\[\],:]++', re.DOTALL)


class Node(msgspec.Struct):
    """A part of a payload: bytes ``start`` to ``end``. ``parent`` is the number of the node that it
    is in, -1 of a text; ``depth`` counts from 1.
    """

    parent: int
    depth: int
    start: int
    end: int


def nodes_of(payload: bytes) -> list[Node]:
    """The parts of a payload: texts, members of objects with their names, elements of arrays;
    parents before children, in order. What is no JSON text has no parts of its own.
    """
    nodes: list[Node] = []
    for span in split(payload):
        nodes.append(Node(-1, TEXT, span.offset, span.offset + len(span.data)))
        if isinstance(span, JsonText):
            _add_inner(nodes, span)
    return nodes


def _add_inner(nodes: list[Node], text: JsonText) -> None:
    # The containers that are open: each by the number of its node, with that of its last child,
    # None where none was begun.
    containers: list[tuple[int, int | None]] = []
    owner = len(nodes) - 1
    end = text.offset
    for token in _TOKEN.finditer(text.data):
        sign = token[0]
        if sign in (b",", b"}", b"]"):
            container, child = containers.pop()
            if child is not None:
                nodes[child].end = end
            if sign == b",":
                containers.append((container, None))
        elif sign != b":":
            if containers:
                container, child = containers[-1]
                if child is None:
                    start = text.offset + token.start()
                    child = len(nodes)
                    nodes.append(Node(container, len(containers) + 1, start, start))
                    containers[-1] = container, child
                owner = child
            if sign in (b"{", b"["):
                containers.append((owner, None))
        end = text.offset + token.end()


def without(payload: bytes, nodes: list[Node], cut: Container[int]) -> bytes:
    """The payload without the nodes whose numbers are in ``cut``."""
    before: dict[int, int] = {}
    """Of each parent the last child that stays."""
    previous: dict[int, int] = {}
    spans: list[tuple[int, int]] = []
    pending: dict[int, int] = {}
    """Of parents whose children were cut so far: where the first one began."""
    for number, node in enumerate(nodes):
        parent = node.parent
        if number in cut:
            if parent in before:
                # With the comma before it.
                spans.append((nodes[previous[parent]].end, node.end))
            else:
                spans.append((pending.setdefault(parent, node.start), node.end))
        else:
            if parent in pending and parent not in before:
                # The first that stays, behind some that do not: the commas between them go too.
                spans.append((pending[parent], node.start))
            before[parent] = number
        previous[parent] = number
    pieces: list[bytes] = []
    at = 0
    for start, end in sorted(spans):
        if start > at:
            pieces.append(payload[at:start])
        at = max(at, end)
    pieces.append(payload[at:])
    return b"".join(pieces)


def outermost(nodes: list[Node], cut: Container[int]) -> frozenset[int]:
    """Of ``cut`` the nodes that are in no other one: what says the same in the fewest numbers."""
    gone: set[int] = set()
    outer: set[int] = set()
    for number, node in enumerate(nodes):
        if node.parent in gone:
            gone.add(number)
        elif number in cut:
            gone.add(number)
            outer.add(number)
    return frozenset(outer)


def leaves_nothing(nodes: list[Node], cut: Container[int]) -> bool:
    """Whether the payload would lose all its texts, or a text all its members: a client may fail at
    that alone, and a message that is not needed is left out whole.
    """
    staying: dict[int, bool] = {}
    for number, node in enumerate(nodes):
        if node.depth <= MEMBER and node.parent not in cut:
            staying[node.parent] = staying.get(node.parent, False) or number not in cut
    return not all(staying.values())
