"""What REST refuses, as Jersey and Traccar word it."""

from __future__ import annotations

from typing import Final

from fake_server.exchange import reason_of
from fake_server.reports import ReportError

__all__ = ["Refusal"]

_EXCEPTIONS: Final = {
    400: "BadRequestException",
    404: "NotFoundException",
    405: "NotAllowedException",
    406: "NotAcceptableException",
    413: "ClientErrorException",
    415: "NotSupportedException",
    429: "ClientErrorException",
}
"""The exceptions of Jersey; of other statuses it is WebApplicationException."""


class Refusal(Exception):
    """A call is answered with an error, and nothing is written.

    ``rule`` is a rule of :data:`recorder.track.violations.RULES` that the call broke; ``seen`` and
    ``expected`` are the phrases of that violation. All empty where no rule was broken. ``text`` is
    the body.
    """

    def __init__(
        self,
        status: int,
        *,
        message: str = "",
        exception: str = "",
        rule: str = "",
        seen: str = "",
        expected: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        matched: bool = True,
    ) -> None:
        super().__init__(status)
        self.status = status
        self.rule = rule
        self.seen = seen
        self.expected = expected
        self.headers = headers
        self.matched = matched
        name = exception or _EXCEPTIONS.get(status, "WebApplicationException")
        words = message or f"HTTP {status} {reason_of(status)}".rstrip()
        # The backend names places in its code between the brackets.
        self.text = f"{words} - {name} (...)"

    @classmethod
    def of_report(cls, error: ReportError) -> Refusal:
        """A report that cannot be made."""
        return cls(
            error.status,
            message=str(error) if error.status == 400 else "",
            exception="IllegalArgumentException" if error.status == 400 else "",
            rule=error.rule,
            seen=error.seen,
            expected=error.expected,
        )
