"""Redaction: what is secret is taken out before anything is written or logged. Pure: entries in,
entries out.

Profile ``secrets`` (the default) masks passwords, cookies, credentials, tokens and email addresses;
``none`` changes nothing. A password becomes ``[redacted]``; a cookie, token or address becomes
``[redacted:cookie-1]``, so that the same value stays recognisable. Apart from these values every
byte stays as it was: number text, white space, key order, escapes, ``~``.

=============== ===========================================
module          what it knows
=============== ===========================================
``rules``       names and shapes of secrets, the marks
``views``       JSON escapes and percent escapes
``spans``       where a secret starts and ends
``masker``      what was learnt, numbered and counted
``codings``     gzip and deflate
``entries``     the texts of each kind of entry, heads
``redactor``    order, time, what must be held
=============== ===========================================
"""

from __future__ import annotations

from recorder.redaction.redactor import MAX_HELD_BYTES, Redactor
from recorder.redaction.rules import highest_numbers

__all__ = ["MAX_HELD_BYTES", "Redactor", "highest_numbers"]
