"""What a recorded REST call shows of the client and of the server: told from the request, and from
how the server answered it (manual sections 2 and 4).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from recorder.backend import API_PATH
from recorder.track.rules import Rules
from recorder.track.violations import RULES
from recorder.wire.handshake import header_value
from replayer.reading.calls import Call

__all__ = ["LISTS", "answered_kind", "endpoint_of", "judge_call"]

LISTS: Final = frozenset({"devices", "beacons", "positions"})
"""The endpoints that hold objects (manual sections 4.2 to 4.5)."""

_REPORT: Final = frozenset(
    {
        *("deviceId", "groupId", "trackableId", "queryId", "from", "to", "type"),
        *("filterSameLocation", "filterFlapping", "filterNonBeacon", "filterDurationMin"),
        *("gapTime", "useServerTime", "includeNoRssiFilterDevices"),
    }
)
_PARAMETERS: Final[dict[str, frozenset[str]]] = {
    "devices": frozenset({"id", "uniqueId", "all", "userId"}),
    "beacons": frozenset({"id"}),
    "positions": frozenset({"id", "deviceId", "from", "to"}),
    "reports/route": _REPORT,
    "reports/events": _REPORT,
    "reports/summary": _REPORT,
}
"""What the query of a GET may hold: manual section 4, Traccar lineage, seen in clients."""

_IDS: Final = frozenset({"id", "deviceId", "userId", "groupId"})
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
_NAMED_RULE: Final = re.compile(r"\[([a-z]+\.[a-z-]+)\]")
_SPREADSHEET: Final = "spreadsheet"
_EXCERPT: Final = 100
_SEARCHED: Final = 4096

_read_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def endpoint_of(target: str) -> tuple[str, str]:
    """What a request asks for below the API's path, as ``reports/route``, and the id behind it;
    both empty where it is not of the API."""
    path = target.partition("?")[0].partition(";")[0].rstrip("/")
    _, found, below = path.partition(f"{API_PATH}/")
    if not found:
        return "", ""
    name, _, one = below.partition("/")
    return (name, one) if name in LISTS else (below, "")


def answered_kind(call: Call) -> str | None:
    """Which objects the call was answered with; None for none that joins look up."""
    name, _ = endpoint_of(call.request.target)
    is_answer = call.response is not None and call.response.status // 100 == 2
    kind = "positions" if name == "reports/route" else name
    return kind if is_answer and kind in LISTS else None


def judge_call(call: Call, rules: Rules) -> dict[str, str]:
    """Each rule of REST that an answered call breaks, with what was seen. Logins and sessions are
    judged elsewhere."""
    found: dict[str, str] = {}
    for rule, seen in _broken(call, rules):
        found.setdefault(rule, seen)
    return found


def _broken(call: Call, rules: Rules) -> Iterator[tuple[str, str]]:
    name, one = endpoint_of(call.request.target)
    if not name or call.response is None or name == "socket":
        return
    method = "GET" if call.request.method == "HEAD" else call.request.method
    asked = f"{method} {API_PATH}/{name}{'/{id}' if one else ''}"
    status = call.response.status
    if name == "session":
        if status >= 500:
            yield "http.server-error", f"{asked} was answered {status}"
        return
    query = parse_qsl(call.request.target.partition("?")[2], keep_blank_values=True)
    if method == "GET" and not one and status != rules.status_rest_no_session:
        yield from _parameters(asked, name, query, rules)
    if method == "PUT" and one and status < 500:
        yield from _mismatch(call, asked, one)
    if status >= 400:
        found = _refused(call, asked, name, one, query, rules)
        if found is not None:
            yield found
    elif method == "PUT" and one and status == rules.status_updated:
        yield from _left_out(call, asked)
    elif name.startswith("reports/") and _is_spreadsheet(call):
        accepted = header_value(call.request.headers, "Accept") or ""
        if _SPREADSHEET not in accepted and "application/json" not in accepted:
            what = f"{asked} without Accept: application/json was answered with a spreadsheet"
            yield "report.no-accept", what


def _parameters(
    asked: str, name: str, query: list[tuple[str, str]], rules: Rules
) -> Iterator[tuple[str, str]]:
    known = _PARAMETERS.get(name)
    if known is None:
        return
    unknown = {one for one, _ in query} - known - set(rules.tolerated_parameters)
    if unknown:
        shown = ", ".join(repr(one[:40]) for one in sorted(unknown)[:5])
        yield "rest.unknown-parameter", f"{asked} with {shown}"


def _mismatch(call: Call, asked: str, one: str) -> Iterator[tuple[str, str]]:
    sent = _object(call.request_body)
    if sent is None or not _WHOLE.fullmatch(one):
        return
    in_body = bytes(sent.get("id", b"")).decode("utf-8", "replace").strip('"')
    if not in_body:
        yield "rest.mismatched-put", f"{asked}, of {one}, with no id in its body"
    elif not _WHOLE.fullmatch(in_body) or int(in_body) != int(one):
        yield "rest.mismatched-put", f"{asked}, of {one}, with id {in_body[:20]} in its body"


def _left_out(call: Call, asked: str) -> Iterator[tuple[str, str]]:
    """The answer is the whole object: what it has and the request had not was lost, or kept."""
    sent, became = _object(call.request_body), _object(call.response_body)
    if sent is None or became is None:
        return
    left_out = [name for name in became if name not in sent and name != "id"]
    if left_out:
        shown = ", ".join(left_out[:8])
        yield "rest.partial-put", f"{asked} without {shown}"


def _refused(
    call: Call,
    asked: str,
    name: str,
    one: str,
    query: list[tuple[str, str]],
    rules: Rules,
) -> tuple[str, str] | None:
    assert call.response is not None
    status = call.response.status
    # Of what is not known the body is not shown: who knows what an error of it repeats.
    text = _text(call) if name in _PARAMETERS else ""
    seen = f"{asked} was answered {status}" + (f': "{text}"' if text else "")
    # A strict fake names the rule.
    named = _NAMED_RULE.search((call.response_body or b"")[:_SEARCHED].decode("utf-8", "replace"))
    if named is not None and named[1] in RULES:
        return None if named[1].startswith("session.") else (named[1], seen)
    if status >= 500:
        return "http.server-error", seen
    if status == 405:
        return "rest.wrong-method", seen
    if status == 406 and name.startswith("reports/"):
        return "report.no-accept", seen
    if status == 415:
        return "rest.bad-value", seen
    ids = [value for key, value in query if key in _IDS] + ([one] if one else [])
    bad = [value for value in ids if not _WHOLE.fullmatch(value)]
    if bad and status in (400, rules.status_bad_id):
        return "rest.bad-value", f"{asked} with {bad[0][:40]!r} for an id was answered {status}"
    if "access denied" in text and status == rules.status_unknown_id:
        return "rest.unknown-id", seen
    if status == 404:
        return ("rest.unknown-id" if one else "rest.not-recorded"), seen
    return ("rest.bad-value", seen) if status == 400 else None


def _text(call: Call) -> str:
    """What the server said, as far as it is to be shown: one line."""
    text = (call.response_body or b"")[:_SEARCHED].decode("utf-8", "replace")
    line = " ".join(text.split())
    if line.startswith("<"):
        return ""
    return line if len(line) <= _EXCERPT else line[:_EXCERPT] + "…"


def _object(body: bytes | None) -> dict[str, msgspec.Raw] | None:
    if not body:
        return None
    try:
        found: dict[str, msgspec.Raw] = _read_object(body)
    except (ValueError, RecursionError):
        return None
    return found


def _is_spreadsheet(call: Call) -> bool:
    assert call.response is not None
    return _SPREADSHEET in (header_value(call.response.headers, "Content-Type") or "")
