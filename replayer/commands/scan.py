"""`track-replayer scan`: one check of thousands of recordings."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from recorder.console import is_terminal, out
from recorder.destination import destination
from recorder.errors import CannotRead
from recorder.track.rules_file import load_rules
from replayer.commands.terminal import make_output_safe, output_columns
from replayer.junit import Case, junit_xml
from replayer.reading.words import counted, fit, json_text, printable
from replayer.scan.checks import Check, ConformCheck, ContractCheck
from replayer.scan.finding import Found, find, shard
from replayer.scan.rows import VERDICTS, Results, Row, Verdict, exit_of
from replayer.scan.workers import Cluster, Rows, in_processes, in_this_process, on_cluster

__all__ = ["Shard", "in_order", "row_lines", "scan_command", "summary_line"]

_FINE: Final = ("kept", "same")
_OUTCOMES: Final[dict[Verdict, Any]] = {
    "kept": "passed",
    "same": "passed",
    "broken": "failed",
    "drift": "failed",
    "undecided": "skipped",
    "error": "error",
}
_PROGRESS_AFTER_S: Final = 0.2


class Shard(click.ParamType["tuple[int, int]"]):
    """``2/5``: the second of five."""

    name = "shard"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        number, _, of = str(value).partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            self.fail(f"{value!r} is no shard; expected the like of 2/5", param, ctx)
        return int(number), int(of)


@click.command("scan")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--check",
    "check_name",
    type=click.Choice(["conform", "contract"]),
    required=True,
    help="conform: was the protocol kept? contract: does the backend say what it said?",
)
@click.option("--contract", metavar="FILE", help="The contract, for --check contract.")
@click.option(
    "--rules",
    metavar="FILE",
    help="The rules of this backend, for --check conform: a TOML file, as conform takes it.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    metavar="N",
    help="So many processes; as many as there are processors, if not given.",
)
@click.option("--dask", metavar="ADDRESS", help="On the cluster with this dask scheduler.")
@click.option(
    "--shard",
    "part",
    type=Shard(),
    metavar="I/N",
    help="Only the I-th of N shares of about the same size.",
)
@click.option(
    "--results",
    metavar="FILE",
    help="Keep each row there at once, and do not ask again what stands there and still holds.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a recording, in lines.")
@click.option("--junit", metavar="FILE", help="Also as JUnit XML, for a CI system.")
def scan_command(
    paths: tuple[str, ...],
    check_name: str,
    contract: str | None,
    rules: str | None,
    jobs: int | None,
    dask: str | None,
    part: tuple[int, int] | None,
    results: str | None,
    as_json: bool,
    junit: str | None,
) -> int:
    """One check of all recordings in PATH...: files, folders, or quoted patterns.

    In a folder these are *.track.jsonl and *.track.jsonl.zst, at any depth; the parts of a series
    are one recording. What cannot be read is reported, and the scan goes on. Exits with 1 if one is
    broken or drifted, else with 65 if one could not be read, else with 2 if one is undecided.
    """
    if dask is not None and jobs is not None:
        raise click.UsageError("--jobs is for processes on this machine, --dask for a cluster")
    check = _check(check_name, contract, rules)
    recordings = find(paths)
    if part is not None:
        recordings = shard(recordings, *part)
    make_output_safe()
    began_s = time.perf_counter()
    with ExitStack() as stack:
        # Before hours of work, so that a name where nothing can be written is said at once.
        report = None if junit is None else stack.enter_context(destination(junit, force=True))
        kept = None if results is None else stack.enter_context(Results(results))
        known = _known(kept, recordings, check)
        todo = [found for found in recordings if found.path not in known]
        rows = _fresh(check, todo, jobs or os.cpu_count() or 1, dask, kept)
        shown: list[Row] = []
        verdicts: Counter[Verdict] = Counter()
        size_bytes = 0
        columns = output_columns()
        with closing(rows):
            for row in in_order(recordings, known, _with_progress(rows, len(todo))):
                for line in [json_text(row)] if as_json else row_lines(row, columns):
                    out(line)
                verdicts[row.verdict] += 1
                size_bytes += row.size_bytes
                if report is not None:
                    shown.append(row)
        if report is not None:
            report.write(_junit(check_name, shown).encode("utf-8"))
    if not as_json:
        took_s = time.perf_counter() - began_s
        out(fit(summary_line(verdicts, size_bytes, took_s, known=len(known)), columns))
    return exit_of(verdicts)


def in_order(
    recordings: Iterable[Found], known: dict[str, Row], fresh: Iterator[Row]
) -> Iterator[Row]:
    """The rows in the order of the recordings, each as soon as those before it are there."""
    waiting = dict(known)
    for found in recordings:
        while found.path not in waiting:
            row = next(fresh)
            waiting[row.path] = row
        yield waiting.pop(found.path)


def row_lines(row: Row, columns: int) -> Iterator[str]:
    """A row for people: what was found stands below what is not fine or not whole."""
    size = _size(row.size_bytes)
    yield fit(f"{row.verdict:<10}{size:>8} {row.seconds:>7.3f} s  {printable(row.path)}", columns)
    if row.verdict not in _FINE:
        yield fit(f"          {printable(row.what)}", columns)
    if row.remark:
        yield fit(f"          {printable(row.remark)}", columns)


def summary_line(
    verdicts: Counter[Verdict], size_bytes: int, took_s: float, *, known: int = 0
) -> str:
    """What came of all of them."""
    total = sum(verdicts.values())
    by_verdict = ", ".join(f"{verdicts[one]} {one}" for one in VERDICTS if verdicts[one])
    before = f" ({known} from before)" if known else ""
    answer = f": {by_verdict}" if by_verdict else ""
    return f"{counted(total, 'recordings')}{before}, {_size(size_bytes)}, {took_s:.1f} s{answer}"


def _check(name: str, contract: str | None, rules: str | None) -> Check:
    if name == "conform":
        if contract is not None:
            raise click.UsageError("--contract is for --check contract")
        return ConformCheck() if rules is None else ConformCheck(load_rules(rules))
    if rules is not None:
        raise click.UsageError("--rules is for --check conform")
    if contract is None:
        raise click.UsageError("--check contract needs --contract FILE")
    from replayer.contract.model import decode_contract

    try:
        data = Path(contract).read_bytes()
    except OSError as exc:
        raise CannotRead(f"{contract} cannot be read: {exc.strerror}") from exc
    # A wrong one is said once, and not of each recording.
    decode_contract(data, contract)
    return ContractCheck(data, contract)


def _known(kept: Results | None, recordings: Iterable[Found], check: Check) -> dict[str, Row]:
    """What need not be asked again."""
    if kept is None:
        return {}
    key = check.key
    rows = {found.path: (kept.rows.get(found.path), found) for found in recordings}
    return {
        path: row
        for path, (row, found) in rows.items()
        if row is not None and row.holds_for(found, key)
    }


def _fresh(
    check: Check, todo: list[Found], jobs: int, dask: str | None, kept: Results | None
) -> Rows:
    """The rows of what has to be asked, in any order, each kept before it is given."""
    rows: Rows
    if not todo:
        return
    if dask is not None:
        rows = on_cluster(check, list(map(_seen_from_anywhere, todo)), _cluster(dask))
    elif jobs == 1 or len(todo) == 1:
        rows = in_this_process(check, todo)
    else:
        rows = in_processes(check, todo, min(jobs, len(todo)))
    with closing(rows):
        for row in rows:
            if kept is not None:
                kept.add(row)
            yield row


def _seen_from_anywhere(found: Found) -> Found:
    """With absolute files, as a worker has its own folder."""
    return msgspec.structs.replace(found, parts=tuple(map(os.path.abspath, found.parts)))


def _cluster(address: str) -> Cluster:
    try:
        return Cluster.at(address)
    except ImportError as exc:
        raise click.UsageError(
            "--dask needs dask.distributed: pip install 'tracktape[cluster]'"
        ) from exc


def _with_progress(rows: Rows, total: int) -> Iterator[Row]:
    """The rows; how many there are is said while a person watches."""
    if not is_terminal():
        yield from rows
        return
    began_s = time.monotonic()
    for number, row in enumerate(rows, 1):
        # Away with it, as the row goes to the same terminal.
        click.echo("\r\x1b[K", err=True, nl=False)
        yield row
        if time.monotonic() - began_s >= _PROGRESS_AFTER_S:
            click.echo(f"\r{number} of {total}\x1b[K", err=True, nl=False)


def _size(size_bytes: int) -> str:
    for unit, bytes_each in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= bytes_each:
            return f"{size_bytes / bytes_each:.1f} {unit}"
    return f"{size_bytes} B"


def _junit(check_name: str, rows: list[Row]) -> str:
    cases = [
        Case(
            group=check_name,
            name=row.path,
            outcome=_OUTCOMES[row.verdict],
            message="" if row.verdict in _FINE else row.what,
            detail="" if row.verdict in _FINE else row.what,
            took_s=row.seconds,
        )
        for row in rows
    ]
    return junit_xml(f"track-replayer scan --check {check_name}", cases)
