"""Two recordings compared: byte for byte (:mod:`~replayer.difference.exact`), or by meaning.

By meaning: :mod:`~replayer.difference.statements` says what takes part,
:mod:`~replayer.difference.alignment` which belongs to which, :mod:`~replayer.difference.changes`
what differs in two that do, :mod:`~replayer.difference.comparison` all of it together.
"""

from __future__ import annotations

from replayer.difference.exact import EXCERPT_BYTES, Difference, Place, first_difference

__all__ = ["EXCERPT_BYTES", "Difference", "Place", "first_difference"]
