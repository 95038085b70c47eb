"""HAR 1.2, as browsers and proxies save it: HTTP exchanges, and sockets with their messages.

What a HAR holds twice is taken once: lists of cookies and of query parameters repeat the heads.
What a recording has no place for is kept in the unknown keys ``har_entry`` and ``har`` of a
``request`` and a ``response``; what is too long for that, or was never in the file, is counted.

Strategy: one pass over the file. Messages are handed on one by one; what else belongs to an entry
of the HAR is held until that entry ends, since its times may stand behind everything else, and
whether a body is base64 behind the body. So one exchange is held, of which no value has more than
:data:`~recorder.importers.json_stream.MAX_VALUE_BYTES`. As messages may stand before the head that
they follow, each entry carries its place in ``seq``, for whoever sorts them by time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from recorder.importers.har_exchange import HarEntry
from recorder.importers.har_fields import one_line
from recorder.importers.json_stream import MAX_VALUE_BYTES, JsonStream, TornJson
from recorder.model import KnownEntry

__all__ = ["HarReader"]

_META: Final = ("creator", "browser", "version", "comment")
_BESIDE_LOG: Final = "members beside the log"
_PAGES: Final = "pages"
_SILENT_SOCKET: Final = "sockets without messages, as Firefox saves them"
_NO_NETWORK: Final = "entries that went over no network (data:, blob:)"


class HarReader:
    """Reads a HAR that arrives in chunks; :meth:`entries` once, then the attributes."""

    def __init__(self, chunks: Iterable[bytes], *, max_value_bytes: int = MAX_VALUE_BYTES) -> None:
        self.found = False
        """Whether there was a list of entries: whether it is a HAR."""
        self.torn: str | None = None
        """Why it could not be read to its end."""
        self.meta: dict[str, msgspec.Raw] = {}
        """Who made it: ``creator``, ``browser``, ``version``, ``comment``."""
        self.upstream: str | None = None
        """The origin of the first socket."""
        self.left_out: Counter[str] = Counter()
        """What the recording does not hold, by name."""
        self._json = JsonStream(chunks, max_value_bytes=max_value_bytes)
        self._count = 0
        self._connections = 0
        # Of each connection that may go on: its number, its last exchange, the end of it.
        self._shared: dict[tuple[str, str], tuple[int, int, int | None]] = {}
        self._before_ns: int | None = None

    def entries(self) -> Iterator[KnownEntry]:
        """The entries of the recording, in the order of the HAR. Raises what the chunks raise.

        ``offset_ns`` is nanoseconds since 1970, None before the first time that can be read;
        ``seq`` orders those of the same time. All connections are ``upstream``: a socket is one,
        and so are the exchanges of one ``_connectionId``; any other exchange has one for itself.
        """
        try:
            for name in self._json.members():
                if name == "log":
                    yield from self._log()
                else:
                    self.left_out[_BESIDE_LOG] += 1
                    self._json.skip()
            if self._json.peek() is not None:
                self.torn = f"byte {self._json.position}: something stands behind the HAR"
        except TornJson as error:
            self.torn = str(error)
        for connection, _, end_ns in self._shared.values():
            last = HarEntry(self._count + 1, None, self.left_out)
            last.connection = connection
            yield last.closed(end_ns)

    def _log(self) -> Iterator[KnownEntry]:
        for name in self._json.members():
            if name == "entries":
                self.found = True
                for _ in self._json.items():
                    yield from self._entry()
            elif name == "pages":
                for _ in self._json.items():
                    self.left_out[_PAGES] += 1
                    self._json.skip()
            elif name in _META:
                value = one_line(self._json.value())
                if value is not None:
                    self.meta[name] = value
            else:
                self.left_out[f"members of the log ({name[:40]})"] += 1
                self._json.skip()

    def _entry(self) -> Iterator[KnownEntry]:
        self._count += 1
        entry = HarEntry(self._count, self._before_ns, self.left_out)
        try:
            for name in self._json.members():
                if name == "_webSocketMessages" and self._json.peek() == ord("["):
                    for _ in self._json.items():
                        data = self._json.value()
                        if entry.connection is None:
                            entry.connection = self._new_connection()
                        yield from entry.message(data)
                else:
                    entry.take(name, self._json.value())
        except TornJson:
            yield from self._finished(entry)
            raise
        yield from self._finished(entry)

    def _finished(self, entry: HarEntry) -> Iterator[KnownEntry]:
        if not entry.is_network:
            self.left_out[_NO_NETWORK] += 1
            return
        if entry.is_empty:
            return
        self._before_ns = entry.start_ns
        key = (entry.origin, entry.connection_id or "")
        shares = not entry.is_socket and bool(key[1])
        shared = self._shared.get(key) if shares else None
        if shared is not None:
            entry.connection, entry.exchange = shared[0], shared[1] + 1
        elif entry.connection is None:
            entry.connection = self._new_connection()
        yield from entry.entries(
            opens=shared is None, closes=not shares, busy_until_ns=shared[2] if shared else None
        )
        if entry.failed:
            self._shared.pop(key, None)
        elif shares and entry.connection is not None:
            end_ns = max(entry.end_ns or 0, shared[2] or 0) if shared else entry.end_ns
            self._shared[key] = entry.connection, entry.exchange, end_ns
        if entry.is_socket:
            self.left_out[_SILENT_SOCKET] += not entry.has_messages
            self.upstream = self.upstream or entry.origin or None

    def _new_connection(self) -> int:
        self._connections += 1
        return self._connections
