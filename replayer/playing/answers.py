"""What REST answered in a recording, and how an answer is found again. Pure."""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

import msgspec

from recorder.model import AnyEntry, Body, Headers, Request, Response
from recorder.redaction.codings import codings_of, decoded
from recorder.wire.handshake import header_value

__all__ = ["ExchangeKey", "Exchanges", "RecordedAnswer", "elements_of", "exchange_key"]

ExchangeKey: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...]]
"""Method, path and sorted query: what a recorded answer is found by."""


class RecordedAnswer(msgspec.Struct, frozen=True):
    """A REST answer as recorded: status, head, body in its content encoding."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class _Exchange(msgspec.Struct):
    """One recorded HTTP exchange while it is read."""

    request: Request | None = None
    response: Response | None = None
    body: list[bytes] = []
    whole: bool = True
    """Whether the last piece of the body came, if any did."""


class Exchanges:
    """The exchanges of a recording, gathered entry by entry; held in memory with their bodies."""

    def __init__(self) -> None:
        self._exchanges: dict[tuple[int, int], _Exchange] = {}

    def take(self, entry: AnyEntry) -> None:
        """The next entry; what is of no exchange changes nothing."""
        match entry:
            case Request():
                self._of(entry).request = entry
            case Response():
                self._of(entry).response = entry
            case Body(sender="server"):
                exchange = self._of(entry)
                exchange.body.append(entry.data)
                exchange.whole = entry.last
            case _:
                pass

    def answers(self) -> dict[ExchangeKey, RecordedAnswer]:
        """What was answered to each request; the first answer, where one was repeated, but one that
        tells of a failure gives way to one that does not.

        Not that a login was missing, nor that the client had it already, nor a part of it: none is
        for another client. Nor what came only in part.
        """
        answers: dict[ExchangeKey, RecordedAnswer] = {}
        for exchange in self._exchanges.values():
            request, response = exchange.request, exchange.response
            if request is None or response is None or not exchange.whole:
                continue
            if response.status < 200 or response.status in (206, 304, 401):
                continue
            key = exchange_key(request.method, request.target)
            before = answers.get(key)
            if before is None or before.status >= 500 > response.status:
                headers = _for_any_host(request, response)
                answers[key] = RecordedAnswer(response.status, headers, b"".join(exchange.body))
        return answers

    def _of(self, entry: Request | Response | Body) -> _Exchange:
        key = entry.connection, entry.exchange
        exchange = self._exchanges.get(key)
        if exchange is None:
            exchange = self._exchanges[key] = _Exchange()
        return exchange


def exchange_key(method: str, target: str) -> ExchangeKey:
    """What an answer to this request is found by."""
    path, _, query = target.partition("?")
    return method.upper(), path, tuple(sorted(parse_qsl(query, keep_blank_values=True)))


def elements_of(answer: RecordedAnswer) -> list[bytes]:
    """The objects in the list that was answered; none if it cannot be read."""
    codings = codings_of(header_value(answer.headers, "Content-Encoding") or "")
    undone = decoded(answer.body, codings)
    if undone is None:
        return []
    try:
        return [
            bytes(element) for element in msgspec.json.decode(undone[0], type=list[msgspec.Raw])
        ]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def _for_any_host(request: Request, response: Response) -> Headers:
    """The response's headers; a redirection to the very server that was asked names none."""
    host = (header_value(request.headers, "Host") or "").lower()
    return [
        (name, _without_host(value, host) if name.lower() == "location" else value)
        for name, value in response.headers
    ]


def _without_host(location: str, host: str) -> str:
    try:
        parts = urlsplit(location)
    except ValueError:
        return location
    if not host or parts.netloc.lower() != host:
        return location
    return parts._replace(scheme="", netloc="", path=parts.path or "/").geturl()
