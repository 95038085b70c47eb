"""The sha256 of a recording's lines, taken in a thread beside whoever reads them."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

__all__ = ["DigestBeside"]

_MOST_PENDING: Final = 4
"""So many batches may wait for the thread; then the reader waits, as memory must not grow."""


class DigestBeside:
    """Hashes batches of lines while they are read. Hashing leaves the interpreter to others, so
    that on a second processor it costs no time.

    *Resource handling.* The thread lives until :meth:`close`, or until the digest was asked for.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._digest = hashlib.sha256()
        self._pending: deque[Future[None]] = deque()
        self._held = b""

    def take(self, lines: bytes) -> None:
        """The next lines. The last that were given are held back, for they may hold the ``end``."""
        before, self._held = self._held, lines
        if before:
            self._pending.append(self._pool.submit(self._digest.update, before))
            if len(self._pending) > _MOST_PENDING:
                self._pending.popleft().result()

    def without_last(self, size_bytes: int) -> str:
        """The digest of all lines but the last ``size_bytes``, which the last that were given
        hold."""
        self.close()
        self._digest.update(self._held[: len(self._held) - size_bytes])
        return self._digest.hexdigest()

    def close(self) -> None:
        """Wait for the thread, and end it. May be called twice."""
        self._pool.shutdown()
