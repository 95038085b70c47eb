"""`track-recorder leaks`: whether a recording holds what should not leave the house."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal

import click
import msgspec

from recorder.console import out, say
from recorder.credentials import read_user_file
from recorder.exits import Exit
from recorder.leaks import (
    NOT_LOOKED_INTO,
    Finding,
    KnownValue,
    Look,
    Patterns,
    Values,
    how_read,
    values_of_environment,
)
from recorder.leaks.values import read_lines

__all__ = ["leaks_command"]

_FILE: Final = click.Path(path_type=Path)


@click.command("leaks")
@click.argument("files", metavar="REC...", nargs=-1, required=True)
@click.option(
    "--profile",
    type=click.Choice(["secrets", "share"]),
    help="What to judge by; else what the recording says it was redacted with.",
)
@click.option(
    "--user-file",
    metavar="FILE",
    type=_FILE,
    help="Look for the accounts in FILE (EMAIL=… and PASSWORD=…).",
)
@click.option(
    "--value-file",
    metavar="FILE",
    type=_FILE,
    help="Look for the values in FILE, one a line.",
)
@click.option(
    "--environment/--no-environment",
    default=True,
    show_default=True,
    help="Look for the values of variables such as *PASSWORD*, *TOKEN* and TRACK_*.",
)
@click.option(
    "--allow",
    metavar="FILE",
    type=_FILE,
    help="Values that are harmless, one a line; * stands for anything.",
)
@click.option(
    "--most",
    metavar="N",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Show N findings of each file; all are counted.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def leaks_command(
    files: tuple[str, ...],
    profile: Literal["secrets", "share"] | None,
    user_file: Path | None,
    value_file: Path | None,
    environment: bool,
    allow: Path | None,
    most: int,
    as_json: bool,
) -> int:
    """Look for what should not be in the recordings REC, or in any other text, such as a HAR or a
    log. Ends with 1 if anything is found.

    Values are never shown: a finding says where it stands, two characters and the length.
    """
    values = _values(user_file, value_file, environment=environment)
    patterns = read_lines(allow, what="file of allowed values") if allow is not None else []
    allowed = Patterns(pattern for _, pattern in patterns)
    if not as_json:
        _say_values(values)
    found = 0
    for file in files:
        look = Look(file, values, profile=profile, allowed=allowed)
        for number, finding in enumerate(look.findings(), 1):
            if number <= most:
                out(_json(look, finding) if as_json else _line(look, finding))
        found += look.counts.total()
        out(_json_summary(look, values) if as_json else _summary(look, most))
        if look.passed_over and not as_json:
            out(f"{look.name}: not looked into: {_passed_over(look)}")
    return Exit.DIFFERENT if found else Exit.OK


def _values(user_file: Path | None, value_file: Path | None, *, environment: bool) -> Values:
    known, left_out = values_of_environment(os.environ) if environment else ([], [])
    if user_file is not None:
        for number, account in enumerate(read_user_file(user_file), 1):
            name = f"account {number} in {user_file}"
            known.append(KnownValue(f"the email of {name}", account.email))
            known.append(KnownValue(f"the password of {name}", account.password))
    if value_file is not None:
        known += [
            KnownValue(f"{value_file}:{number}", value)
            for number, value in read_lines(value_file, what="file of values")
        ]
    values = Values(known)
    values.left_out[:0] = left_out
    return values


def _say_values(values: Values) -> None:
    if values.names:
        say(f"looking for the values of {_listed(values.names)}")
    for left_out in values.left_out:
        say(f"not looking for the value of {left_out.name}: {left_out.why}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _line(look: Look, finding: Finding) -> str:
    lines = f"{finding.line}"
    if finding.last_line != finding.line:
        lines += f"-{finding.last_line}"
    where = finding.kind
    if finding.seq is not None:
        where += f" seq {finding.seq}"
    if finding.connection is not None:
        where += f" connection {finding.connection}"
    found = f"{finding.what}, {finding.excerpt}"
    if finding.detector == NOT_LOOKED_INTO:
        found = finding.what
    if finding.undone:
        found += f", {how_read(finding.undone)}"
    if finding.place != "line":
        found += f"; in {finding.place} of {where}"
    return f"{look.name}:{lines}: {finding.detector}: {found}"


def _summary(look: Look, most: int) -> str:
    looked = f"{look.lines} lines, {look.size_bytes} bytes, profile {look.profile}"
    if look.damaged_lines:
        looked += f", {look.damaged_lines} of them damaged or torn"
    if not look.is_recording:
        looked += ", read as text: it is no recording"
    total = look.counts.total()
    if not total:
        return f"{look.name}: clean ({looked})"
    counts = ", ".join(f"{count} {detector}" for detector, count in look.counts.most_common())
    more = f", the first {most} shown" if total > most else ""
    return f"{look.name}: {total} found{more}: {counts} ({looked})"


def _passed_over(look: Look) -> str:
    counts = sorted(look.passed_over.items())
    return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts)


def _json(look: Look, finding: Finding) -> str:
    return _encoded({"file": look.name, **msgspec.structs.asdict(finding)})


def _json_summary(look: Look, values: Values) -> str:
    return _encoded(
        {
            "file": look.name,
            "found": look.counts.total(),
            "counts": dict(look.counts),
            "passed_over": dict(look.passed_over),
            "is_recording": look.is_recording,
            "profile": look.profile,
            "lines": look.lines,
            "damaged_lines": look.damaged_lines,
            "size_bytes": look.size_bytes,
            "looked_for": values.names,
            "left_out": [one._asdict() for one in values.left_out],
        }
    )


def _encoded(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode("utf-8")
