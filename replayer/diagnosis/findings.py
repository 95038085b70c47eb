"""Where findings go: all are counted, the first of each rule are kept."""

from __future__ import annotations

from collections import Counter
from typing import Final

from recorder.track.violations import Violation
from replayer.diagnosis.model import Finding
from replayer.diagnosis.rules import DIAGNOSED

__all__ = ["KEPT_OF_EACH_RULE", "Findings"]

KEPT_OF_EACH_RULE: Final = 100
"""So many findings of a rule are kept word for word."""

_MAX_SEEN: Final = 400


class Findings:
    """Takes findings in the order in which they show. ``keep``: so many of each rule, None all.
    ``untold``: the rules that this recording cannot tell of; what breaks them is no finding.
    """

    def __init__(
        self, keep: int | None = KEPT_OF_EACH_RULE, untold: frozenset[str] = frozenset()
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.kept: list[Finding] = []
        self.latest: list[Finding] | None = None
        """Each one, where somebody takes them away."""
        self.is_timed = True
        """Whether what is being read has moments."""
        self.hint = ""
        """What to ask with, where the recording says that its backend is set up otherwise."""
        self._keep = keep
        self._untold = untold

    def add(
        self,
        rule: str,
        *,
        connection: int | None,
        at_ns: int | None,
        seq: int | None,
        seen: str,
        expected: str = "",
    ) -> None:
        """A rule of :data:`~replayer.diagnosis.rules.DIAGNOSED` was broken, or there is something
        to remark; ``expected`` is what the rule asks, unless it is given."""
        if rule in self._untold:
            return
        self.counts[rule] += 1
        is_kept = self._keep is None or self.counts[rule] <= self._keep
        if not is_kept and self.latest is None:
            return
        of = DIAGNOSED[rule]
        if len(seen) > _MAX_SEEN:
            seen = seen[:_MAX_SEEN] + "…"
        finding = Finding(
            rule=rule,
            section=of.section,
            by=of.by,
            is_breach=of.is_breach,
            connection=connection,
            at_ns=at_ns if self.is_timed else None,
            seq=seq,
            seen=seen,
            expected=expected or of.asks,
        )
        if is_kept:
            self.kept.append(finding)
        if self.latest is not None:
            self.latest.append(finding)

    def violation(self, violation: Violation, seq: int | None) -> None:
        """What :mod:`recorder.track` found."""
        if violation.rule == "pong.missing" and not self.is_timed:
            # With every moment 0 a PING lacks its pong only because there are too many to remember.
            return
        self.add(
            violation.rule,
            connection=violation.connection,
            at_ns=violation.at_ns,
            seq=seq,
            seen=violation.seen,
            expected=violation.expected,
        )
