"""The whole check: the steps in their order, until one fails or the time is over."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from recorder.credentials import Credentials
from recorder.doctor.http import http_step
from recorder.doctor.journal import Journal
from recorder.doctor.live import close_step, ping_step, push_step
from recorder.doctor.login import cookie_step, login_step, rest_step
from recorder.doctor.reach import dns_step, tcp_step, url_step
from recorder.doctor.results import STEPS, Result, Step, fail, skipped
from recorder.doctor.surroundings import Surroundings
from recorder.doctor.tls import tls_step
from recorder.doctor.upgrade import upgrade_step
from recorder.doctor.visit import CheckOptions, Visit
from recorder.sink import Sink

__all__ = ["check"]

_STEPS: Final[dict[Step, Callable[[Visit], Awaitable[Result]]]] = {
    "url": url_step,
    "dns": dns_step,
    "tcp": tcp_step,
    "tls": tls_step,
    "http": http_step,
    "login": login_step,
    "cookie": cookie_step,
    "rest": rest_step,
    "upgrade": upgrade_step,
    "push": push_step,
    "ping": ping_step,
    "close": close_step,
}

_MAY_FAIL: Final[tuple[Step, ...]] = ("rest",)
"""What later steps do not stand on."""

_BESIDE_THE_WAIT_S: Final = 60.0


async def check(
    url: str,
    credentials: Credentials | None = None,
    options: CheckOptions | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    surroundings: Surroundings | None = None,
    sink: Sink | None = None,
    on_result: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Try a backend step by step; one result for each of :data:`STEPS`, told to ``on_result`` as it
    comes.

    Without ``credentials`` it goes as far as it can. ``tls`` says whom to trust, by default whom
    the system trusts, and is made to offer HTTP/1.1. ``sink``, which stays the caller's, records it
    all. Raises DiskFailed from that; whatever the network does is a result.
    """
    options = options or CheckOptions()
    journal = Journal(sink)
    context = tls or ssl.create_default_context()
    # Otherwise a server may choose HTTP/2, which has no such upgrade.
    context.set_alpn_protocols(["http/1.1"])
    visit = Visit(
        url,
        credentials,
        options,
        tls=context,
        surroundings=surroundings or Surroundings(),
        journal=journal,
    )
    total_s = options.wait_s + _BESIDE_THE_WAIT_S if options.total_s is None else options.total_s
    results: list[Result] = []

    def tell(result: Result) -> None:
        results.append(result)
        journal.note(result)
        on_result(result)

    try:
        with trio.move_on_after(total_s):
            await _do(visit, tell)
    finally:
        await visit.aclose()
    for step in STEPS[len(results) :]:
        stopped = any(one.outcome == "fail" and one.step not in _MAY_FAIL for one in results)
        tell(skipped(step, "the time is over") if stopped else _too_late(step, total_s))
    return results


async def _do(visit: Visit, tell: Callable[[Result], None]) -> None:
    """The steps; those behind one that failed are skipped."""
    failed: Step | None = None
    for step, do in _STEPS.items():
        if failed is not None:
            tell(skipped(step, f"{failed} failed"))
            continue
        result = await do(visit)
        tell(result)
        if result.outcome == "fail" and step not in _MAY_FAIL:
            failed = step


def _too_late(step: Step, total_s: float) -> Result:
    return fail(
        step,
        f"not done when the {total_s:g} s for all steps were over",
        means="Something is very slow; the steps above say how long they took.",
        do="Give it more time with --limit.",
    )
