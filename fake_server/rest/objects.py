"""``/api/devices``, ``/api/beacons`` and ``/api/positions``: lists, and what clients write (manual
sections 4.1 to 4.5 and 4.7).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from fake_server.exchange import Answer, json_answer
from fake_server.reports import ReportError, ReportParameters, read_parameters, route
from fake_server.rest.queries import number, numbers
from fake_server.rest.recorded import recorded_answer
from fake_server.rest.refusals import Refusal
from fake_server.rest.shapes import created, read_object, updated, wrong_field

if TYPE_CHECKING:
    from fake_server.rest.call import Call

__all__ = ["answer_objects"]

_JSON: Final = "application/json"


def answer_objects(call: Call) -> Answer:
    """The answer of one of the methods. Raises :exc:`Refusal`."""
    match call.route.method:
        case "GET":
            return _positions(call) if call.kind == "positions" else _list(call)
        case "POST":
            return _create(call)
        case "PUT":
            return _update(call)
        case _:
            return _delete(call)


# Lists


def _list(call: Call) -> Answer:
    view, kind, query = call.view, call.kind, call.query
    if not query:
        return _json_list(view.objects(kind))
    if kind == "devices":
        _check_user(call)
    ids = numbers(query, "id", call.rules)
    unique_ids = query.get("uniqueId", []) if kind == "devices" else []
    if not ids and not unique_ids:
        return _json_list(view.objects(kind))
    found = [_known(call, one) for one in ids]
    for unique_id in unique_ids:
        devices = view.devices_of_unique_id(unique_id)
        if not devices:
            raise _unknown(call, f"uniqueId={unique_id[:40]!r}")
        found += devices
    return _json_list(found)


def _check_user(call: Call) -> None:
    for user_id in numbers(call.query, "userId", call.rules)[:1]:
        # 0 is what Jersey makes of a parameter that is left out.
        if user_id not in (0, call.rest.accounts.user_id(call.account)):
            raise Refusal(
                call.rules.status_unknown_id,
                message="User access denied",
                exception="SecurityException",
                rule="rest.unknown-id",
                seen=f"userId={user_id}",
                expected="the id of the user who is logged in",
            )


def _positions(call: Call) -> Answer:
    view, query, rules = call.view, call.query, call.rules
    if not query:
        return _json_list(view.objects("positions"))
    ids = numbers(query, "id", rules)
    # Of a parameter that is not repeatable the first counts (Jersey).
    device_id = next(iter(numbers(query, "deviceId", rules)), 0)
    if ids:
        return _json_list([_known(call, one) for one in ids])
    if device_id == 0:
        return _json_list(view.objects("positions"))
    latest = view.latest_of(device_id)
    if latest is None:
        raise _unknown(call, f"deviceId={device_id}", kind="devices")
    if not (any(query.get("from", ())) and any(query.get("to", ()))):
        return _json_list(latest)
    try:
        period = read_parameters(call.request.query, rules)
    except ReportError as error:
        raise Refusal.of_report(error) from error
    # A recording seldom holds the history that was answered.
    sight = call.rest.accounts.sight(call.account)
    recorded = recorded_answer(
        call.rest.source, "GET", call.request.target, sight, kind="positions"
    )
    if recorded is not None:
        return recorded
    parameters = ReportParameters(
        from_ns=period.from_ns, to_ns=period.to_ns, device_ids=(device_id,)
    )
    return _json_list(route(view.history, parameters, rules))


def _json_list(objects: list[bytes]) -> Answer:
    return json_answer(b"[" + b",".join(objects) + b"]")


# What clients write


def _create(call: Call) -> Answer:
    rest, kind = call.rest, call.kind
    sent = _sent_object(call)
    object_id = rest.written.new_id(call.view.highest_id(rest.source.opening))
    text = created(kind, sent, object_id)
    rest.written.put(kind, object_id, text, created=True)
    rest.accounts.created(call.account, kind, text)
    rest.on_written(kind, text)
    return json_answer(text, call.route.status(call.rules))


def _update(call: Call) -> Answer:
    rest, kind, rules = call.rest, call.kind, call.rules
    path_id = number(call.object_id, "the id in the path", rules)
    sent = _sent_object(call)
    body_id = _id_in(sent)
    if body_id != path_id:
        in_body = "no id" if body_id is None else f"id {body_id}"
        call.breach(
            "rest.mismatched-put",
            seen=f"PUT {call.route.path} of {path_id} with {in_body} in its body",
            expected="the same id in both",
        )
    # A bean's id that was not sent is 0.
    object_id = path_id if rules.put_id == "path" else body_id or 0
    known = read_object(_known(call, object_id)) or {}
    missing = [name for name in known if name not in sent and name != "id"]
    if missing:
        becomes = (
            "become null or their defaults" if rules.put_missing_field == "default" else "stay"
        )
        call.breach(
            "rest.partial-put",
            seen=f"PUT {call.route.path} without {', '.join(missing)}, which {becomes}",
            expected="the full object",
        )
    text = updated(kind, known, sent, object_id, keep_missing=rules.put_missing_field == "keep")
    rest.written.put(kind, object_id, text)
    rest.accounts.know([text] if kind == "devices" else [])
    rest.on_written(kind, text)
    return json_answer(text, call.route.status(rules))


def _delete(call: Call) -> Answer:
    object_id = number(call.object_id, "the id in the path", call.rules)
    _known(call, object_id)
    call.rest.written.delete(call.kind, object_id)
    return Answer(call.route.status(call.rules))


def _sent_object(call: Call) -> dict[str, msgspec.Raw]:
    call.require_content_type(_JSON)
    sent = read_object(call.request.body)
    if sent is None:
        empty = not call.request.body.strip()
        raise Refusal(
            400,
            message="" if empty else "Cannot deserialize the body",
            exception="BadRequestException" if empty else "JsonMappingException",
            rule="rest.bad-value",
            seen="an empty body" if empty else "a body that is no JSON object",
            expected="one object as JSON",
        )
    wrong = wrong_field(call.kind, sent)
    if wrong is not None:
        field, wanted = wrong
        raise Refusal(
            400,
            message=f"Cannot deserialize {field}",
            exception="InvalidFormatException",
            rule="rest.bad-value",
            seen=f"{field}: {bytes(sent[field])[:40].decode('utf-8', 'replace')!r}",
            expected=f"a {wanted}, or null" if wanted != "object" else "an object, or null",
        )
    return sent


_WHOLE: Final = re.compile(rb'"?(-?[0-9]{1,19})"?')


def _id_in(sent: dict[str, msgspec.Raw]) -> int | None:
    """The id in a body; also one that is text, as the backend's mapper takes it."""
    whole = _WHOLE.fullmatch(bytes(sent.get("id", b"")))
    return int(whole[1]) if whole else None


# What there is not


def _known(call: Call, object_id: int) -> bytes:
    """The object with that id. Raises :exc:`Refusal` if the account sees none."""
    text = call.view.get(call.kind, object_id)
    if text is None:
        raise _unknown(call, f"id {object_id}")
    return text


def _unknown(call: Call, seen: str, kind: str | None = None) -> Refusal:
    one = (kind or call.kind).removesuffix("s")
    return Refusal(
        call.rules.status_unknown_id,
        message=f"{one.capitalize()} access denied",
        exception="SecurityException",
        rule="rest.unknown-id",
        seen=f"{call.route.method} {call.route.path} of {seen}",
        expected=f"a {one} that there is and that the account sees",
    )
