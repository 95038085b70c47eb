"""The redactor: entries in, entries out, in order, nothing secret in them.

Strategy: an entry that is whole by itself is masked and handed out at once. A fragment of a
message, or a piece of a body, opens a :class:`_Group`; from then on everything is queued as it
came, so that order and ``offset_ns`` stay, and the queue is let go from its head as far as its
groups are complete or given up. Masking happens when an entry leaves the queue, so that numbers go
by first appearance and what an entry teaches holds for all entries after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from recorder.model import Body, Closed, FrameEntry, Header, Payload, Redaction, UnknownEntry
from recorder.redaction.edits import Transform
from recorder.redaction.entries import AnyEntry, EntryMasker
from recorder.redaction.kinds import url_spans
from recorder.redaction.masker import marked
from recorder.redaction.rules import INCOMPLETE
from recorder.redaction.streamed import TELLING_BYTES, Stream
from recorder.redaction.windows import SLICE_BYTES, Amount

__all__ = ["BODY_HOLD_S", "MAX_HELD_BYTES", "Redactor"]

MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""The most payload that waits for messages and bodies to become complete; above it the oldest is
given up.
"""
BODY_HOLD_S: Final = 0.25
"""So long a piece of a body waits for the rest of it, before the body is masked as it comes."""

_Key: TypeAlias = tuple[Any, ...]


class _Group:
    """The fragments of one message, or the pieces of one body. ``broken`` means given up: each is
    masked whole.
    """

    __slots__ = ("amount", "at_once", "broken", "complete", "entries", "in_windows", "masked",
                 "since_ns", "size_bytes", "stream", "template", "waits")  # fmt: skip

    def __init__(
        self, since_ns: int | None, *, broken: bool = False, in_windows: bool = False
    ) -> None:
        self.since_ns = since_ns
        self.broken = broken
        self.complete = False
        # Of those entries nothing is masked; of a body that is masked as it comes, `stream` has
        # them.
        self.entries: list[AnyEntry] = []
        self.size_bytes = 0
        # For each further entry in the queue what stands in its place.
        self.masked: deque[Sequence[AnyEntry]] = deque()
        self.in_windows = in_windows
        self.at_once = False
        # What came does not tell how to read it.
        self.waits = False
        self.stream: Stream | None = None
        self.amount: Literal["torn", "end"] = "end"
        self.template: AnyEntry | None = None

    def add(self, entry: AnyEntry) -> None:
        if not self.entries:
            self.since_ns = entry.offset_ns
        self.entries.append(entry)
        if self.size_bytes < TELLING_BYTES:
            self.waits = False
        self.size_bytes += _size(entry)
        self.template = entry
        if self.stream is not None:
            assert isinstance(entry, Body)
            self.stream.add(entry.data)

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
    masked whole.

    Not so a body, where there is no ``transform``: of it no more than
    :data:`~recorder.redaction.windows.SLICE_BYTES` and one more piece are held, and no longer than
    :data:`BODY_HOLD_S` (nor than ``hold_s``); then it is masked as it comes
    (:mod:`~recorder.redaction.streamed`). What may be the beginning of a secret at the end of a
    piece goes with the next piece, or in one of its own when the connection ends.

    ``taken`` holds the highest number of each rule that a resumed recording has used (see
    :func:`~recorder.redaction.rules.highest_numbers`).

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
        self._body_hold_ns = round(min(hold_s, BODY_HOLD_S) * 1e9)
        self._in_windows = transform is None and profile != "share"
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
        if group is None or group.since_ns is None:
            return None
        as_it_comes = group.in_windows and not group.waits
        return group.since_ns + (self._body_hold_ns if as_it_comes else self._hold_ns)

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
            group.add(entry)
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
        for key in list(self._open):
            self._end(key, self._now_ns)
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
                group = self._open[key] = _Group(entry.offset_ns, in_windows=self._in_windows)
                group.at_once = self._in_windows and self._entries.is_opaque(entry)
            if entry.last:
                group.complete = True
                del self._open[key]
            return group
        if type(entry) is Closed:
            for key in [key for key in self._open if key[1] == entry.connection]:
                self._end(key, entry.offset_ns)
        return None

    def _end(self, key: _Key, offset_ns: int | None) -> None:
        """Nothing more will come of a message or body."""
        group = self._open.pop(key)
        if group.in_windows:
            group.complete = True
            group.amount = "torn"
            if not group.entries and group.stream is not None and group.stream.held_bytes:
                # What is left over has no entry to go with.
                assert isinstance(group.template, Body)
                rest = msgspec.structs.replace(
                    group.template, text="", base64=None, offset_ns=offset_ns, first_ns=None,
                    extra={},
                )  # fmt: skip
                group.add(rest)
                self._queue.append((rest, group))
        else:
            group.give_up()

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
            if group is not None and not group.masked and not group.broken:
                self._mask(group)
                if not group.masked and not group.broken:
                    break
            queue.popleft()
            self._held_bytes -= _size(entry)
            if group is None:
                out.append(self._entries.alone(entry))
            elif group.broken:
                assert isinstance(entry, (FrameEntry, Body))
                out.append(self._entries.whole(entry, INCOMPLETE))
            else:
                out += group.masked.popleft()
        return out

    def _mask(self, group: _Group) -> None:
        """Mask the group at the head of the queue, or as much of it as may go, or give it up."""
        if group.complete and group.stream is None and group.amount == "end":
            group.masked.extend(self._entries.joined(group.entries))
            return
        due_ns = self.due_ns
        late = due_ns is not None and self._now_ns is not None and self._now_ns >= due_ns
        late = late or self._held_bytes > MAX_HELD_BYTES
        if group.in_windows and not group.waits:
            if group.complete:
                self._mask_windows(group, group.amount)
            elif late or group.at_once:
                self._mask_windows(group, "now")
            elif group.size_bytes > SLICE_BYTES:
                self._mask_windows(group, "ahead")
        elif late or group.complete:
            group.give_up()

    def _mask_windows(self, group: _Group, amount: Amount) -> None:
        if group.stream is None:
            group.stream = self._entries.stream(group.entries)
        if group.stream is not None:
            done = self._entries.streamed(group.stream, group.entries, amount)
            del group.entries[: len(done)]
            group.size_bytes = sum(map(_size, group.entries))
            group.since_ns = group.entries[0].offset_ns if group.entries else None
            group.masked.extend(done)
        elif group.complete:
            group.give_up()
        elif group.size_bytes == 0:
            group.masked.extend(self._entries.joined(group.entries))
            group.entries.clear()
        else:
            group.waits = True


def _size(entry: AnyEntry) -> int:
    if isinstance(entry, UnknownEntry):
        return len(entry.line)
    return len(entry.text or entry.base64 or "") if isinstance(entry, Payload) else 0
