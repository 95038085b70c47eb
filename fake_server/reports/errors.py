"""What a report refuses."""

from __future__ import annotations

from typing import Self

from recorder.track.rules import Rules

__all__ = ["ReportError"]


class ReportError(Exception):
    """A report cannot be made of what was asked.

    ``rule`` is one of :data:`recorder.track.violations.RULES`, ``status`` the HTTP status of the
    answer; ``seen`` and ``expected`` are phrases, as a violation has them.
    """

    def __init__(self, rule: str, status: int, *, seen: str, expected: str) -> None:
        super().__init__(f"{seen}; expected {expected}")
        self.rule = rule
        self.status = status
        self.seen = seen
        self.expected = expected

    @classmethod
    def bad_value(cls, name: str, read: object, expected: str, *, status: int = 400) -> Self:
        """A parameter whose value cannot be; at most 60 characters of it are shown."""
        shown = repr(read)
        shown = shown if len(shown) <= 60 else shown[:59] + "…"
        return cls("rest.bad-value", status, seen=f"{name}={shown}", expected=expected)

    @classmethod
    def missing(cls, name: str, expected: str) -> Self:
        """A parameter that a report cannot do without."""
        return cls("rest.bad-value", 400, seen=f"a report without {name}", expected=expected)

    @classmethod
    def unknown_device(cls, device_id: int, rules: Rules) -> Self:
        """A device that there is not, or that the account does not see; nobody is told which."""
        return cls(
            "rest.unknown-id",
            rules.status_unknown_id,
            seen=f"deviceId={device_id}",
            expected="the id of a device that there is and that the account sees",
        )
