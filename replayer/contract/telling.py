"""What a comparison finds, said of one kind of message or one answer, and weighed first. Pure."""

from __future__ import annotations

from replayer.contract.findings import (
    Change,
    Comparison,
    Remark,
    RemarkWhat,
    Severity,
    Side,
    Unchecked,
    What,
    Why,
)
from replayer.contract.weighing import (
    CHANCE,
    ENOUGH,
    Share,
    Total,
    chance_of_none,
    is_of_subjects,
)

__all__ = ["Teller"]


class Teller:
    """Adds to ``found`` what is told of ``where``, a kind of message or a call with its status."""

    def __init__(self, found: Comparison, where: str) -> None:
        self._found = found
        self._where = where

    def checked(self, place: str) -> None:
        """The place was compared."""
        self._found.checked.append((self._where, place))

    def new(
        self,
        place: str,
        what: What,
        severity: Severity,
        share: Share,
        total: Total,
        before: Side,
        after: Side,
        sentence: str,
    ) -> bool:
        """Something that the contract never had: a change, or undecided. Whether it is a change."""
        is_enough = total.seen >= ENOUGH and share.of >= ENOUGH
        if is_enough and chance_of_none(share, total, smoothed=True) < CHANCE:
            self.changed(place, what, severity, before, after, f"{sentence}.")
            return True
        seen = f"{sentence}: in {share.count} of {share.of} now, in none of {total.seen} before"
        if is_of_subjects(share, total):
            seen += (
                f", and with {share.subjects} of {share.of_subjects} devices or objects now, with"
                f" none of {total.subjects} before"
            )
        self.not_told(place, "by-chance", f"{seen}; that may be chance.", deviates=True)
        return False

    def changed(
        self,
        place: str,
        what: What,
        severity: Severity,
        before: Side,
        after: Side,
        sentence: str,
    ) -> None:
        """A change."""
        self._found.changes.append(
            Change(
                severity=severity,
                where=self._where,
                place=place,
                what=what,
                before=before,
                after=after,
                sentence=sentence,
            )
        )

    def not_told(self, place: str, why: Why, sentence: str, *, deviates: bool = False) -> None:
        """What could not be told."""
        self._found.unchecked.append(
            Unchecked(where=self._where, place=place, why=why, sentence=sentence, deviates=deviates)
        )

    def remark(self, place: str, what: RemarkWhat, sentence: str) -> None:
        """What is another, and no change."""
        self._found.remarks.append(
            Remark(where=self._where, place=place, what=what, sentence=sentence)
        )
