from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from recorder.track.rules import Rules
from recorder.track.sessions import (
    REMEMBERED_EXPIRED,
    Session,
    SessionProblem,
    Sessions,
    random_session_id,
)
from tests.profiles import examples

TIMEOUT_NS = 60_000_000_000
RULES = Rules(session_timeout_s=60)


def numbered(rules: Rules = RULES) -> Sessions:
    numbers = itertools.count()
    return Sessions(rules, lambda: f"id-{next(numbers)}")


class SessionsAgainstModel(RuleBasedStateMachine):
    """Logins, calls and logouts on a virtual clock, against a list of what happened."""

    @initialize()
    def begin(self) -> None:
        self.sessions = numbered()
        self.now_ns = 0
        # id: (account, last activity, None or when it was logged out)
        self.happened: dict[str, tuple[str, int, bool]] = {}

    @rule(
        step_ns=st.sampled_from([0, 1, TIMEOUT_NS // 3, TIMEOUT_NS - 1, TIMEOUT_NS, TIMEOUT_NS * 9])
    )
    def time_passes(self, step_ns: int) -> None:
        self.now_ns += step_ns

    @rule(account=st.sampled_from(["ann", "bob"]))
    def login(self, account: str) -> None:
        session = self.sessions.login(account, self.now_ns)
        assert session.id not in self.happened
        assert (session.account, session.opened_ns) == (account, self.now_ns)
        self.happened[session.id] = (account, self.now_ns, False)

    def expected(self, session_id: str | None) -> str:
        if session_id is None:
            return SessionProblem.MISSING
        if session_id not in self.happened:
            return SessionProblem.UNKNOWN
        account, last_ns, logged_out = self.happened[session_id]
        if logged_out:
            return SessionProblem.UNKNOWN
        return SessionProblem.EXPIRED if self.now_ns - last_ns >= TIMEOUT_NS else account

    @precondition(lambda self: self.happened)
    @rule(data=st.data())
    def call(self, data: st.DataObject) -> None:
        session_id = data.draw(st.sampled_from([None, "", "id-none", *self.happened]))
        expected = self.expected(session_id)
        found = self.sessions.touch(session_id, self.now_ns)
        if isinstance(found, Session):
            assert session_id is not None
            assert found.account == expected
            self.happened[session_id] = (found.account, self.now_ns, False)
        else:
            assert found == expected

    @precondition(lambda self: self.happened)
    @rule(data=st.data())
    def logout(self, data: st.DataObject) -> None:
        session_id = data.draw(st.sampled_from(list(self.happened)))
        if self.expected(session_id) not in list(SessionProblem):
            account, last_ns, _ = self.happened[session_id]
            self.happened[session_id] = (account, last_ns, True)
        self.sessions.logout(session_id)

    @invariant()
    def every_session_is_what_the_model_says(self) -> None:
        for session_id in [None, "id-none", *self.happened]:
            found = self.sessions.lookup(session_id, self.now_ns)
            shown = found.account if isinstance(found, Session) else found
            assert shown == self.expected(session_id)
            alive = isinstance(found, Session)
            expires_ns = self.sessions.expires_ns(session_id or "")
            assert (expires_ns is not None) == alive
            assert expires_ns is None or expires_ns > self.now_ns


SessionsAgainstModel.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=40)
TestSessionsAgainstModel = SessionsAgainstModel.TestCase


def test_a_session_ends_exactly_at_its_timeout() -> None:
    sessions = numbered()
    session = sessions.login("ann", 5)
    assert sessions.expires_ns(session.id) == 5 + TIMEOUT_NS
    assert sessions.lookup(session.id, 4 + TIMEOUT_NS) == session
    assert sessions.lookup(session.id, 5 + TIMEOUT_NS) is SessionProblem.EXPIRED


def test_a_call_renews_a_session_and_a_look_does_not() -> None:
    sessions = numbered()
    touched = sessions.login("ann", 0)
    looked_at = sessions.login("bob", 0)
    assert sessions.touch(touched.id, TIMEOUT_NS - 1) == touched
    assert sessions.lookup(looked_at.id, TIMEOUT_NS - 1) == looked_at
    assert sessions.lookup(looked_at.id, TIMEOUT_NS) is SessionProblem.EXPIRED
    assert sessions.lookup(touched.id, 2 * TIMEOUT_NS - 2) == touched


def test_only_so_many_expired_sessions_are_remembered() -> None:
    sessions = numbered()
    ids = [sessions.login("ann", 0).id for _ in range(REMEMBERED_EXPIRED + 1)]
    assert sessions.lookup(ids[0], TIMEOUT_NS) is SessionProblem.UNKNOWN
    assert sessions.lookup(ids[1], TIMEOUT_NS) is SessionProblem.EXPIRED
    assert sessions.lookup(ids[-1], TIMEOUT_NS) is SessionProblem.EXPIRED


def test_ids_are_random_and_of_the_shape_that_jetty_gives() -> None:
    ids = {Sessions(RULES).login("ann", 0).id for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"node0[0-9a-z]{32}\.node0", session_id) for session_id in ids)
    assert random_session_id() not in ids


def test_no_repr_shows_an_id() -> None:
    sessions = Sessions(RULES)
    session = sessions.login("ann", 0)
    shown = [repr(session), str(session), repr(sessions), str(sessions), repr([session])]
    shown.append(repr(session.__rich_repr__()))
    assert not any(session.id in text for text in shown)
    assert "ann" in repr(session)


# cookies


def test_the_cookie_is_host_only_and_neither_secure_nor_http_only() -> None:
    sessions = numbered()
    assert sessions.set_cookie_header(sessions.login("ann", 0)) == "JSESSIONID=id-0; Path=/api"


def test_name_and_path_of_the_cookie_are_those_of_the_rules() -> None:
    sessions = numbered(Rules(cookie_name="SID", cookie_path="/"))
    assert sessions.set_cookie_header(sessions.login("ann", 0)) == "SID=id-0; Path=/"
    assert sessions.cookie_from_header("JSESSIONID=a; SID=b") == "b"


@pytest.mark.parametrize(
    ("header", "session_id"),
    [
        ("JSESSIONID=a", "a"),
        ("x=1; JSESSIONID=a; y=2", "a"),
        ("x=1;JSESSIONID=a;y=2", "a"),
        ("  JSESSIONID = a ;", "a"),
        ('JSESSIONID="a"', "a"),
        ('JSESSIONID="', '"'),
        ("JSESSIONID=a; JSESSIONID=b", "a"),
        ("JSESSIONID=a=b", "a=b"),
        ("JSESSIONID=", ""),
        ("JSESSIONID", None),
        ("jsessionid=a", None),
        ("XJSESSIONID=a", None),
        ("x=JSESSIONID=a", None),
        ("", None),
    ],
)
def test_the_session_id_is_read_from_a_cookie_header(header: str, session_id: str | None) -> None:
    assert numbered().cookie_from_header(header) == session_id


@given(header=st.text() | st.text('JSESSIONID="; ab'))
@example("=;=")
def test_any_cookie_header_is_read_without_raising(header: str) -> None:
    numbered().cookie_from_header(header)


def test_what_was_set_is_read_back() -> None:
    sessions = Sessions(RULES)
    session = sessions.login("ann", 0)
    pair = sessions.set_cookie_header(session).split(";")[0]
    assert sessions.lookup(sessions.cookie_from_header(f"a=b; {pair}"), 1) == session
