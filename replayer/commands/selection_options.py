"""The options by which commands are told which messages are meant."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from recorder.model import Header, Sender
from recorder.wire.frames import Opcode
from replayer.reading.json_paths import JsonPath
from replayer.reading.lines import KINDS
from replayer.reading.moment import AskedMoment, read_moment
from replayer.reading.selection import OPCODES, Selection
from replayer.reading.words import printable

__all__ = ["MomentType", "check_order", "in_recording", "selection_options"]

_R = TypeVar("_R")

_KIND_OF: Final = {kind.casefold(): kind for kind in KINDS}
_NAME_OF_OPCODE: Final = {int(opcode): opcode.name.lower() for opcode in Opcode}


class MomentType(click.ParamType["AskedMoment"]):
    """A moment of a recording; see :func:`~replayer.reading.moment.read_moment`."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> AskedMoment:
        try:
            return read_moment(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


class _KindType(click.ParamType["str"]):
    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        kind = _KIND_OF.get(value.casefold())
        if kind is None:
            self.fail(f"{value!r} is no kind; expected one of {', '.join(KINDS)}", param, ctx)
        return kind


class _OpcodeType(click.ParamType["str | int"]):
    name = "opcode"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int:
        if value.lower() in OPCODES:
            return str(value).lower()
        if not value.isascii() or not value.isdecimal() or len(value) > 2 or int(value) > 15:
            self.fail(
                f"{value!r} is no opcode; expected {', '.join(OPCODES)}, or a number from 0 to 15",
                param,
                ctx,
            )
        return _NAME_OF_OPCODE.get(int(value), int(value))


class _PathType(click.ParamType["JsonPath"]):
    name = "jsonpath"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> JsonPath:
        try:
            return JsonPath(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


_OPTIONS: Final = (
    click.option(
        "--from",
        "from_",
        type=MomentType(),
        metavar="TIME",
        help="Only from this time on: 90, 1m30s, or a wall clock, 2026-11-22T17:00:30Z.",
    ),
    click.option("--to", type=MomentType(), metavar="TIME", help="Only up to this time."),
    click.option(
        "--kind",
        "kinds",
        multiple=True,
        metavar="KIND",
        type=_KindType(),
        help="Only this kind, as `show` prints it.",
    ),
    click.option(
        "--device",
        "devices",
        multiple=True,
        metavar="NAME_OR_ID",
        help="Only messages about this device.",
    ),
    click.option(
        "--beacon",
        "beacons",
        multiple=True,
        metavar="NAME_OR_ID",
        help="Only messages about this beacon, or a position at it.",
    ),
    click.option(
        "--sender",
        "senders",
        multiple=True,
        type=click.Choice(["client", "server"]),
        help="Only what it sent.",
    ),
    click.option(
        "--opcode",
        "opcodes",
        multiple=True,
        type=_OpcodeType(),
        metavar="OPCODE",
        help="Only text, binary, close, ping, pong, or a number; continuation for messages in "
        "fragments.",
    ),
    click.option(
        "--connection",
        "connections",
        multiple=True,
        type=int,
        metavar="N",
        help="Only this connection.",
    ),
    click.option(
        "--text",
        "texts",
        multiple=True,
        metavar="TEXT",
        help="Only what holds this text, letter by letter, as `grep -F` does.",
    ),
    click.option(
        "--path",
        "paths",
        multiple=True,
        type=_PathType(),
        metavar="JSONPATH",
        help="Only messages in which this finds something: '$.positions[?@.rssi < -80]'.",
    ),
)


def selection_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command the options that select messages, and as ``selection`` what they select.

    Each but the two times may be given several times, and then one of them is enough; of different
    options all must hold. The times are made offsets by :func:`in_recording`.
    """

    @functools.wraps(command)
    def with_selection(
        *args: Any,
        from_: AskedMoment | None,
        to: AskedMoment | None,
        kinds: tuple[str, ...],
        devices: tuple[str, ...],
        beacons: tuple[str, ...],
        senders: tuple[Sender, ...],
        opcodes: tuple[str | int, ...],
        connections: tuple[int, ...],
        texts: tuple[str, ...],
        paths: tuple[JsonPath, ...],
        **others: Any,
    ) -> _R:
        selection = Selection(
            from_=from_,
            to=to,
            kinds=frozenset(kinds),
            devices=frozenset(devices),
            beacons=frozenset(beacons),
            senders=frozenset(senders),
            opcodes=frozenset(opcodes),
            connections=frozenset(connections),
            texts=tuple(text.encode("utf-8", "surrogateescape") for text in texts),
            paths=paths,
        )
        return command(*args, selection=selection, **others)

    for option in reversed(_OPTIONS):
        with_selection = option(with_selection)
    return with_selection


def in_recording(selection: Selection, header: Header, name: str) -> Selection:
    """The selection with its times as offsets in the recording of this header, which lies at
    ``name``. Raises click.UsageError if it has no times to select by, or nothing stands between
    them.
    """
    try:
        selection = selection.in_recording(header)
    except ValueError as exc:
        raise click.UsageError(f"{printable(name)}: {exc}: leave out --from and --to") from exc
    check_order(selection.from_ns, selection.to_ns)
    return selection


def check_order(from_ns: int | None, to_ns: int | None) -> None:
    """Raises click.UsageError if the second moment is before the first."""
    if from_ns is not None and to_ns is not None and to_ns < from_ns:
        raise click.UsageError("nothing stands between these: --to is before --from")
