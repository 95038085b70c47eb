"""What it means that an exchange came to no answer."""

from __future__ import annotations

from recorder.doctor.exchange import Lost
from recorder.doctor.results import Result, Step, fail
from recorder.doctor.visit import ANSWER_S, Visit
from recorder.exits import Exit

__all__ = ["lost"]


def lost(visit: Visit, step: Step, error: Lost, exit_code: Exit | None = None) -> Result:
    """The result of a step whose exchange came to no answer."""
    seen, means, do = _said(visit, error)
    return fail(step, seen, means=means, do=do, exit_code=exit_code)


def _said(visit: Visit, error: Lost) -> tuple[str, str, str]:
    why = f": {visit.journal.shown(error.why)}" if error.why else ""
    again = "Try again; if it stays so, look into the logs of the backend and of what is before it."
    match error.how:
        case "timeout":
            return (
                f"no answer within {ANSWER_S:g} s",
                "The connection stands, but nothing comes: the backend hangs, or something in"
                " between swallows what is sent.",
                again,
            )
        case "refused":
            return (
                f"a further connection failed{why}",
                "The first connection was taken, this one was not: the server restarts, or"
                " something in between limits connections.",
                again,
            )
        case "too long":
            return (
                "an answer of more than 64 MiB",
                "This is no answer of a Track backend.",
                "Check the URL.",
            )
        case "no http":
            text = error.received.decode("ascii", "replace")
            return (
                f"the answer is no HTTP: {visit.journal.shown(text)!r}",
                "Something else listens at this port.",
                "Check the port in the URL.",
            )
        case _:
            cut = "the connection was reset" if error.how == "reset" else "the server hung up"
            if "CERTIFICATE_REQUIRED" in error.why.upper():
                return (
                    f"{cut}{why}",
                    "The server wants a certificate of the client.",
                    "Use an address without that; tracktape has no client certificates.",
                )
            where = "in the middle of an answer" if error.received else "without an answer"
            return (
                f"{cut} {where}{why}",
                "A proxy or firewall in between cuts the connection, or the backend crashed on"
                " the request.",
                again,
            )
