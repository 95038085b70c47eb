"""Answers that stand in the recording."""

from __future__ import annotations

from typing import Final

from fake_server.exchange import Answer, Headers
from fake_server.sight import Sight
from recorder.backend import API_PATH
from recorder.redaction.codings import codings_of, decoded
from recorder.track.kinds import read_message
from recorder.wire.handshake import header_value
from replayer.playing.script import Source

__all__ = ["recorded_answer"]

_KEPT_HEADERS: Final = ("Content-Type", "Content-Encoding", "Content-Disposition", "Location")


def recorded_answer(
    source: Source, method: str, target: str, sight: Sight, *, kind: str = ""
) -> Answer | None:
    """What was answered to the same method, path and sorted query, or None.

    Who may see everything gets it byte for byte. For others the objects that they may not see are
    taken out; ``kind`` is that of the objects in a list, or of the one object. None for them is an
    object that they may not see, and what the API answered that cannot be looked into: a body whose
    coding cannot be undone, or one that is no JSON, as a spreadsheet.
    """
    answer = source.answer(method, target)
    if answer is None:
        return None
    headers: Headers = tuple(
        (name, value)
        for name in _KEPT_HEADERS
        if (value := header_value(answer.headers, name)) is not None
    )
    if sight.everything:
        return Answer(answer.status, answer.body, headers)
    codings = codings_of(header_value(answer.headers, "Content-Encoding") or "")
    undone = decoded(answer.body, codings)
    if undone is None:
        return None
    is_of_api = f"{API_PATH}/" in target.partition("?")[0]
    if is_of_api and any(part.kind == "unparsed" for part in read_message(undone[0])):
        return None
    body = sight.filtered(undone[0], kind=kind)
    if body is None:
        if not undone[0].lstrip().startswith(b"["):
            return None
        body = b"[]"
    return Answer(
        answer.status, body, tuple(pair for pair in headers if pair[0] != "Content-Encoding")
    )
