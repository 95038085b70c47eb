"""The three reports by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from fake_server.reports.history import History, events, route
from fake_server.reports.parameters import ReportParameters
from fake_server.reports.summary import summary
from recorder.track.rules import Rules

__all__ = ["KINDS", "Kind", "report"]

Kind: TypeAlias = Literal["route", "events", "summary"]

_MAKERS: Final[dict[Kind, Callable[[History, ReportParameters, Rules], list[bytes]]]] = {
    "route": route,
    "events": events,
    "summary": summary,
}

KINDS: Final = tuple(_MAKERS)
"""The reports that there are: the last part of their paths."""


def report(kind: Kind, history: History, parameters: ReportParameters, rules: Rules) -> list[bytes]:
    """The rows of a report, each the JSON text of an object. Raises ReportError."""
    return _MAKERS[kind](history, parameters, rules)
