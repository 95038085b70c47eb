"""The header of an edited recording: a new id, and what was done to which recordings. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec

from recorder.errors import RecordingError
from recorder.model import Fidelity, Header, Redaction
from recorder.sink import wall_clock_ns, wall_clock_text
from replayer.editing.steps import EDITED_KEY, steps_of

__all__ = ["edited_header", "moved_start", "origin_of", "started_ns", "weakest"]

_FIDELITIES: Final[tuple[Fidelity, ...]] = ("text", "messages", "wire")
_PROFILES: Final = ("none", "secrets", "share")


class _Recording(msgspec.Struct):
    id: str


class _Step(msgspec.Struct):
    recordings: list[_Recording]


def edited_header(
    headers: Sequence[Header],
    verb: str,
    details: Mapping[str, Any],
    *,
    started_at: str | None = None,
) -> Header:
    """The header of what ``verb`` makes of the recordings with these headers.

    It claims no more than the weakest of them: see :func:`weakest`. Of what they say otherwise, the
    first that says something wins; an ``upstream`` only if it is that of all.
    """
    first = headers[0]
    step = {
        "verb": verb,
        "tool": f"tracktape {version('tracktape')}",
        "recordings": [_recording(header, alone=len(headers) == 1) for header in headers],
        **details,
    }
    before = steps_of(first) if len(headers) == 1 else []
    meta: dict[str, msgspec.Raw] = {}
    extra: dict[str, msgspec.Raw] = {}
    for header in reversed(headers):
        meta |= header.meta
        extra |= header.extra
    meta[EDITED_KEY] = msgspec.Raw(msgspec.json.encode([*before, step]))
    upstreams = {header.upstream for header in headers}
    return msgspec.structs.replace(
        first,
        id=str(uuid.uuid4()),
        started_at=first.started_at if started_at is None else started_at,
        tool=f"tracktape {version('tracktape')}",
        mode="edit",
        upstream=first.upstream if len(upstreams) == 1 else None,
        fidelity=min((header.fidelity for header in headers), key=_FIDELITIES.index),
        redaction=weakest([header.redaction for header in headers]),
        series=None,
        meta=meta,
        extra=extra,
    )


def weakest(redactions: Sequence[Redaction]) -> Redaction:
    """What can be claimed of a recording in which these stand together: the profile that takes out
    least, and a key only where all have it. A profile that nobody here knows counts as ``none``.
    """
    extra: dict[str, msgspec.Raw] = {}
    for redaction in reversed(redactions):
        extra |= redaction.extra
    if len({(one.profile, one.key_id) for one in redactions}) == 1:
        return msgspec.structs.replace(redactions[0], extra=extra)
    profiles = {one.profile for one in redactions}
    profile = redactions[0].profile
    if len(profiles) > 1:
        profile = min(profiles, key=lambda one: _PROFILES.index(one) if one in _PROFILES else 0)
        profile = profile if profile in _PROFILES else "none"
    keys = {one.key_id for one in redactions}
    return Redaction(profile=profile, key_id=keys.pop() if len(keys) == 1 else None, extra=extra)


def started_ns(header: Header, name: str) -> int:
    """When it began, nanoseconds since 1970. Raises RecordingError if that cannot be read."""
    try:
        return wall_clock_ns(header.started_at)
    except ValueError as exc:
        raise RecordingError(
            f"{name}: its started_at cannot be read: expected the like of"
            f" 2026-11-22T17:00:00.123456789Z; its place in time cannot be told"
        ) from exc


def moved_start(header: Header, by_ns: int, name: str) -> str:
    """The header's ``started_at`` so much later. Raises RecordingError if it cannot be read, or if
    that is no date.
    """
    if by_ns == 0:
        return header.started_at
    try:
        return wall_clock_text(started_ns(header, name) + by_ns)
    except (ValueError, OverflowError, OSError) as exc:
        raise RecordingError(
            f"{name}: its start would leave the years 1 to 9999; choose another moment"
        ) from exc


def origin_of(header: Header) -> str:
    """The id of the recording whose numbers of connections this one has: its own, or of what edits
    made of one recording, that one's.
    """
    origin = header.id
    for step in reversed(steps_of(header)):
        try:
            recordings = msgspec.json.decode(step, type=_Step).recordings
        except (ValueError, RecursionError):
            break
        if len(recordings) != 1:
            break
        origin = recordings[0].id
    return origin


def _recording(header: Header, *, alone: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"id": header.id, "mode": header.mode}
    if not alone:
        said |= {"started_at": header.started_at, "fidelity": header.fidelity}
        said["redaction"] = {
            "profile": header.redaction.profile,
            "key_id": header.redaction.key_id,
        }
        if EDITED_KEY in header.meta:
            said[EDITED_KEY] = header.meta[EDITED_KEY]
    return said
