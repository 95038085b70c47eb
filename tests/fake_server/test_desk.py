"""Sessions on a clock that can jump."""

from __future__ import annotations

import re

import pytest

from fake_server.desk import SessionDesk
from recorder.track.rules import Rules
from recorder.track.sessions import REMEMBERED_EXPIRED, Session, SessionProblem

S = 1_000_000_000


class Clock:
    now_ns = 5 * S

    def __call__(self) -> int:
        return self.now_ns


def desk(**rules: float | str) -> tuple[SessionDesk, Clock]:
    clock = Clock()
    return SessionDesk(Rules(**{"session_timeout_s": 100, **rules}), clock), clock  # type: ignore[arg-type]


def cookie(known: SessionDesk, session: Session) -> str:
    return known.set_cookie_header(session).partition(";")[0]


def test_a_session_of_a_day_expires_now_when_the_clock_jumps() -> None:
    known, clock = desk(session_timeout_s=86400)
    session = known.login("a@x")
    assert known.expires_in_ns(session.id) == 86400 * S
    known.advance(86399)
    assert known.lookup(cookie(known, session)) == session
    assert known.expires_in_ns(session.id) == S
    known.advance(1)
    assert known.expires_in_ns(session.id) is None
    assert known.touch(cookie(known, session)) is SessionProblem.EXPIRED
    assert known.now_ns == clock.now_ns + 86400 * S


def test_a_call_renews_the_session_and_a_look_does_not() -> None:
    known, clock = desk()
    touched, looked_at = known.login("a@x"), known.login("a@x")
    clock.now_ns += 60 * S
    known.touch(f"x=1; {cookie(known, touched)}")
    known.lookup(cookie(known, looked_at))
    assert known.expires_in_ns(touched.id) == 100 * S
    assert known.expires_in_ns(looked_at.id) == 40 * S
    assert known.live == [looked_at, touched]
    clock.now_ns += 40 * S
    assert known.live == [touched]


def test_a_session_can_be_ended_as_expired_or_by_logout() -> None:
    known, _ = desk()
    expired, gone = known.login("a@x"), known.login("b@x")
    known.expire(expired.id)
    known.logout(gone.id)
    assert known.lookup(cookie(known, expired)) is SessionProblem.EXPIRED
    assert known.lookup(cookie(known, gone)) is SessionProblem.UNKNOWN
    assert known.lookup("") is SessionProblem.MISSING
    assert known.live == []
    known.expire("nobody")
    assert known.lookup("JSESSIONID=nobody") is SessionProblem.UNKNOWN


def test_of_the_sessions_that_were_made_to_expire_only_the_last_are_remembered() -> None:
    known, _ = desk()
    sessions = [known.login("a@x") for _ in range(REMEMBERED_EXPIRED + 1)]
    for session in sessions:
        known.expire(session.id)
    assert known.lookup(cookie(known, sessions[0])) is SessionProblem.UNKNOWN
    assert known.lookup(cookie(known, sessions[1])) is SessionProblem.EXPIRED


def test_after_a_reset_all_is_as_at_the_beginning() -> None:
    known, clock = desk()
    session = known.login("a@x")
    known.advance(1000)
    known.reset()
    assert known.now_ns == clock.now_ns
    assert known.lookup(cookie(known, session)) is SessionProblem.UNKNOWN


def test_ids_have_the_shape_of_the_rules_and_never_repeat() -> None:
    known, _ = desk(session_id_shape="T-{random}-x")
    ids = {known.login("a@x").id for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"T-[0-9a-f]{32}-x", one) for one in ids)


@pytest.mark.parametrize("seconds", [-1, -0.001, float("nan"), float("inf")])
def test_the_clock_does_not_go_back_nor_to_the_end_of_time(seconds: float) -> None:
    known, clock = desk()
    with pytest.raises(ValueError, match="forward"):
        known.advance(seconds)
    assert known.now_ns == clock.now_ns


def test_no_repr_shows_an_id() -> None:
    known, _ = desk()
    session = known.login("a@x")
    assert session.id not in f"{known!r}{known.live!r}"
