"""What importers share: a bounded look at the start of a stream, and its bytes as entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from recorder.model import MAX_BODY_PIECE_BYTES, Bytes, Sender, encode_bytes

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
        if held >= size_bytes:
            break
    data = b"".join(taken)
    return data[:size_bytes], data[size_bytes:]


def pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of 64 KiB, the last one shorter, whatever the chunks."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        whole = len(held) - len(held) % MAX_BODY_PIECE_BYTES
        with memoryview(held) as view:
            cut = [bytes(view[at : at + MAX_BODY_PIECE_BYTES]) for at in _steps(whole)]
        del held[:whole]
        yield from cut
    if held:
        yield bytes(held)


def _steps(size: int) -> range:
    return range(0, size, MAX_BODY_PIECE_BYTES)


def bytes_entries(
    chunks: Iterable[bytes], *, why: str, sender: Sender = "server"
) -> Iterator[Bytes]:
    """``bytes`` entries of connection 1 that keep these bytes, at most 64 KiB each."""
    for piece in pieces(chunks):
        yield Bytes(connection=1, sender=sender, offset_ns=None, why=why, **encode_bytes(piece))
