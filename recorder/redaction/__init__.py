"""Redaction: what is secret is taken out before anything is written or logged. Pure: entries in,
entries out.

Profile ``secrets`` (the default) masks passwords, cookies, credentials, tokens and email addresses;
``share`` also gives pseudonyms to names and ids and moves places; ``none`` changes nothing. A
password becomes ``[redacted]``; a cookie, token or address becomes ``[redacted:cookie-1]``, so that
the same value stays recognisable. Apart from what is replaced every byte stays as it was: number
text, white space, key order, escapes, ``~``.

=============== ========================================================
module          what it knows
=============== ========================================================
``rules``       names and shapes of secrets, the marks
``screen``      whether a text need be looked into at all
``views``       JSON escapes and percent escapes
``kinds``       header fields, forms and URLs
``spans``       where a secret starts and ends in any text
``binary``      where text may stand in what is none
``edits``       what a profile replaces beyond secrets
``masker``      what was learnt, numbered and counted
``codings``     gzip, deflate and zstd
``windows``     a text that comes in pieces
``streamed``    long and slow bodies
``entries``     the texts of each kind of entry, heads
``redactor``    order, time, what must be held
``share``       the profile of that name: pseudonyms, places
``own_rules``   rules of the user's own, from TOML
``options``     profile, key and rules, decided once
=============== ========================================================
"""

from __future__ import annotations

import sys

from recorder.redaction.redactor import MAX_HELD_BYTES, Redactor
from recorder.redaction.rules import highest_numbers

if sys.version_info < (3, 11, 5):
    # Possessive patterns match wrongly there: secrets would stay (gh-106052 of CPython).
    raise ImportError("redaction needs Python 3.11.5 or newer")

__all__ = ["MAX_HELD_BYTES", "Redactor", "highest_numbers"]
