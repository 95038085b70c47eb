"""Whether a recording may leave the house: looks for what should not be in it. It judges the
redaction, and so shares nothing with it.

============== ====================================================
module         what it knows
============== ====================================================
``looking``    files: lines, whole, torn or damaged
``judge``      entries, and which texts they hold
``joining``    texts that stand in several entries
``inflating``  content codings, bounded
``opaque``     bytes that are no text
``layers``     a text as it reads with its encodings undone
``formats``    what is secret, or personal, by its shape
``names``      what is so by its name
``values``     what is known to be secret
``harmless``   marks and pseudonyms
``findings``   how it is told without telling it
============== ====================================================
"""

from __future__ import annotations

from recorder.leaks.findings import NOT_LOOKED_INTO, Finding, how_read
from recorder.leaks.looking import Look
from recorder.leaks.values import KnownValue, LeftOut, Patterns, Values, values_of_environment

__all__ = [
    "NOT_LOOKED_INTO",
    "Finding",
    "KnownValue",
    "LeftOut",
    "Look",
    "Patterns",
    "Values",
    "how_read",
    "values_of_environment",
]
