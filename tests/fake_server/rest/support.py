"""REST without a server: a `Rest` over a source in memory, and somebody who calls it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec

from fake_server.accounts import DEMO_ACCOUNT, Accounts
from fake_server.desk import SessionDesk
from fake_server.exchange import Answer, HttpRequest
from fake_server.pace import Pace
from fake_server.rest import Rest
from fake_server.violation_log import ViolationLog
from fake_server.written import Written
from recorder.credentials import Credentials
from recorder.track.rules import Rules
from recorder.track.sessions import Session
from recorder.wire.frames import Frame, Opcode
from replayer.playing.script import RecordedAnswer, Script
from replayer.playing.timeline import Cue
from tests.strategies import make_header

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
NOBODY: Final = "nobody=0"
"""A `Cookie` header that holds no session."""


class Heard(msgspec.Struct, frozen=True):
    """An answer, to be asked for its parts."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str | None:
        values = [value for field, value in self.headers if field.lower() == name.lower()]
        assert len(values) <= 1, values
        return values[0] if values else None

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ids(self) -> list[Any]:
        return [one["id"] for one in self.json]


class Caller:
    """Calls a `Rest` of its own; time stands still unless it is moved.

    `answers` are recorded: a target, or method and target, with the body or the whole answer. What
    is forwarded is answered 299, where `forwards`.
    """

    def __init__(
        self,
        *payloads: bytes,
        answers: Mapping[str, bytes | RecordedAnswer] | None = None,
        accounts: Accounts | None = None,
        forwards: bool = False,
        **rules: Any,
    ) -> None:
        cues = [
            Cue(0, "data", Frame.make(Opcode.TEXT, payload).serialize(), payload)
            for payload in payloads
        ]
        recorded = dict(_recorded(call, answer) for call, answer in (answers or {}).items())
        self.source = Script(make_header(), [(0, cues)], recorded)
        self.accounts = accounts or Accounts()
        self.state = self.source.opening.copy()
        self.now_ns = 0
        self.desk = SessionDesk(Rules(**rules), lambda: self.now_ns)
        self.violations = ViolationLog()
        self.written = Written()
        self.logins: list[Session] = []
        self.logouts: list[Session] = []
        self.pushed: list[tuple[str, bytes]] = []
        self.asked_for: list[Session | None] = []
        self.rest = Rest(
            self.source,
            self._state_for,
            accounts=self.accounts,
            desk=self.desk,
            rules=Rules(**rules),
            violations=self.violations,
            written=self.written,
            pace=Pace(Rules(**rules)),
            on_login=self.logins.append,
            on_logout=self.logouts.append,
            on_written=lambda kind, text: self.pushed.append((kind, text)),
            forward=_forward if forwards else None,
        )
        self._cookie: str | None = None

    def _state_for(self, session: Session | None) -> Any:
        self.asked_for.append(session)
        return self.state

    @property
    def broken(self) -> list[str]:
        """The rules that violations were reported of, in order."""
        return [one.rule for one in self.violations.latest]

    @property
    def cookie(self) -> str:
        """The `Cookie` header of the one account of a server without others."""
        if self._cookie is None:
            self._cookie = self.log_in(DEMO_ACCOUNT.email, DEMO_ACCOUNT.password)
        return self._cookie

    def log_in(self, email: str, password: str = "x") -> str:
        """What stands in `Cookie` from now on."""
        body = urlencode({"email": email, "password": password}).encode()
        heard = self.ask("/api/session", "POST", body, cookie="", content_type=FORM)
        assert heard.status == 200, heard
        return (heard.header("Set-Cookie") or "").partition(";")[0]

    def ask(
        self,
        target: str,
        method: str = "GET",
        body: bytes = b"",
        *,
        cookie: str | None = None,
        **headers: str,
    ) -> Heard:
        """One call; header names are given with `_` for `-`. Without a cookie it is the demo
        account's; an empty one is none.
        """
        fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if cookie is None:
            cookie = self.cookie
        if cookie:
            fields.append(("cookie", cookie))
        answer: Answer = self.rest(
            HttpRequest(
                method=method,
                target=target,
                headers=tuple(fields),
                body=body,
                connection=7,
                at_ns=self.now_ns,
            )
        )
        if answer.later is not None:
            answer = run_at_once(answer.later)
        return Heard(answer.status, answer.body, answer.headers)

    def send(
        self, method: str, target: str, body: Any, *, cookie: str | None = None, **headers: str
    ) -> Heard:
        """A call with a body of JSON: bytes as they are, all else encoded."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask(target, method, data, cookie=cookie, **{"content_type": JSON, **headers})


async def _forward(request: HttpRequest) -> Answer:
    return Answer(299, request.target.encode())


def run_at_once(do: Callable[[], Awaitable[Answer]]) -> Answer:
    """What a coroutine returns that waits for nothing."""
    try:
        do().__await__().send(None)
    except StopIteration as returned:
        answer: Answer = returned.value
        return answer
    raise AssertionError("it waits")


def account(email: str) -> Credentials:
    """An account whose password is x."""
    return Credentials(email, "x")


def _recorded(
    call: str, answer: bytes | RecordedAnswer
) -> tuple[tuple[str, str, tuple[tuple[str, str], ...]], RecordedAnswer]:
    method, _, target = call.rpartition(" ")
    path, _, query = target.partition("?")
    key = (method or "GET", path, tuple(sorted(parse_qsl(query, keep_blank_values=True))))
    if isinstance(answer, bytes):
        answer = RecordedAnswer(200, [("content-type", JSON)], answer)
    return key, answer
