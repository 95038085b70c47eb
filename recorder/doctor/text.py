"""A result as lines for a person. Pure."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from recorder.doctor.results import Outcome, Result, exit_code_of

__all__ = ["line_of_skipped", "lines_of", "verdict"]

_MARKS: Final[dict[Outcome, str]] = {"ok": "ok", "warn": "warn", "fail": "FAIL", "skipped": "skip"}

_INDENT: Final = 14


def lines_of(result: Result, width: int) -> list[str]:
    """The mark, the step and what was seen; then what it means and what to do, if anything.

    >>> for line in lines_of(Result(step="dns", outcome="ok", seen=("a", "b"), means="c"), 80):
    ...     print(line)
    ok    dns     a
                  b
                  means: c
    """
    texts = [*result.seen]
    texts += [f"means: {result.means}"] if result.means else []
    texts += [f"do:    {result.do}"] if result.do else []
    lines = [
        line
        for text in texts
        for line in textwrap.wrap(
            text,
            max(width - _INDENT, 20),
            subsequent_indent="       " if text.startswith(("means: ", "do:    ")) else "  ",
            break_on_hyphens=False,
        )
    ]
    head = f"{_MARKS[result.outcome]:<5} {result.step}"
    first, *rest = lines or [""]
    return [f"{head:<{_INDENT}}{first}".rstrip(), *(" " * _INDENT + line for line in rest)]


def line_of_skipped(results: Sequence[Result]) -> str:
    """Steps in a row that were skipped for one reason, in one line."""
    steps = ", ".join(one.step for one in results)
    if len(results) > 2:
        steps = f"{results[0].step} to {results[-1].step}"
    return f"{_MARKS['skipped']:<5} {steps}: {results[0].seen[0]}"


def verdict(results: Iterable[Result]) -> str:
    """All of it in one line."""
    results = list(results)
    counts = Counter(one.outcome for one in results)
    words: dict[Outcome, str] = {"ok": "ok", "warn": "warn", "skipped": "skipped"}
    counted = ", ".join(f"{counts[key]} {word}" for key, word in words.items() if counts[key])
    failed = [one.step for one in results if one.outcome == "fail"]
    if failed:
        return f"failed: {', '.join(failed)} ({counted}; exit code {exit_code_of(results):d})"
    return f"nothing failed: {counted}"
