"""One call of an endpoint: who asks, for what, and how its breaches of the rules are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from fake_server.exchange import HttpRequest
from fake_server.rest.queries import read_query
from fake_server.rest.refusals import Refusal
from fake_server.rest.routes import Route
from fake_server.rest.view import View
from recorder.track.rules import Rules
from recorder.track.sessions import Session
from recorder.track.violations import Violation

if TYPE_CHECKING:
    from fake_server.rest.application import Rest

__all__ = ["Call"]

_STRICT_STATUS: Final = {"report.no-accept": 406}
"""What ``strict`` answers to a breach that would else be let pass; 400 to every other."""


class Call:
    """``account`` is "" where nobody is logged in and nobody needs to be; ``session`` None also
    with HTTP Basic. ``object_id`` is what stands for ``{id}``.
    """

    def __init__(
        self,
        rest: Rest,
        request: HttpRequest,
        route: Route,
        session: Session | None,
        account: str,
        object_id: str,
    ) -> None:
        self.rest = rest
        self.request = request
        self.route = route
        self.session = session
        self.account = account
        self.object_id = object_id
        self.query = read_query(request.query)

    @property
    def rules(self) -> Rules:
        """The server's rules."""
        return self.rest.rules

    @property
    def kind(self) -> str:
        """What the route is about."""
        return self.route.kind

    @cached_property
    def view(self) -> View:
        """What the account is shown."""
        return self.rest.view(self.session, self.account)

    def breach(self, rule: str, *, seen: str, expected: str) -> None:
        """A rule was broken, which the backend lets pass. Raises :exc:`Refusal` if ``strict``."""
        if self.rules.strict:
            raise Refusal(
                _STRICT_STATUS.get(rule, 400),
                message=f"{seen}; expected {expected} [{rule}]",
                rule=rule,
                seen=seen,
                expected=expected,
            )
        self.rest.violations.report(
            [
                Violation.of(
                    rule,
                    seen=seen,
                    expected=expected,
                    connection=self.request.connection,
                    at_ns=self.request.at_ns,
                )
            ]
        )

    def check_parameters(self) -> None:
        """Tell of query parameters that the endpoint does not know."""
        if self.query:
            self.check_names(self.query, sorted(self.route.parameter_names))

    def check_names(self, sent: Iterable[str], names: Sequence[str]) -> None:
        """Tell of the parameters in ``sent`` that are not among ``names``, nor tolerated."""
        known = {*names, *self.rules.tolerated_parameters}
        unknown = [name for name in sent if name not in known]
        if unknown:
            shown = ", ".join(repr(name[:40]) for name in unknown[:5])
            expected = ", ".join(names) or "none"
            self.breach(
                "rest.unknown-parameter",
                seen=f"{self.route.method} {self.route.path} with {shown}",
                expected=f"no parameters but {expected}" if expected != "none" else "none",
            )

    def require_content_type(self, wanted: str) -> None:
        """Raises :exc:`Refusal`, the 415, unless the body is said to be ``wanted``."""
        sent = self.request.header("content-type").partition(";")[0].strip().lower()
        if sent != wanted:
            raise Refusal(
                415,
                rule="rest.bad-value",
                seen=f"a body with Content-Type {sent[:40]!r}" if sent else "no Content-Type",
                expected=wanted,
            )
