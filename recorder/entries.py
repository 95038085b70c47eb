"""Heads, bodies, frames, and bytes that are none of these, as entries. Pure.

``offset_ns`` is when the last byte was read, ``first_ns`` when the first was, if earlier.
"""

from __future__ import annotations

from recorder.model import (
    MAX_BODY_PIECE_BYTES,
    Body,
    Bytes,
    FrameEntry,
    KnownEntry,
    Request,
    Response,
    encode_bytes,
)
from recorder.wire.frames import Frame, FrameParser, Sender, Unparsed
from recorder.wire.handshake import RequestHead, ResponseHead

__all__ = ["FrameEntries", "body_entries", "bytes_entry", "request_entry", "response_entry"]


def body_entries(
    data: bytes,
    *,
    connection: int,
    exchange: int,
    sender: Sender,
    offset_ns: int | None,
    first_ns: int | None = None,
) -> list[Body]:
    """A whole body as entries of at most 64 KiB, the last one marked; an empty body is none."""
    pieces = [
        data[at : at + MAX_BODY_PIECE_BYTES] for at in range(0, len(data), MAX_BODY_PIECE_BYTES)
    ]
    return [
        Body(
            connection=connection,
            exchange=exchange,
            sender=sender,
            offset_ns=offset_ns,
            first_ns=first_ns,
            last=number == len(pieces),
            **encode_bytes(piece),
        )
        for number, piece in enumerate(pieces, 1)
    ]


def bytes_entry(
    data: bytes,
    why: str,
    *,
    connection: int,
    sender: Sender,
    offset_ns: int | None,
    first_ns: int | None = None,
) -> Bytes:
    """Bytes that nothing could be made of; ``first_ns`` is left out where it says nothing new."""
    return Bytes(
        connection=connection,
        sender=sender,
        offset_ns=offset_ns,
        first_ns=_earlier(first_ns, offset_ns),
        why=why,
        **encode_bytes(data),
    )


def request_entry(
    head: RequestHead,
    *,
    connection: int,
    exchange: int,
    offset_ns: int | None,
    first_ns: int | None = None,
) -> Request:
    """The head of a request as an entry."""
    return Request(
        connection=connection,
        exchange=exchange,
        offset_ns=offset_ns,
        first_ns=_earlier(first_ns, offset_ns),
        method=head.method,
        target=head.target,
        http_version=head.http_version,
        headers=head.headers,
    )


def response_entry(
    head: ResponseHead,
    *,
    connection: int,
    exchange: int,
    offset_ns: int | None,
    first_ns: int | None = None,
) -> Response:
    """The head of a response as an entry."""
    return Response(
        connection=connection,
        exchange=exchange,
        offset_ns=offset_ns,
        first_ns=_earlier(first_ns, offset_ns),
        status=head.status,
        reason=head.reason,
        http_version=head.http_version,
        headers=head.headers,
    )


class FrameEntries:
    """The frames of one sender as entries: bytes in, entries out, any chunking. Raises nothing."""

    def __init__(self, *, connection: int, sender: Sender, max_frame_bytes: int) -> None:
        self.seen: list[Frame] = []
        """The frames of the latest call."""
        self._connection = connection
        self._sender: Sender = sender
        self._parser = FrameParser(max_frame_bytes=max_frame_bytes)
        self._first_ns: int | None = None

    def feed(
        self, data: bytes, offset_ns: int | None, first_ns: int | None = None
    ) -> list[KnownEntry]:
        """What became complete with ``data``; ``first_ns`` is when its first byte was read, if
        earlier.
        """
        self.seen = []
        if first_ns is None:
            first_ns = self._first_ns
        entries: list[KnownEntry] = []
        for event in self._parser.feed(data):
            if isinstance(event, Frame):
                self.seen.append(event)
                entries.append(
                    FrameEntry.of(
                        event,
                        connection=self._connection,
                        sender=self._sender,
                        offset_ns=offset_ns,
                        first_ns=first_ns,
                    )
                )
            else:
                entries.append(self._bytes(event, offset_ns, first_ns))
            first_ns = None
        if not self._parser.pending:
            self._first_ns = None
        elif entries:
            self._first_ns = offset_ns
        else:
            self._first_ns = offset_ns if first_ns is None else first_ns
        return entries

    def close(self, offset_ns: int | None) -> list[KnownEntry]:
        """The torn tail, once nothing more comes."""
        return [self._bytes(tail, offset_ns, self._first_ns) for tail in self._parser.close()]

    def _bytes(self, event: Unparsed, offset_ns: int | None, first_ns: int | None) -> Bytes:
        return bytes_entry(
            event.data,
            event.why,
            connection=self._connection,
            sender=self._sender,
            offset_ns=offset_ns,
            first_ns=first_ns,
        )


def _earlier(first_ns: int | None, offset_ns: int | None) -> int | None:
    return first_ns if first_ns != offset_ns else None
