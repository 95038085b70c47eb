"""`track-replayer pings`: every PING and what became of it."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click

from recorder.console import out, say
from recorder.track.rules_file import load_rules
from replayer.commands.measuring import Asked, Column, measuring_options, print_rows
from replayer.errors import NothingLearnt
from replayer.plots.drawings import round_trips
from replayer.plots.points import axis_of
from replayer.reading.conversation import converse
from replayer.reading.legs import client_legs
from replayer.reading.pings import PingRow, Pings
from replayer.reading.words import counted, printable, seconds

__all__ = ["percentile", "pings_command"]

_COLUMNS = [
    Column("#", -2, lambda row: str(row.connection)),
    Column("uuid", 36, lambda row: printable(row.uuid or "-"), widest=36),
    Column("pong", -9, lambda row: seconds(row.pong_ns)),
    Column("ms", -8, lambda row: _ms(row.round_trip_ns)),
    Column("verdict", 0, lambda row: ", ".join(_words(row))),
]


@click.command("pings")
@measuring_options
@click.option(
    "--rules",
    "rules_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A TOML file of rules, for another interval; see docs/track-protocol.md.",
)
def pings_command(asked: Asked, rules_file: Path | None) -> None:
    """Every PING of the recording REC, or of the parts of a series: when it was sent, its uuid,
    when its pong came, the milliseconds between, and whether that was in time (manual section 3.3).
    """
    rules = None if rules_file is None else load_rules(rules_file)
    with asked.reading() as reader:
        clock = axis_of(reader.header, wall=asked.wall)
        choice = asked.choice(reader)
        fold = Pings(rules)
        verdicts: Counter[str] = Counter()
        trips_ms = array("d")
        drawn: list[PingRow] = []
        chosen = (
            row
            for row in fold.rows(converse(client_legs(reader)))
            if choice.takes_time(row.pong_ns if row.sent_ns is None else row.sent_ns)
        )
        for row in print_rows(chosen, reader, asked, _COLUMNS, time="sent_ns"):
            verdicts[row.verdict] += 1
            if row.round_trip_ns is not None:
                trips_ms.append(row.round_trip_ns / 1e6)
            if asked.plot is not None:
                drawn.append(row)
        if not verdicts:
            raise NothingLearnt(
                f"{printable(reader.name)} holds no PING"
                + (" in that time" if asked.from_ is not None or asked.to is not None else "")
            )
        _summary(verdicts, trips_ms, out if asked.printed_as == "line" else say)
        if not fold.client_messages:
            say("no message from the client was recorded, so no pong was seen")
        if asked.plot is not None:
            if clock is None:
                raise NothingLearnt(
                    f"{printable(reader.name)} has no times, so there are no round trips to draw"
                )
            asked.save(round_trips(drawn, clock, "round trips of PINGs"))


def _summary(verdicts: Counter[str], trips_ms: array[float], tell: Callable[[str], None]) -> None:
    sent = verdicts.total() - verdicts["stray"]
    listed = [
        f"{verdicts[name]} {name}"
        for name in ("answered", "late", "unanswered", "undecided")
        if verdicts[name]
    ]
    strays = [f"{counted(verdicts['stray'], 'stray pongs')}"] if verdicts["stray"] else []
    tell(f"{counted(sent, 'PINGs')}: {', '.join([*listed, *strays])}")
    if trips_ms:
        ordered = sorted(trips_ms)
        shown = " / ".join(
            f"{each:.1f}"
            for each in (
                ordered[0],
                percentile(ordered, 0.5),
                percentile(ordered, 0.99),
                ordered[-1],
            )
        )
        tell(f"round trip {shown} ms (shortest / p50 / p99 / longest)")


def percentile(ordered: list[float], part: float) -> float:
    """The least of the ordered values that ``part`` of them, from 0 to 1, are not above: the
    nearest rank."""
    return ordered[max(0, -int(-len(ordered) * part // 1) - 1)]


def _ms(round_trip_ns: int | None) -> str:
    return "-" if round_trip_ns is None else f"{round_trip_ns / 1e6:.1f}"


def _words(row: PingRow) -> list[str]:
    """The verdict, and what it does not say by itself."""
    said = {"late": {"pong.missing", "pong.late"}, "unanswered": {"pong.missing"}}
    return [row.verdict, *(rule for rule in row.rules if rule not in said.get(row.verdict, ()))]
