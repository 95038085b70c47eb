"""The options that say what is taken out of a recording, the same for every command that writes
one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Literal, TypeVar

import click
import msgspec

from recorder.redaction import Redactor

__all__ = ["RedactionOptions", "redaction_options"]

_F = TypeVar("_F", bound=Callable[..., Any])


class RedactionOptions(msgspec.Struct, frozen=True):
    """What to take out."""

    profile: Literal["secrets", "none"]

    def redactor(self, taken: Mapping[str, int] = {}) -> Redactor:
        """A redactor for one recording; ``taken`` as in :class:`recorder.redaction.Redactor`."""
        return Redactor(self.profile, taken=taken)


def redaction_options(command: _F) -> _F:
    """Add the options to a command, which gets them as ``redaction``."""

    @click.option(
        "--redact",
        type=click.Choice(["secrets", "none"]),
        default="secrets",
        show_default=True,
        help="What to take out.",
    )
    @wraps(command)
    def with_options(*arguments: Any, redact: Literal["secrets", "none"], **others: Any) -> Any:
        return command(*arguments, redaction=RedactionOptions(redact), **others)

    return with_options  # type: ignore[return-value]
