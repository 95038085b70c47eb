"""Which messages are meant: the filters that commands share. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from recorder.model import Header, Sender
from recorder.wire.frames import Opcode
from replayer.reading.conversation import DataMessage, Item
from replayer.reading.describing import Describer
from replayer.reading.json_paths import JsonPath
from replayer.reading.lines import BACKGROUND_KINDS, Line
from replayer.reading.moment import AskedMoment

__all__ = ["OPCODES", "Selection", "Selector"]

OPCODES: Final = tuple(opcode.name.lower() for opcode in Opcode)
"""The opcodes that have a name (RFC 6455 section 5.2); others are told by number."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: lines that every given part takes. Of several values in a part one is
    enough; an empty part, and None, take all.

    ``devices`` and ``beacons`` hold ids and names. ``opcodes`` holds names of :data:`OPCODES` and
    numbers of reserved ones; ``continuation`` is for messages in several fragments. ``texts`` stand
    literally in a message, a control frame or a note. Times are inclusive, and take nothing that is
    untimed; ``from_`` and ``to`` are what was asked for, which :meth:`in_recording` makes
    ``from_ns`` and ``to_ns`` of. The kinds of :data:`~replayer.reading.lines.BACKGROUND_KINDS` are
    taken if ``everything`` is, or if ``kinds`` names them.
    """

    from_: AskedMoment | None = None
    to: AskedMoment | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    connections: frozenset[int] = frozenset()
    senders: frozenset[Sender] = frozenset()
    opcodes: frozenset[str | int] = frozenset()
    kinds: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    beacons: frozenset[str] = frozenset()
    texts: tuple[bytes, ...] = ()
    paths: tuple[JsonPath, ...] = ()
    everything: bool = False

    def in_recording(self, header: Header) -> Selection:
        """The same with the moments in nanoseconds of this recording. Raises ValueError if it has
        no times to select by.
        """
        from_ns = self.from_ns if self.from_ is None else self.from_.offset_in(header)
        to_ns = self.to_ns if self.to is None else self.to.offset_in(header)
        return msgspec.structs.replace(self, from_=None, to=None, from_ns=from_ns, to_ns=to_ns)

    @property
    def is_all(self) -> bool:
        """Whether it takes every message."""
        return self == Selection(everything=self.everything)

    @property
    def names(self) -> frozenset[str]:
        """What of the devices and beacons cannot be an id, and so is a name that has to be told."""
        return frozenset(one for one in self.devices | self.beacons if not one.isdecimal())

    def takes(self, line: Line) -> bool:
        """Whether the line is meant."""
        return (
            self._takes_head(line)
            and self._takes_kind(line)
            and (not self.devices or not self.devices.isdisjoint(line.devices))
            and (not self.beacons or not self.beacons.isdisjoint(line.beacons))
            and (not self.texts or self._takes_text(line))
            and (not self.paths or self._takes_path(line))
        )

    def is_over(self, item: Item | Line) -> bool:
        """Whether this stands behind the last moment asked for, as all that follows does."""
        return self.to_ns is not None and (item.offset_ns or 0) > self.to_ns

    def may_take(self, message: DataMessage) -> bool:
        """Whether the line of this message may be meant: what can be told before it is put into
        words."""
        return (
            self._takes_head(message)
            and (not self.texts or any(text in message.payload for text in self.texts))
            and (not self.paths or any(path.may_be_in(message.payload) for path in self.paths))
        )

    def _takes_head(self, one: Line | DataMessage) -> bool:
        at_ns = one.offset_ns
        if self.from_ns is not None and (at_ns is None or at_ns < self.from_ns):
            return False
        if self.to_ns is not None and (at_ns is None or at_ns > self.to_ns):
            return False
        return (
            (not self.connections or one.connection in self.connections)
            and (not self.senders or one.sender in self.senders)
            and (
                not self.opcodes
                or one.opcode in self.opcodes
                or (one.fragments > 1 and "continuation" in self.opcodes)
            )
        )

    def _takes_kind(self, line: Line) -> bool:
        if self.kinds:
            return not self.kinds.isdisjoint(line.kinds)
        return self.everything or line.kinds[0] not in BACKGROUND_KINDS

    def _takes_text(self, line: Line) -> bool:
        data = line.payload
        if line.kinds == ("note",):
            data = line.summary.encode()
        return data is not None and any(text in data for text in self.texts)

    def _takes_path(self, line: Line) -> bool:
        data = line.payload
        return (
            data is not None
            and line.opcode == "text"
            and any(path.found_in(data) for path in self.paths)
        )


class Selector:
    """A selection at work on one conversation, whose items it gets in their order, each once.

    It remembers the names that were told so far; see
    :class:`~replayer.reading.describing.Describer`.
    """

    def __init__(self, selection: Selection) -> None:
        self.selection: Final = selection
        self._takes_all = selection.is_all
        self._describer = Describer()

    def told_instead(self) -> Iterator[tuple[str, list[str]]]:
        """``devices`` or ``beacons`` if one was asked for that was not told so far, and the names
        of those that were."""
        for what, asked, told in (
            ("devices", self.selection.devices, self._describer.device_names),
            ("beacons", self.selection.beacons, self._describer.beacon_names),
        ):
            names = list(dict.fromkeys(told.values()))
            if names and not asked <= {*told, *names}:
                yield what, names

    def line(self, item: Item) -> Line | None:
        """The line of the next item, None if it is not meant. Raises CorruptRecording where a
        frame's fields cannot be one.
        """
        if type(item) is DataMessage:
            if self._takes_all:
                return self._describer.line(item)
            if not self.selection.may_take(item):
                self._describer.learn(item)
                return None
        line = self._describer.line(item)
        return line if self.selection.takes(line) else None

    def takes(self, item: Item) -> bool:
        """Whether the next item is meant. Raises what :meth:`line` does."""
        return self.line(item) is not None

    def lines(self, items: Iterable[Item]) -> Iterator[Line]:
        """The lines that are meant, up to the first item behind the last moment asked for."""
        for item in items:
            if self.selection.is_over(item):
                return
            line = self.line(item)
            if line is not None:
                yield line
