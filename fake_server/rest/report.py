"""``/api/reports``: the recorded report of the very same GET, else one made of the history (manual
section 4.6).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, cast

from fake_server.exchange import Answer, json_answer
from fake_server.reports import PARAMETERS, XLSX, ReportError, read_parameters, report, xlsx
from fake_server.rest.recorded import recorded_answer
from fake_server.rest.refusals import Refusal
from fake_server.rest.shapes import read_object
from fake_server.sight import identity_of

if TYPE_CHECKING:
    from fake_server.rest.call import Call

__all__ = ["answer_report"]

_JSON: Final = "application/json"

_MANY_ROWS: Final = 500
"""A spreadsheet of more takes longer than others may wait for it: 0.1 ms a row and more."""

_NAMES_IN_BODY: Final = tuple(
    name for one in PARAMETERS for name in (one.name, one.body_name) if name
)

_KIND_OF_ROWS: Final = {"route": "positions", "events": "events"}


def answer_report(call: Call) -> Answer:
    """The rows as JSON, or as a spreadsheet. Raises :exc:`Refusal`."""
    method, kind = call.route.method, call.kind
    if method == "POST":
        call.require_content_type(_JSON)
    as_json = _wants_json(call)
    sight = call.rest.accounts.sight(call.account)
    recorded = None
    if method == "GET":
        # A POST says in its body what it asks for, which recorded answers are not found by.
        recorded = recorded_answer(
            call.rest.source, method, call.request.target, sight, kind=_KIND_OF_ROWS.get(kind, "")
        )
    if recorded is not None and (recorded.status >= 400 or _is_json(recorded) == as_json):
        return recorded
    given: str | bytes = call.request.body if method == "POST" else call.request.query
    try:
        parameters = read_parameters(given, call.rules)
        rows = report(cast("Any", kind), call.view.history, parameters, call.rules)
    except ReportError as error:
        raise Refusal.of_report(error) from error
    if method == "POST":
        call.check_names(read_object(call.request.body) or {}, _NAMES_IN_BODY)
    if as_json:
        return json_answer(b"[" + b",".join(rows) + b"]")
    headers = (
        ("Content-Type", XLSX),
        ("Content-Disposition", "attachment; filename=report.xlsx"),
    )
    devices = map(identity_of, call.view.objects("devices"))
    names = {one.id: one.name for one in devices if isinstance(one.name, str)}
    make = functools.partial(xlsx, cast("Any", kind), rows, names)
    if len(rows) > _MANY_ROWS:
        return Answer(200, b"", headers, make)
    return Answer(200, make(), headers)


def _is_json(answer: Answer) -> bool:
    return all(value.partition(";")[0].strip() != XLSX for _, value in answer.headers)


def _wants_json(call: Call) -> bool:
    """Whether the rows are JSON. Who accepts neither that nor the spreadsheet broke a rule."""
    accepted = {
        part.partition(";")[0].strip().lower() for part in call.request.header("accept").split(",")
    }
    if _JSON in accepted:
        return True
    if XLSX not in accepted:
        shown = call.request.header("accept")[:40]
        call.breach(
            "report.no-accept",
            seen=f"a report with Accept: {shown}" if shown else "a report without Accept",
            expected=f"Accept: {_JSON}",
        )
    return call.rules.report_without_accept == "json" and XLSX not in accepted
