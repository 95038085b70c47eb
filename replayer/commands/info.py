"""`track-replayer info`: what a recording holds, on one page."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import msgspec

from recorder.console import out
from recorder.model import Header
from recorder.recording import Torn, encode_header
from recorder.track.rules_file import load_rules
from replayer.commands.selection_options import in_recording, selection_options
from replayer.commands.terminal import make_output_safe, output_columns
from replayer.reading.facts import SILENCE_NS, ConnectionFacts, Facts, Pings, Silence
from replayer.reading.selection import Selection, Selector
from replayer.reading.series import SeriesReader
from replayer.reading.statistics import gather
from replayer.reading.words import counted, duration, json_text, printable, seconds, wrap

__all__ = ["Info", "info_command", "page"]

_WRAPPED_COLUMNS: Final = 80


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """All that the command says; ``--json`` prints it with these names.

    ``why_incomplete`` is None where the recording was ended in order and its sha256 is right;
    ``torn`` is what a crash left at its end. ``parts`` names all files where several were read as
    one; ``recording`` the first.
    """

    recording: str
    parts: list[str]
    header: Header
    why_incomplete: str | None
    torn: Torn | None
    facts: Facts


@click.command("info")
@click.argument("recordings", metavar="REC...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a page.")
@click.option(
    "--rules",
    "rules_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A TOML file of rules, for another interval of PINGs; see docs/track-protocol.md.",
)
@selection_options
def info_command(
    recordings: tuple[str, ...], as_json: bool, rules_file: Path | None, selection: Selection
) -> None:
    """What the recording REC holds, or the parts of a series: counts, rates, connections, PINGs,
    gaps, silences, and whether it is complete.

    With filters, which select messages as those of `show` do, the counts and rates are those of the
    selected messages alone. All else is of the whole recording.
    """
    rules = None if rules_file is None else load_rules(rules_file)
    with SeriesReader(recordings, verify=True) as reader:
        chosen = in_recording(selection, reader.header, reader.name)
        selected = None if chosen.is_all else Selector(chosen).takes
        facts = gather(reader.header, reader, selected=selected, rules=rules)
        info = Info(
            recording=reader.names[0],
            parts=reader.names if len(reader.names) > 1 else [],
            header=reader.header,
            why_incomplete=reader.why_incomplete,
            torn=reader.torn,
            facts=facts,
        )
    make_output_safe()
    if as_json:
        out(_json(info))
        return
    columns = output_columns()
    for line in page(info):
        out(wrap(line, columns))


def _json(info: Info) -> str:
    fields = {
        "recording": info.recording,
        "parts": info.parts,
        # As its line in a file is, with keys that this version does not know.
        "header": msgspec.Raw(encode_header(info.header)),
        "why_incomplete": info.why_incomplete,
        "torn": info.torn,
        "facts": info.facts,
    }
    return msgspec.json.format(json_text(fields), indent=2)


def page(info: Info) -> Iterator[str]:
    """The page, line by line; a line may be wider than a terminal."""
    header, facts = info.header, info.facts
    since = f", from {duration(facts.from_ns)} on" if facts.from_ns else ""
    for name in info.parts or [info.recording]:
        yield printable(name)
    yield f"  recorded    {printable(header.started_at)}, {header.mode}, {printable(header.tool)}"
    if header.upstream is not None:
        yield f"  upstream    {printable(header.upstream)}"
    if facts.upstream_connections or header.mode == "proxy":
        clients = counted(facts.client_connections, "client connections")
        yield f"  proxied     {clients}, {facts.upstream_connections} to the upstream"
    if header.series is not None:
        yield f"  series      {_series(info)}"
    yield f"  fidelity    {header.fidelity}, timing {header.timing}"
    yield f"  redaction   {_redaction(header, facts)}"
    length = "-" if facts.duration_ns is None else duration(facts.duration_ns)
    yield f"  duration    {length}{since}"
    yield f"  entries     {facts.entries}{_asides(facts)}"
    yield from _standing(info)
    yield from _messages(facts)
    yield from _rate(facts)
    for connection in facts.connections:
        yield ""
        yield from _connection(connection, timed=facts.duration_ns is not None)
    yield from _violations(facts)


def _series(info: Info) -> str:
    series = info.header.series
    assert series is not None
    last = f" and {len(info.parts) - 1} more" if info.parts else ""
    return f"part {series.part}{last} of {printable(series.id)}"


def _redaction(header: Header, facts: Facts) -> str:
    counts = ", ".join(f"{count} {printable(rule)}" for rule, count in facts.redaction.items())
    entries = facts.redacted_entries
    redacted = f"{entries} redacted {'entry' if entries == 1 else 'entries'}"
    by_rule = f" ({counts})" if counts else ""
    return f"profile {printable(header.redaction.profile)}: {redacted}{by_rule}"


def _asides(facts: Facts) -> str:
    resumed = f", resumed {_times(facts.resumed)}" if facts.resumed else ""
    notes = f", {counted(facts.notes, 'notes')}" if facts.notes else ""
    unknown = f", {facts.unknown_entries} of unknown kinds" if facts.unknown_entries else ""
    return resumed + notes + unknown


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _standing(info: Info) -> Iterator[str]:
    if info.why_incomplete is None:
        yield "  complete    yes, its sha256 is right"
        return
    yield f"  complete    no: {printable(info.why_incomplete)}"
    if info.torn is not None:
        yield f"  lost        {counted(info.torn.bytes_lost, 'bytes')}: {info.torn.why}"


def _messages(facts: Facts) -> Iterator[str]:
    yield ""
    yield f"{'messages':<32}{'count':>10}{'bytes':>14}"
    for count in facts.messages:
        yield f"  {count.sender:<8}{count.kind:<22}{count.messages:>10}{count.bytes:>14}"
    messages = sum(count.messages for count in facts.messages)
    size = sum(count.bytes for count in facts.messages)
    yield f"  {'all':<30}{messages:>10}{size:>14}"


def _rate(facts: Facts) -> Iterator[str]:
    if facts.rate is not None:
        busiest_from = duration(facts.rate.busiest_from_ns)
        yield ""
        yield (
            f"rate        {facts.rate.mean:.2f} messages/s, "
            f"{facts.rate.busiest} in the busiest second (from {busiest_from})"
        )
    if facts.silences:
        yield f"silences    {facts.silence_count} above {duration(SILENCE_NS)}, the longest:"
        yield from _times_of(facts.silences)
    if facts.gaps:
        yield f"gaps        {facts.gap_count} in which no socket was open, the longest:"
        yield from _times_of(facts.gaps)


def _times_of(times: list[Silence]) -> Iterator[str]:
    for each in times:
        yield f"  {duration(each.length_ns):>12} from {duration(each.from_ns)}"


def _connection(facts: ConnectionFacts, *, timed: bool) -> Iterator[str]:
    where = facts.url or facts.peer
    yield f"connection {facts.connection}{f'  {printable(where)}' if where else ''}"
    if timed:
        ended = "the end" if facts.closed_ns is None else f"{seconds(facts.closed_ns)} s"
        before = "before " if facts.before else ""
        yield f"  open        {before}{seconds(facts.opened_ns)} s to {ended}"
    if facts.handshake_status is not None:
        yield f"  handshake   {facts.handshake_status}"
    if facts.exchanges:
        statuses = ", ".join(
            f"{count} without a response" if status == "none" else f"{count} x {status}"
            for status, count in facts.exchanges.items()
        )
        yield f"  HTTP        {statuses}"
    if facts.server_messages or facts.client_messages or facts.handshake_status == 101:
        yield f"  server      {_volume(facts.server_messages, facts.server_bytes)}"
        yield f"  client      {_volume(facts.client_messages, facts.client_bytes)}"
    if facts.control_frames:
        yield f"  control     {counted(facts.control_frames, 'frames')}"
    if facts.broken_messages:
        yield f"  broken      {counted(facts.broken_messages, 'messages')}"
    if facts.close_sender is not None:
        code = "without a code" if facts.close_code is None else str(facts.close_code)
        reason = f" {printable(facts.close_reason)}" if facts.close_reason else ""
        yield f"  close       {code}{reason}, from the {facts.close_sender}"
    if facts.closed_by is not None:
        detail = f": {printable(facts.closed_detail)}" if facts.closed_detail else ""
        yield f"  ended       by the {facts.closed_by}, {facts.closed_how}{detail}"
    if facts.pings.sent:
        yield from _pings(facts.pings, heard_client=facts.client_messages > 0)


def _volume(messages: int, size_bytes: int) -> str:
    return f"{counted(messages, 'messages')}, {counted(size_bytes, 'bytes')}"


def _pings(pings: Pings, *, heard_client: bool) -> Iterator[str]:
    late = f", {pings.late} late" if pings.late else ""
    undecided = f", {pings.undecided} undecided" if pings.undecided else ""
    yield (
        f"  PINGs       {pings.sent} sent, {pings.answered} answered in time, "
        f"{pings.unanswered_count} unanswered{late}{undecided}"
    )
    if not heard_client:
        yield "              no message from the client was recorded"
    if pings.round_trip_mean_ns is not None:
        trips = (pings.round_trip_min_ns, pings.round_trip_mean_ns, pings.round_trip_max_ns)
        shown = " / ".join(f"{(trip or 0) / 1e6:.1f}" for trip in trips)
        yield f"  round trip  {shown} ms (shortest / mean / longest)"
    for each in pings.unanswered:
        yield f"  unanswered  {seconds(each.at_ns):>9} {printable(each.uuid)}"
    if pings.unanswered_count > len(pings.unanswered):
        yield f"              and {pings.unanswered_count - len(pings.unanswered)} more"


def _violations(facts: Facts) -> Iterator[str]:
    if not facts.violations:
        return
    total = sum(facts.violations.values())
    yield ""
    yield f"violations  {total}: " + ", ".join(
        f"{count} {rule}" for rule, count in facts.violations.items()
    )
    for violation in facts.first_violations:
        yield from textwrap.wrap(
            printable(violation),
            _WRAPPED_COLUMNS,
            initial_indent="  ",
            subsequent_indent="    ",
        )
    if total > len(facts.first_violations):
        yield f"  and {total - len(facts.first_violations)} more"
