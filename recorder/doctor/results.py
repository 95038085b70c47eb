"""What a step of the doctor found: frozen results, and the exit code that they come to. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

import msgspec

from recorder.exits import Exit

__all__ = ["STEPS", "Outcome", "Result", "Step", "exit_code_of", "fail", "ok", "skipped", "warn"]

Step = Literal[
    "url",
    "dns",
    "tcp",
    "tls",
    "http",
    "login",
    "cookie",
    "rest",
    "upgrade",
    "push",
    "ping",
    "close",
]
STEPS: Final[tuple[Step, ...]] = get_args(Step)
"""The steps in the order in which they are done."""

Outcome = Literal["ok", "warn", "fail", "skipped"]

_EXIT_OF: Final[dict[Step, Exit]] = {
    "url": Exit.USAGE,
    "dns": Exit.UNREACHABLE,
    "tcp": Exit.UNREACHABLE,
    "tls": Exit.UNREACHABLE,
    "http": Exit.UNREACHABLE,
    "login": Exit.LOGIN_REFUSED,
    "cookie": Exit.LOGIN_REFUSED,
    "rest": Exit.DIFFERENT,
    "upgrade": Exit.HANDSHAKE_REFUSED,
    "push": Exit.CONNECTION_LOST,
    "ping": Exit.CONNECTION_LOST,
    "close": Exit.CONNECTION_LOST,
}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One step: ``seen`` is a line a fact, ``means`` and ``do`` a sentence or two, or empty.

    Nothing in it is secret. ``exit_code`` is OK unless the step failed.
    """

    step: Step
    outcome: Outcome
    seen: tuple[str, ...]
    means: str = ""
    do: str = ""
    exit_code: Exit = Exit.OK


def ok(step: Step, *seen: str, means: str = "") -> Result:
    """The step found what it should."""
    return Result(step=step, outcome="ok", seen=seen, means=means)


def warn(step: Step, *seen: str, means: str, do: str) -> Result:
    """The step found something odd that need not hinder."""
    return Result(step=step, outcome="warn", seen=seen, means=means, do=do)


def fail(step: Step, *seen: str, means: str, do: str, exit_code: Exit | None = None) -> Result:
    """The step failed; its exit code is the step's own unless one is given."""
    return Result(
        step=step,
        outcome="fail",
        seen=seen,
        means=means,
        do=do,
        exit_code=_EXIT_OF[step] if exit_code is None else exit_code,
    )


def skipped(step: Step, why: str) -> Result:
    """The step was not done."""
    return Result(step=step, outcome="skipped", seen=(why,))


def exit_code_of(results: Iterable[Result]) -> Exit:
    """That of the first step that failed, else OK."""
    return next((one.exit_code for one in results if one.outcome == "fail"), Exit.OK)
