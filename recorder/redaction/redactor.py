"""The redactor: entries in, entries out, in order, nothing secret in them.

Strategy: an entry that is whole by itself is masked and handed out at once. A fragment of a
message, or a piece of a body, opens a :class:`_Group`; from then on everything is queued as it
came, so that order and ``offset_ns`` stay, and the queue is let go from its head as far as its
groups are complete or given up. Masking happens when an entry leaves the queue, so that numbers go
by first appearance and what an entry teaches holds for all entries after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from recorder.model import Body, Closed, FrameEntry, Header, Payload, Redaction, UnknownEntry
from recorder.redaction.edits import Transform
from recorder.redaction.entries import AnyEntry, EntryMasker
from recorder.redaction.kinds import url_spans
from recorder.redaction.masker import marked
from recorder.redaction.rules import INCOMPLETE

__all__ = ["MAX_HELD_BYTES", "Redactor"]

MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""The most payload that waits for messages and bodies to become complete; above it the oldest is
given up.
"""

_Key: TypeAlias = tuple[Any, ...]


class _Group:
    """The fragments of one message, or the pieces of one body. ``broken`` means given up: each is
    masked whole.
    """

    __slots__ = ("broken", "complete", "entries", "masked", "since_ns")

    def __init__(self, since_ns: int | None, *, broken: bool = False) -> None:
        self.since_ns = since_ns
        self.broken = broken
        self.complete = False
        self.entries: list[AnyEntry] = []
        # For each entry what stands in its place, once the group is complete and at the head of the
        # queue.
        self.masked: deque[list[AnyEntry]] | None = None

    def give_up(self) -> None:
        self.broken = True
        self.entries.clear()


class Redactor:
    """Masks what is secret, by the profile ``secrets``; the profile ``none`` changes nothing.

    Once the secrets are masked, what ``transform`` finds is replaced, by any profile but ``none``.
    The profile ``share`` must have one. By it, bytes that are no text are replaced as a whole: by
    what ``of_bytes`` returns for them, a mark that has the shape ``[redacted:bytes-SIZE-HASH]``
    (HASH of ``a-z2-7``), or else by ``[redacted]``. ``key_id`` is named in the header.

    A fragmented message, and a body in several pieces, is held until it is complete, and with it
    all that comes after. What is not complete after ``hold_s`` seconds by the offsets of later
    entries or :meth:`expire`, when more than :data:`MAX_HELD_BYTES` wait, or at :meth:`close`, is
    masked whole. ``taken`` holds the highest number of each rule that a resumed recording has used
    (see :func:`~recorder.redaction.rules.highest_numbers`).

    No I/O and no clock. The caller feeds every entry in order, writes what it gets, and calls
    :meth:`close` at the end.
    """

    def __init__(
        self,
        profile: Literal["secrets", "share", "none"] = "secrets",
        *,
        transform: Transform | None = None,
        of_bytes: Callable[[bytes], bytes] | None = None,
        key_id: str | None = None,
        hold_s: float = 5.0,
        taken: Mapping[str, int] = {},
    ) -> None:
        if profile == "share" and transform is None:
            raise ValueError("the profile share needs a transform")
        self._profile = profile
        self._key_id = key_id
        self._hold_ns = round(hold_s * 1e9)
        if profile != "share":
            of_bytes = None
        elif of_bytes is None:
            of_bytes = marked
        self._entries = EntryMasker(taken, transform, of_bytes)
        self._masker = self._entries.masker
        self._queue: deque[tuple[AnyEntry, _Group | None]] = deque()
        self._open: dict[_Key, _Group] = {}
        self._held_bytes = 0
        self._now_ns: int | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many values were masked so far, by rule: the ``redaction`` of the ``end`` entry."""
        return dict(self._masker.counts)

    @property
    def due_ns(self) -> int | None:
        """The offset at which :meth:`expire` will have something to hand out, None if nothing is
        held by time.
        """
        group = self._queue[0][1] if self._queue else None
        return None if group is None or group.since_ns is None else group.since_ns + self._hold_ns

    def header(self) -> Redaction:
        """What the recording's header says of this redaction."""
        return Redaction(profile=self._profile, key_id=self._key_id)

    def redact_header(self, header: Header) -> Header:
        """``header`` with this redaction named in it and the secrets in its ``upstream`` and
        ``meta`` masked.
        """
        if self._profile != "none":
            header = self._entries.header(header)
        return msgspec.structs.replace(header, redaction=self.header())

    def learn(self, rule: str, value: str) -> None:
        """Mask ``value`` wherever it stands from now on, in any spelling, if it has at least 8
        characters.

        ``rule`` is the name to count it under: ``password``, ``cookie``, ``token`` or ``email``.
        """
        self._masker.learn(rule, value)

    def text(self, text: str) -> str:
        """``text`` with its secrets masked: for log lines and error messages."""
        return text if self._profile == "none" else self._masker.mask(text)

    def url(self, url: str) -> str:
        """``url``, or a request target, with its secrets masked."""
        return url if self._profile == "none" else self._masker.mask(url, url_spans)

    def feed(self, entry: AnyEntry) -> list[AnyEntry]:
        """Take the next entry; return those that may be written now, in order, masked and marked
        ``redacted``.
        """
        if self._profile == "none":
            return [entry]
        if entry.offset_ns is not None:
            self._now_ns = entry.offset_ns
        # Nearly all of what is recorded: a text message in one frame, and nothing is held.
        if (
            type(entry) is FrameEntry
            and entry.opcode == "text"
            and entry.head[:1] == "8"
            and not self._open
            and not self._queue
            and not entry.extra
            and entry.text is not None
            and self._masker.passes(entry.text)
        ):
            return [entry]
        group = self._group_of(entry)
        if group is None and not self._queue:
            return [self._entries.alone(entry)]
        if group is not None and not group.broken:
            group.entries.append(entry)
        self._queue.append((entry, group))
        self._held_bytes += _size(entry)
        return self._released()

    def expire(self, now_ns: int) -> list[AnyEntry]:
        """Give up what has been held too long at the offset ``now_ns``; return what may be written
        now.
        """
        self._now_ns = now_ns if self._now_ns is None else max(now_ns, self._now_ns)
        return self._released()

    def close(self) -> list[AnyEntry]:
        """Give up whatever is incomplete; return all that is held. Nothing is held after it."""
        for group in self._open.values():
            group.give_up()
        self._open.clear()
        return self._released()

    # Holding

    def _group_of(self, entry: AnyEntry) -> _Group | None:
        """The group that ``entry`` belongs to, None if it is whole by itself."""
        if type(entry) is FrameEntry:
            return self._fragment_group(entry)
        if type(entry) is Body:
            key = ("body", entry.connection, entry.exchange, entry.sender)
            group = self._open.get(key)
            if group is None:
                if entry.last:
                    return None
                group = self._open[key] = _Group(entry.offset_ns)
            if entry.last:
                group.complete = True
                del self._open[key]
            return group
        if type(entry) is Closed:
            for key in [key for key in self._open if key[1] == entry.connection]:
                self._open.pop(key).give_up()
        return None

    def _fragment_group(self, frame: FrameEntry) -> _Group | None:
        opcode = frame.opcode
        if opcode == "text" or opcode == "binary":
            if frame.fin and not self._open:
                return None
        elif opcode != "continuation":
            return None
        key = ("message", frame.connection, frame.sender)
        group = self._open.get(key)
        if opcode != "continuation":
            # RFC 6455 5.4 forbids a message inside another: the first will not go on.
            if group is not None:
                group.give_up()
                del self._open[key]
            if frame.fin:
                return None
            group = None
        if group is None:
            # A continuation of nothing belongs to a message whose start is not here.
            group = self._open[key] = _Group(frame.offset_ns, broken=opcode == "continuation")
        if frame.fin:
            group.complete = True
            del self._open[key]
        return group

    def _released(self) -> list[AnyEntry]:
        out: list[AnyEntry] = []
        queue = self._queue
        while queue:
            entry, group = queue[0]
            if group is not None and not group.complete and not group.broken:
                due_ns = self.due_ns
                late = due_ns is not None and self._now_ns is not None and self._now_ns >= due_ns
                if not late and self._held_bytes <= MAX_HELD_BYTES:
                    break
                group.give_up()
            queue.popleft()
            self._held_bytes -= _size(entry)
            if group is None:
                out.append(self._entries.alone(entry))
            elif group.broken:
                assert isinstance(entry, (FrameEntry, Body))
                out.append(self._entries.whole(entry, INCOMPLETE))
            else:
                if group.masked is None:
                    group.masked = deque(self._entries.joined(group.entries))
                out += group.masked.popleft()
        return out


def _size(entry: AnyEntry) -> int:
    if isinstance(entry, UnknownEntry):
        return len(entry.line)
    return len(entry.text or entry.base64 or "") if isinstance(entry, Payload) else 0
