"""What :mod:`replayer.reading.statistics` says of a recording: values, with the names that ``info
--json`` prints.
"""

from __future__ import annotations

from typing import Final

import msgspec

from recorder.model import Sender

__all__ = [
    "LISTED_SILENCES",
    "LISTED_UNANSWERED",
    "LISTED_VIOLATIONS",
    "SILENCE_NS",
    "ConnectionFacts",
    "Count",
    "Facts",
    "Pings",
    "Rate",
    "Silence",
    "Unanswered",
]

SILENCE_NS: Final = 5_000_000_000
"""A longer time without anything from either side, while someone recorded, is a silence."""

LISTED_SILENCES: Final = 3
LISTED_UNANSWERED: Final = 10
LISTED_VIOLATIONS: Final = 10
"""So many are listed; all are counted."""


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of one kind from one sender. One that holds several kinds counts under their names
    joined by ``+``."""

    sender: Sender
    kind: str
    messages: int
    bytes: int


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Messages a second: over the whole recording, and in the busiest whole second, which begins at
    ``busiest_from_ns``."""

    mean: float
    busiest: int
    busiest_from_ns: int


class Silence(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A time in which nothing came from either side, or in which no socket was open."""

    length_ns: int
    from_ns: int


class Unanswered(msgspec.Struct, frozen=True, kw_only=True):
    """A PING that no pong came for when one was due, and when it passed."""

    uuid: str
    at_ns: int | None


class Pings(msgspec.Struct, frozen=True, kw_only=True):
    """The PINGs of one connection, counted by their
    :data:`~replayer.reading.pings.Verdict`: ``sent`` are all of them. The round trips are
    those of pongs in time, None where there are none or no timing.

    ``unanswered`` lists the first :data:`LISTED_UNANSWERED` of ``unanswered_count``.
    """

    sent: int
    answered: int
    late: int
    undecided: int
    round_trip_min_ns: int | None
    round_trip_mean_ns: int | None
    round_trip_max_ns: int | None
    unanswered_count: int
    unanswered: list[Unanswered]


class ConnectionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One TCP connection.

    ``opened_ns`` is that of the checkpoint where it was open ``before``: then the PINGs that were
    unanswered there count among its ``pings``. ``exchanges`` counts HTTP responses by status
    (``none`` where no response came), without the handshake, whose status is ``handshake_status``.
    The close is the first close frame; ``closed_by`` is who ended the TCP connection. Each is None
    where it was not seen.
    """

    connection: int
    url: str | None
    peer: str | None
    before: bool
    opened_ns: int | None
    closed_ns: int | None
    handshake_status: int | None
    exchanges: dict[str, int]
    client_messages: int
    client_bytes: int
    server_messages: int
    server_bytes: int
    control_frames: int
    broken_messages: int
    close_sender: Sender | None
    close_code: int | None
    close_reason: str | None
    closed_by: str | None
    closed_how: str | None
    closed_detail: str | None
    pings: Pings


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. ``duration_ns`` is from ``from_ns`` to the offset of the last entry; ``from_ns``
    is 0 but where the recording begins with a checkpoint. ``rate``, ``gaps`` and ``silences`` are
    empty without timing.

    ``client_connections`` and ``upstream_connections`` count the two legs of a proxy; of the latter
    nothing else is counted. ``gaps`` are the times in which no socket was open between two, the
    longest of ``gap_count``, and ``silences`` those of ``silence_count``, longest first.
    ``redacted_entries`` are those with a replaced value, ``redaction`` the counts by rule that the
    recording ends with, or that all its parts do, empty where it has no end. ``violations`` counts
    by rule; ``first_violations`` are the first :data:`LISTED_VIOLATIONS` in words.
    """

    entries: int
    from_ns: int
    duration_ns: int | None
    client_connections: int
    upstream_connections: int
    messages: list[Count]
    rate: Rate | None
    gap_count: int
    gaps: list[Silence]
    silence_count: int
    silences: list[Silence]
    connections: list[ConnectionFacts]
    redacted_entries: int
    redaction: dict[str, int]
    resumed: int
    notes: int
    unknown_entries: int
    violations: dict[str, int]
    first_violations: list[str]
