"""The two legs of a proxied connection, and the one that tells it all. Pure.

A proxy records two TCP connections a client: on the client leg what the client sent and got, on
the upstream leg the heads alone, as they went on and came back. Who reads what was said reads the
client legs; the upstream legs would say everything twice. In a capture there is one leg, the
upstream one, and it is paired with none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from recorder.model import AnyEntry, Checkpoint, Closed, FrameEntry, Open, Resume
from replayer.reading.checkpoints import read_checkpoint, without_connections

__all__ = ["client_legs", "repeats_another"]


class _Opened(Protocol):
    @property
    def leg(self) -> str: ...

    @property
    def paired_with(self) -> int | None: ...


def repeats_another(opened: _Opened) -> bool:
    """Whether a connection is the upstream leg of a client's, which stands in the recording too."""
    return opened.leg == "upstream" and opened.paired_with is not None


def client_legs(entries: Iterable[AnyEntry]) -> Iterator[AnyEntry]:
    """The entries without those of upstream legs that are paired with a client leg.

    Entries that belong to no connection pass, as do those of unknown kinds; a checkpoint loses what
    it says of upstream legs. Memory: the numbers of the upstream legs that are open. Raises what
    ``entries`` raises.
    """
    left_out: set[int] = set()
    for entry in entries:
        # Nearly all of a long recording, told at once.
        if type(entry) is FrameEntry:
            if entry.connection not in left_out:
                yield entry
            continue
        match entry:
            case Open():
                left_out.discard(entry.connection)
                if repeats_another(entry):
                    left_out.add(entry.connection)
            case Closed() if entry.connection in left_out:
                left_out.discard(entry.connection)
                continue
            case Resume():
                # Whoever recorded before is gone, and its connections with it.
                left_out.clear()
            case Checkpoint():
                standing = read_checkpoint(entry)
                left_out = {
                    number for number, each in standing.connections.items() if repeats_another(each)
                }
                yield without_connections(entry, left_out) if left_out else entry
                continue
        if getattr(entry, "connection", None) not in left_out:
            yield entry
