"""A long or slow body, masked as it comes: what is in its pieces is undone, masked in windows
(:mod:`~recorder.redaction.windows`), and put into pieces again.

Without a coding a piece stays as it came, unless something was replaced in it or in one of its
window, or what may be the beginning of a secret at its end went with the next one.

A compressed body is undone and done again from its first byte: what is in it is kept, but not the
same compressed bytes, even where nothing was replaced. Where it can no more be undone, or grows too
much, what came is ended as a whole stream of its coding, and a mark stands for the rest.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Final, Protocol

from recorder.redaction import windows
from recorder.redaction.codings import (
    CodingError,
    Decoder,
    Encoder,
    decoder_of,
    is_known,
    is_plain,
    may_be_coded,
    seen_coding,
)
from recorder.redaction.kinds import Spans
from recorder.redaction.masker import Masker, marked
from recorder.redaction.windows import Amount, TextWindows

__all__ = ["TELLING_BYTES", "Stream", "is_opaque", "stream_of"]

TELLING_BYTES: Final = 64
"""By so many bytes a coding that nothing announces is known from text."""


class Stream(Protocol):
    """A body in pieces. What stands in place of a piece may be longer or empty."""

    @property
    def held_bytes(self) -> int:
        """How much is held of pieces for which something was given already."""

    def add(self, piece: bytes) -> None:
        """Take the next piece."""

    def take(self, amount: Amount) -> list[bytes]:
        """What stands in place of the oldest pieces; of all of them unless ``ahead``."""


def is_opaque(codings: list[str], data: bytes) -> bool:
    """Whether a body that begins with ``data`` has a coding that nobody here can undo."""
    return not all(map(is_known, codings)) and not is_plain(data, torn=True)


def stream_of(
    masker: Masker, codings: list[str], kinds: tuple[Spans, ...], pieces: list[bytes]
) -> Stream | None:
    """How a body that begins with ``pieces`` is masked as it comes. None if it must be whole for
    that: several codings, one inside another; or if so few bytes do not tell.
    """
    data = b"".join(pieces)
    if is_opaque(codings, data):
        return _fed(_Opaque(masker), pieces)
    if codings and not is_plain(data, torn=True):
        if len(codings) > 1:
            return None
        [coding] = codings
        begun = decoder_of(coding, data)
        if begun is None:
            return _fed(_Opaque(masker), pieces) if len(data) >= TELLING_BYTES else None
    else:
        if may_be_coded(data) and len(data) < TELLING_BYTES:
            return None
        begun = _seen(data)
        if begun is None:
            # What only begins like a coding that it is none of cannot be looked into, either.
            is_plain_text = not seen_coding(data, torn=True) or data[:1] == b"x"
            return _fed(_Plain(masker, kinds) if is_plain_text else _Opaque(masker), pieces)
    decoder, text = begun
    if not text or _seen(text) is not None:
        return None
    return _fed(_Coded(masker, kinds, Decoder(decoder.window), Encoder(decoder.window)), pieces)


def _seen(data: bytes) -> tuple[Decoder, bytes] | None:
    """A decoder for the coding that ``data`` begins with, though nothing announces it."""
    for coding in seen_coding(data, torn=True):
        return decoder_of(coding, data)
    return None


def _fed(stream: Stream, pieces: list[bytes]) -> Stream:
    for piece in pieces:
        stream.add(piece)
    return stream


class _Plain:
    """A body without a coding."""

    def __init__(self, masker: Masker, kinds: tuple[Spans, ...]) -> None:
        self._windows = TextWindows(masker, kinds)
        self._sizes: list[int] = []

    @property
    def held_bytes(self) -> int:
        return self._windows.held_bytes - sum(self._sizes)

    def add(self, piece: bytes) -> None:
        self._windows.feed(piece)
        self._sizes.append(len(piece))

    def take(self, amount: Amount) -> list[bytes]:
        # What is left over of earlier pieces goes with the next one.
        ends = list(accumulate(self._sizes, initial=self.held_bytes))[1:]
        if not ends:
            return []
        size, masked = self._windows.take(amount, ends)
        count = len(ends)
        if amount == "ahead":
            count = 0 if size == 0 else bisect_left(ends, size) + 1
        del self._sizes[:count]
        pieces = []
        at = 0
        for end in ends[: max(0, count - 1)]:
            pieces.append(masked[at : min(end, size)])
            at = max(at, min(end, size))
        return [*pieces, masked[at:]] if count else []


class _Coded:
    """A compressed body."""

    def __init__(
        self, masker: Masker, kinds: tuple[Spans, ...], decoder: Decoder, encoder: Encoder
    ) -> None:
        self._masker = masker
        self._windows = TextWindows(masker, kinds)
        self._decoder = decoder
        self._encoder: Encoder | None = encoder
        self._pieces: list[bytes] = []

    @property
    def held_bytes(self) -> int:
        return 0 if self._encoder is None else self._windows.held_bytes

    def add(self, piece: bytes) -> None:
        if self._encoder is None:
            self._pieces.append(piece and marked(piece))
            return
        out = []
        try:
            for made in self._decoder.feed(piece):
                self._windows.feed(made)
                if self._windows.held_bytes >= windows.SLICE_BYTES:
                    out.append(self._encoder.feed(self._windows.take("ahead").masked))
        except CodingError:
            # What came of it is masked; the rest is none of this coding.
            out.append(self._ended("torn"))
            out += self._masker.opaque([piece])
        self._pieces.append(b"".join(out))

    def take(self, amount: Amount) -> list[bytes]:
        if self._encoder is not None and self._pieces:
            if amount == "now":
                text = self._windows.take("now").masked
                self._pieces[-1] += self._encoder.feed(text) + self._encoder.flush()
            elif amount != "ahead":
                is_whole = amount == "end" and self._decoder.ended
                self._pieces[-1] += self._ended("end" if is_whole else "torn")
        pieces, self._pieces = self._pieces, []
        return pieces

    def _ended(self, amount: Amount) -> bytes:
        assert self._encoder is not None
        encoder, self._encoder = self._encoder, None
        return encoder.feed(self._windows.take(amount).masked) + encoder.finish()


class _Opaque:
    """A body that cannot be looked into; it counts as one."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._is_counted = False
        self._pieces: list[bytes] = []

    held_bytes: Final = 0

    def add(self, piece: bytes) -> None:
        if self._is_counted:
            self._pieces.append(piece and marked(piece))
            return
        [hidden] = self._masker.opaque([piece])
        self._is_counted = hidden is not piece
        self._pieces.append(hidden)

    def take(self, _: Amount) -> list[bytes]:
        pieces, self._pieces = self._pieces, []
        return pieces
