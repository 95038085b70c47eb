"""What a check writes down and what it may show: the recording of it, and its secrets."""

from __future__ import annotations

from typing import Final

import trio

from recorder.connection_observer import ConnectionObserver
from recorder.doctor.results import Result
from recorder.login import Exchanges
from recorder.model import Open, Sender
from recorder.redaction import Redactor
from recorder.sink import Sink
from recorder.tap import Direction, TapStream

__all__ = ["Journal", "RecordedStream"]

_LITERAL_CHARACTERS: Final = 4
"""A secret at least this long is taken out of what a server said, wherever it stands."""


class Journal:
    """Knows the check's secrets, and records if there is a ``sink``, which stays the caller's."""

    def __init__(self, sink: Sink | None = None) -> None:
        self._sink = sink
        self._redactor = Redactor("secrets")
        self._secrets: set[str] = set()
        self._numbers = Exchanges()

    def learn(self, rule: str, value: str) -> None:
        """``value`` is secret, a ``password``, ``email`` or ``cookie``, and is never shown."""
        if len(value) >= _LITERAL_CHARACTERS:
            self._secrets.add(value)
        self._redactor.learn(rule, value)
        if self._sink is not None:
            self._sink.redactor.learn(rule, value)

    def shown(self, text: str, characters: int = 120) -> str:
        """What a server said, fit for a terminal: one line of at most so many characters, none of
        them control characters, nothing secret.
        """
        text = self._redactor.text(text[: 16 * 1024])
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "[redacted]")
        text = "".join(character if character.isprintable() else " " for character in text)
        text = " ".join(text.split())
        return text if len(text) <= characters else f"{text[:characters]}…"

    def note(self, result: Result) -> None:
        """Write a step's result into the recording."""
        if self._sink is not None:
            # Not "cookie: …", which would be taken for a header field and masked.
            lines = [f"check, step {result.step}, {result.outcome}", *result.seen]
            lines += [text for text in (result.means, result.do) if text]
            self._sink.note("\n".join(lines))

    def record(self, stream: trio.abc.Stream, *, url: str, tls: str | None) -> RecordedStream:
        """The stream, recorded from now on; closing what is returned closes it."""
        return RecordedStream(stream, self._sink, self._numbers, url=url, tls=tls)


class RecordedStream(TapStream):
    """A stream whose bytes become entries, up to how it ended."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        sink: Sink | None,
        numbers: Exchanges,
        *,
        url: str,
        tls: str | None,
    ) -> None:
        super().__init__(stream, self._record)
        self._sink = sink
        self._ended = False
        self._closed = False
        if sink is not None:
            number = numbers.connection()
            self._observer = ConnectionObserver(number, numbers.exchange)
            sink.write(
                [Open(connection=number, leg="upstream", url=url, tls=tls, offset_ns=sink.now_ns())]
            )

    def _record(self, direction: Direction, data: bytes) -> None:
        self._ended = self._ended or (direction == "received" and not data)
        if self._sink is not None:
            sender: Sender = "client" if direction == "sent" else "server"
            self._sink.write(self._observer.received(sender, data, self._sink.now_ns()))

    async def aclose(self) -> None:
        """Close it, without waiting for the peer: what was to be said was said."""
        if self._sink is not None and not self._closed:
            self._closed = True
            by_server = self._ended or self.broken
            self._sink.write(
                self._observer.closed(
                    "server" if by_server else "recorder",
                    "reset" if self.broken else "eof" if by_server else "stopped",
                    self._sink.now_ns(),
                )
            )
        await trio.aclose_forcefully(self._stream)
