r"""Keys, values and brackets of JSON texts, found in any text: whole, torn, joined by ``~``, or
with the escapes undone in which a JSON string held them.

A quote is taken for the start of a string only if what follows its end can follow a string. So a
reader that starts in the middle of a string, or meets ``"log":"{"name":"x"}"`` where the inner
text was escaped, falls into step again at the next string.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["TOKEN"]

_STRING: Final = r'[^"\\]*+(?:\\.[^"\\]*+)*+'

TOKEN: Final = re.compile(
    rf'"(?P<text>{_STRING})"(?:(?P<colon>\s*+:\s*+)(?:"(?P<string>{_STRING})(?:"(?=[\s,}}\])&;~.<]|\Z)|\Z)'
    r"|(?P<number>-?[0-9][0-9.eE+-]*+)(?!\w)|(?P<literal>true|false|null)\b)?+|(?=\s*+(?:[,}\]]|\Z)))"
    r"|(?P<bracket>[{}\[\]])",
    re.DOTALL,
)
"""A key with its scalar or without (a container follows, or nothing readable), a string without a
key, or a bracket.
"""
