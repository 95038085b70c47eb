"""What importers share: a bounded look at the start of a stream, and its bytes as entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from recorder.model import MAX_BODY_PIECE_BYTES, Bytes, encode_bytes

__all__ = ["bytes_entries", "pieces", "take"]


def take(chunks: Iterator[bytes], size_bytes: int) -> tuple[bytes, bytes]:
    """The first ``size_bytes`` of a stream and what was read beyond them.

    Nothing beyond says that the stream has ended.
    """
    taken: list[bytes] = []
    held = 0
    for chunk in chunks:
        taken.append(chunk)
        held += len(chunk)
        if held > size_bytes:
            break
    data = b"".join(taken)
    return data[:size_bytes], data[size_bytes:]


def pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of at most 64 KiB, whatever the chunks.

    A piece ends behind a line break where it holds one: redaction looks at each piece by itself,
    and a secret must not be split over two.
    """
    size = MAX_BODY_PIECE_BYTES
    held = b""
    for chunk in chunks:
        held += chunk
        while len(held) > size:
            end = held.rfind(b"\n", 0, size) + 1 or size
            yield held[:end]
            held = held[end:]
    if held:
        yield held


def bytes_entries(chunks: Iterable[bytes], *, why: str) -> Iterator[Bytes]:
    """``bytes`` entries of connection 1 that keep what the server sent, at most 64 KiB each."""
    for piece in pieces(chunks):
        yield Bytes(connection=1, sender="server", offset_ns=None, why=why, **encode_bytes(piece))
