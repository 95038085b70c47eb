"""`track-replayer diff`: two recordings, by meaning."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import click
import msgspec
from rich.cells import cell_len

from recorder.console import out
from recorder.exits import Exit
from replayer.commands.terminal import make_output_safe, output_columns, say_problems
from replayer.difference.alignment import WINDOW
from replayer.difference.comparison import Comparison, Differing, OneSided, Where, compare
from replayer.difference.exact import Difference, first_difference
from replayer.difference.ignored import BadPath, Ignored
from replayer.difference.statements import Settings
from replayer.reading.legs import client_legs
from replayer.reading.series import SeriesReader
from replayer.reading.words import counted, fit, json_text, printable, seconds

__all__ = ["diff_command", "diff_page", "parts_named"]

_NAMED: Final = 5
"""Of messages of one kind that only one side has so many have a line."""

_EXITS: Final = {"same": Exit.OK, "different": Exit.DIFFERENT, "undecided": Exit.UNDECIDED}


@click.command("diff")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--ignore",
    "ignore",
    multiple=True,
    metavar="PATH",
    help="A place that does not count: a JSON Pointer, in which * is any one name or number, or a"
    " JSONPath, which begins with $. May be given several times.",
)
@click.option(
    "--ids",
    type=click.Choice(["same", "renumber"]),
    default="same",
    show_default=True,
    help="renumber: ids may be others, each always the same other one.",
)
@click.option("--client", is_flag=True, help="Also what the client sent on its sockets.")
@click.option("--exact", is_flag=True, help="Byte for byte: the first message that differs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
def diff_command(
    a: str, b: str, ignore: tuple[str, ...], ids: str, client: bool, exact: bool, as_json: bool
) -> int:
    """What the backend said in the recordings A and B, compared by meaning.

    A and B are each a file, or a quoted pattern like 'day.*.track.jsonl' that names the parts of
    one series. Dates, the uuids of PINGs and session ids may be others. Exits with 0 where both
    mean the same, 1 where they differ, 2 where one has nothing to compare.
    """
    if exact and (ignore or client or ids != "same"):
        raise click.UsageError("--exact compares bytes: leave out --ignore, --ids and --client")
    try:
        settings = Settings(ignored=Ignored(ignore), renumber=ids == "renumber", client=client)
    except BadPath as exc:
        raise click.BadParameter(str(exc), param_hint="--ignore") from exc
    make_output_safe()
    with ExitStack() as stack:
        readers = [stack.enter_context(SeriesReader(parts_named(each))) for each in (a, b)]
        legs = [client_legs(reader) for reader in readers]
        if exact:
            difference = first_difference(*legs)
            verdict = "same" if difference is None else "different"
            answer = _exactly(difference, verdict, readers)
            lines = iter([str(difference) if difference else "the same, byte for byte"])
        else:
            comparison = compare(legs[0], legs[1], settings)
            verdict = comparison.verdict
            answer = _as_json(comparison, readers)
            names = [reader.name for reader in readers]
            lines = diff_page(comparison, names, columns=output_columns())
    if as_json:
        out(msgspec.json.format(json_text(answer), indent=2))
    else:
        for line in lines:
            out(line)
    for reader in readers:
        say_problems(reader)
    return _EXITS[verdict]


def parts_named(text: str) -> list[str]:
    """The files that an argument names: itself, or those that it is a pattern of, sorted. A pattern
    of nothing stands for itself, as a file that is not there."""
    if os.path.lexists(text):
        return [text]
    return sorted(glob.glob(text)) or [text]


def diff_page(comparison: Comparison, names: list[str], *, columns: int) -> Iterator[str]:
    """The answer for people, line by line, each in so many columns; only a place that is longer
    stays whole, so that it can be copied."""
    counts = (
        (comparison.statements_a, comparison.pings_a),
        (comparison.statements_b, comparison.pings_b),
    )
    for side, name, (said, pings) in zip("ab", names, counts, strict=True):
        yield fit(f"{side}  {printable(name)}: {_amount(said)}, {counted(pings, 'PINGs')}", columns)
    kind = None
    for each in comparison.changes:
        if each.kind != kind:
            kind = each.kind
            yield ""
            yield fit(printable(kind), columns)
        yield from _differing(each, columns)
    if comparison.more_changes:
        yield f"  and {comparison.more_changes} at other places"
    for group in comparison.one_sided:
        yield ""
        yield from (fit(line, columns) for line in _one_sided(group))
    if comparison.more_one_sided:
        yield f"and {_amount(comparison.more_one_sided)} of other kinds on one side only"
    if comparison.guessed_from is not None:
        yield ""
        since = f"entry {comparison.guessed_from.seq} of {comparison.guessed_side}"
        yield fit(f"From {since} on, what belongs together is a guess:", columns)
        yield fit(f"none of {WINDOW} messages in a row is the same on the other side.", columns)
        yield fit("If only one side has them, cut them off with track-replayer edit.", columns)
    if comparison.changes or comparison.one_sided:
        yield ""
    yield fit(_verdict(comparison), columns)


def _differing(each: Differing, columns: int) -> Iterator[str]:
    change = each.change
    place = printable(change.pointer) or "all of it"
    a, b = (None if raw is None else _value(raw) for raw in (change.a, change.b))
    if a is None:
        values = [f"only in b: {b}"]
    elif b is None:
        values = [f"only in a: {a}"]
    else:
        shown = _around_the_difference(a, b, columns - len("    a: "))
        values = [f"{side}: {one}" for side, one in zip("ab", shown, strict=True)]
    line = f"  {place}: {values[0] if a is None or b is None else f'{a} -> {b}'}"
    if cell_len(line) <= columns:
        yield line
    else:
        yield f"  {place}:"
        yield from (fit(f"    {value}", columns) for value in values)
    elsewhere = f" (there {printable(change.pointer_b)})" if change.pointer_b else ""
    about = f", {printable(each.a.about)}" if each.a.about else ""
    yield f"    entry {each.a.seq} of a and {each.b.seq} of b{elsewhere}{about}"
    if each.count > 1:
        yield f"    and {each.count - 1} more at this place"


def _around_the_difference(a: str, b: str, columns: int) -> list[str]:
    """Two texts, each from so shortly before they part that what differs can be seen."""
    parts = (at for at, (left, right) in enumerate(zip(a, b, strict=False)) if left != right)
    at = next(parts, min(len(a), len(b)))
    start = max(0, at - columns // 3)
    if start == 0 or max(len(a), len(b)) <= columns:
        return [a, b]
    return [f"…{text[start + 1 :]}" for text in (a, b)]


def _one_sided(group: OneSided) -> Iterator[str]:
    yield f"{printable(group.kind)}: {_amount(group.count)} only in {group.side}"
    for where in group.first[:_NAMED]:
        at = "" if where.offset_ns is None else f" at {seconds(where.offset_ns)} s"
        about = f": {printable(where.about)}" if where.about else ""
        yield f"  entry {where.seq} of {group.side}{at}{about}"
    if group.count > _NAMED:
        yield f"  and {group.count - min(len(group.first), _NAMED)} more"


def _verdict(comparison: Comparison) -> str:
    if comparison.verdict == "same":
        return f"SAME: {_amount(comparison.same)} on both sides"
    if comparison.verdict == "undecided":
        empty = [
            side
            for side, count in (("a", comparison.statements_a), ("b", comparison.statements_b))
            if not count
        ]
        return f"UNDECIDED: there is nothing to compare in {' and in '.join(empty)}"
    only = {"a": comparison.more_one_sided, "b": 0}
    for group in comparison.one_sided:
        only[group.side] += group.count
    found = [f"{comparison.changed} changed"] if comparison.changed else []
    found += [f"{count} only in {side}" for side, count in only.items() if count]
    return f"DIFFERENT: {', '.join(found)}, {comparison.same} the same"


def _amount(count: int) -> str:
    return counted(count, "messages")


def _value(raw: msgspec.Raw) -> str:
    return printable(bytes(raw).decode("utf-8", "backslashreplace"))


def _as_json(comparison: Comparison, readers: list[SeriesReader]) -> dict[str, Any]:
    sides = {
        "a": (comparison.statements_a, comparison.pings_a),
        "b": (comparison.statements_b, comparison.pings_b),
    }
    return {
        "verdict": comparison.verdict,
        **{
            side: {"recording": reader.names, "messages": said, "pings": pings}
            for reader, (side, (said, pings)) in zip(readers, sides.items(), strict=True)
        },
        "same": comparison.same,
        "changed": comparison.changed,
        "changes": [_change_as_json(each) for each in comparison.changes],
        "more_changes": comparison.more_changes,
        "only": [
            {
                "kind": group.kind,
                "side": group.side,
                "count": group.count,
                "first": list(map(_where_as_json, group.first)),
            }
            for group in comparison.one_sided
        ],
        "more_only": comparison.more_one_sided,
        "guessed_from": None
        if comparison.guessed_from is None
        else {"side": comparison.guessed_side, **_where_as_json(comparison.guessed_from)},
    }


def _change_as_json(each: Differing) -> dict[str, Any]:
    change = each.change
    shown: dict[str, Any] = {
        "kind": each.kind,
        "what": each.what,
        "count": each.count,
        "pointer": change.pointer,
        "pointer_b": change.pointer_b or change.pointer,
        "place": change.place,
    }
    # A side that has no such field has no value, which is not null.
    shown |= {side: raw for side, raw in (("a", change.a), ("b", change.b)) if raw is not None}
    return {**shown, "at_a": _where_as_json(each.a), "at_b": _where_as_json(each.b)}


def _where_as_json(where: Where) -> dict[str, Any]:
    time_s = None if where.offset_ns is None else where.offset_ns / 1e9
    return {
        "seq": where.seq,
        "time": time_s,
        "connection": where.connection,
        "about": where.about,
    }


def _exactly(
    difference: Difference | None, verdict: str, readers: list[SeriesReader]
) -> dict[str, Any]:
    a, b = readers
    return {
        "verdict": verdict,
        "a": {"recording": a.names},
        "b": {"recording": b.names},
        "first_difference": difference,
    }
