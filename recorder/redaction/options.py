"""What to take out of a recording, decided once for all redactors of a command. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from recorder.redaction.edits import Transform
from recorder.redaction.own_rules import OwnRules, OwnTransform, Together
from recorder.redaction.redactor import Redactor
from recorder.redaction.share import Learnt, Pseudonyms, RedactionKey, Share

__all__ = ["Profile", "RedactionOptions"]

Profile: TypeAlias = Literal["secrets", "share", "none"]


class RedactionOptions(msgspec.Struct, frozen=True):
    """A profile, the key of its pseudonyms, and rules of the user's own.

    ``share``, and rules that make pseudonyms, need a key.
    """

    profile: Profile = "secrets"
    key: RedactionKey | None = None
    rules: OwnRules | None = None

    def redactor(self, taken: Mapping[str, int] = {}, *, learnt: Learnt | None = None) -> Redactor:
        """A redactor for one recording; ``taken`` as in :class:`recorder.redaction.Redactor`,
        ``learnt`` from an earlier reading of the same recording.
        """
        if self.profile == "none":
            return Redactor("none")
        key_id = None if self.key is None else self.key.id
        own: Transform | None = None
        if self.rules is not None:
            own = OwnTransform(self.rules, None if self.key is None else Pseudonyms(self.key))
        if self.profile == "secrets":
            return Redactor("secrets", transform=own, key_id=key_id, taken=taken)
        if self.key is None:
            raise ValueError("the profile share needs a key")
        share = Share(self.key, learnt=learnt)
        return Redactor(
            "share",
            transform=share if own is None else Together(own, share),
            of_bytes=share.of_bytes,
            key_id=key_id,
            taken=taken,
        )
