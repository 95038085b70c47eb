"""`track-replayer conform`: was the protocol kept, and why did it end?"""

from __future__ import annotations

from typing import Final

import click
import msgspec

from recorder.console import out, say
from recorder.destination import destination
from recorder.exits import Exit
from recorder.track.rules_file import load_rules
from replayer.commands.terminal import make_output_safe, output_columns
from replayer.diagnosis.findings import KEPT_OF_EACH_RULE
from replayer.diagnosis.fold import diagnose
from replayer.diagnosis.model import Diagnosis
from replayer.diagnosis.page import as_builtins, cases, page
from replayer.junit import junit_xml
from replayer.reading.series import SeriesReader
from replayer.reading.words import json_text, printable

__all__ = ["conform_command"]

_WIDEST: Final = 80
"""Sentences are hard to read where lines are longer."""


@click.command("conform")
@click.argument("recordings", metavar="REC...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a page.")
@click.option("--junit", metavar="FILE", help="Also write JUnit XML, one case a rule.")
@click.option("--force", is_flag=True, help="Replace the file of --junit if it exists.")
@click.option(
    "--rules",
    "rules_file",
    metavar="FILE",
    help="The rules of this backend, a TOML file as track-fake-server takes it.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help=f"All findings; else the first {KEPT_OF_EACH_RULE} of a rule are kept, and 3 shown.",
)
def conform_command(
    recordings: tuple[str, ...],
    as_json: bool,
    junit: str | None,
    force: bool,
    rules_file: str | None,
    everything: bool,
) -> int:
    """Judge the recording REC, or the parts of a series, by the rules of the protocol: who did
    what against them and when, and why each socket ended.

    Ends with 0 if the rules were kept, 1 if not, and 2 if there is nothing to judge.
    """
    rules = None if rules_file is None else load_rules(rules_file)
    make_output_safe()
    with SeriesReader(recordings) as reader:
        keep = None if everything else KEPT_OF_EACH_RULE
        diagnosis = diagnose(reader.header, reader, rules, keep=keep)
        name = reader.name
        problems = reader.remarks
    if junit is not None:
        with destination(junit, force=force) as file:
            file.write(junit_xml(f"conform {name}", cases(diagnosis)).encode("utf-8"))
    if as_json:
        fields = {"recording": name, **as_builtins(diagnosis), "problems": problems}
        out(msgspec.json.format(json_text(fields), indent=2))
    else:
        columns = min(output_columns(), _WIDEST)
        for line in page(name, diagnosis, columns=columns, everything=everything):
            out(line)
    for problem in problems:
        say(printable(problem))
    return _exit_of(diagnosis)


def _exit_of(diagnosis: Diagnosis) -> Exit:
    if not diagnosis.decided:
        return Exit.UNDECIDED
    return Exit.OK if diagnosis.kept else Exit.DIFFERENT
