"""The reports of the backend (manual section 4.6), pure: a history and parameters in, objects out.

``route`` lists positions, ``events`` events and ``summary`` sums positions up, each of one period
and of the devices that are asked for. Nothing here reads a clock, a file or a socket.
"""

from __future__ import annotations

from fake_server.reports.errors import ReportError
from fake_server.reports.history import History, events, route
from fake_server.reports.parameters import (
    PARAMETERS,
    Parameter,
    ReportParameters,
    read_parameters,
)
from fake_server.reports.report import KINDS, Kind, report
from fake_server.reports.spreadsheet import XLSX, xlsx
from fake_server.reports.summary import Summary, summary

__all__ = [
    "KINDS",
    "PARAMETERS",
    "XLSX",
    "History",
    "Kind",
    "Parameter",
    "ReportError",
    "ReportParameters",
    "Summary",
    "events",
    "read_parameters",
    "report",
    "route",
    "summary",
    "xlsx",
]
