"""The key of a redaction: whoever has it gets the same pseudonyms, and can test a guess."""

from __future__ import annotations

import hmac
import re
import secrets
from pathlib import Path
from typing import Final

from recorder.errors import CannotRead, RulesError

__all__ = ["KEY_VARIABLE", "RedactionKey", "key_from_file", "key_from_text"]

KEY_VARIABLE: Final = "TRACK_REDACTION_KEY"
"""The environment variable that a key may stand in."""

_MIN_HEX_DIGITS: Final = 32
_MIN_OTHER_BYTES: Final = 22  # 16 random bytes in base64
_MIN_DIFFERENT_BYTES: Final = 10
_MAX_BYTES: Final = 4096
_HOW: Final = (
    "expected at least 16 random bytes, as hex or base64; "
    "make one with `openssl rand -hex 32 > key`"
)


class RedactionKey:
    """A secret from which everything keyed is derived. It shows itself nowhere: neither in its repr
    nor in a recording, which holds :attr:`id` only.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return f"<RedactionKey {self.id}>"

    @classmethod
    def random(cls) -> RedactionKey:
        """A key for one recording: nobody has it, and no other recording shares its pseudonyms."""
        return cls(secrets.token_bytes(32))

    @property
    def id(self) -> str:
        """Twelve hex digits that tell keys apart and tell nothing of them."""
        return self.derived("key id").hex()[:12]

    def derived(self, purpose: str) -> bytes:
        """32 bytes for one purpose (HMAC-SHA256, RFC 2104)."""
        return hmac.digest(self._secret, b"tracktape share 1: " + purpose.encode(), "sha256")


def key_from_text(content: bytes, *, where: str) -> RedactionKey:
    """The key in ``content``, white space around it aside. ``where`` is what errors call it; they
    never show the content. Raises RulesError if it is too short or too even to be a random key.
    """
    secret = content.strip()
    if not secret:
        raise RulesError(f"{where}: the redaction key is empty; {_HOW}")
    if len(secret) > _MAX_BYTES:
        raise RulesError(f"{where}: a redaction key has at most {_MAX_BYTES} bytes; {_HOW}")
    is_hex = re.fullmatch(rb"[0-9a-fA-F]+", secret) is not None
    if len(secret) < (_MIN_HEX_DIGITS if is_hex else _MIN_OTHER_BYTES):
        raise RulesError(f"{where}: the redaction key is too short; {_HOW}")
    if len(set(secret)) < (_MIN_DIFFERENT_BYTES if not is_hex else 6):
        raise RulesError(f"{where}: the redaction key repeats itself; {_HOW}")
    return RedactionKey(secret)


def key_from_file(path: Path) -> tuple[RedactionKey, str | None]:
    """The key in a file, and a warning if others can read that file.

    Raises CannotRead if it cannot be opened, RulesError as :func:`key_from_text` does.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 2)
            mode = path.stat().st_mode
    except OSError as error:
        raise CannotRead(
            f"{path}: the redaction key cannot be read: {error.strerror}; {_HOW}"
        ) from error
    warning = f"{path}: others can read this key; chmod 600 it" if mode & 0o044 else None
    return key_from_text(content, where=str(path)), warning
