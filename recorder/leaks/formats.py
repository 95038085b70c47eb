"""Secrets that are known by their shape, wherever they stand.

Each entry of the table names its source: the page of whoever issues the token, or the RFC. A word
that must stand in the text is looked for first, since a search for it costs a hundredth of a
pattern's.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from recorder.leaks.harmless import is_harmless, is_pseudonymous_mac, is_pseudonymous_uuid

__all__ = ["TOKEN_FORMATS", "Hit", "TokenFormat", "formats_in", "personal_in"]


class Hit(NamedTuple):
    """Something that should not be there: which detector found it, and the value itself.

    The value is for telling hits apart and for an excerpt; it is never shown.
    """

    detector: str
    value: str
    what: str

    def __repr__(self) -> str:
        return f"Hit(detector={self.detector!r}, value=…, what={self.what!r})"


class TokenFormat(NamedTuple):
    """A token that tells itself: whose it is, its pattern and where that is written down.

    In a text without any of ``words`` it does not stand.
    """

    name: str
    whose: str
    words: tuple[str, ...]
    pattern: re.Pattern[str]
    source: str


def _rows() -> Iterator[TokenFormat]:
    # In a row without words of its own the pattern goes on behind one of the words. No token begins
    # in the middle of a word: base64 and random ids hold anything.
    for name, whose, words, pattern, source in _TABLE:
        if pattern.startswith("…"):
            pattern = f"(?:{'|'.join(map(re.escape, words))}){pattern[1:]}"
        compiled = re.compile(rf"(?<![A-Za-z0-9]){pattern}", re.ASCII)
        yield TokenFormat(name, whose, words, compiled, source)


_PRIVATE_KEY_ENDS: Final = ("PRIVATE KEY-----", "PRIVATE+KEY-----")  # + for a blank in a form
_PRIVATE_KEY: Final = r"-----BEGIN[ +](?:[A-Z0-9]{1,20}[ +]){0,3}PRIVATE[ +]KEY-----"
_GITHUB: Final = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_")
_GITLAB: Final = ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "gloas-")
_SHOPIFY: Final = ("shpat_", "shpca_", "shppa_", "shpss_")
_STRIPE: Final = ("sk_live_", "rk_live_", "sk_test_", "rk_test_", "whsec_")
_WEBHOOK: Final = "hooks.slack.com/"

# Name, whose it is, words, pattern (`…` stands for one of the words), source.
_TABLE: Final = (
    ("jwt", "JSON Web Token", ("eyJ",), r"…[\w-]{8,4000}+\.[\w-]{4,}+\.[\w-]*+", "RFC 7515 7.1"),
    ("private-key", "private key", _PRIVATE_KEY_ENDS, _PRIVATE_KEY, "RFC 7468 10, 11"),
    ("age", "age key", ("AGE-SECRET-KEY-1",), r"…[A-Z0-9]{50,}+", "C2SP age"),
    ("anthropic", "Anthropic key", ("sk-ant-",), r"…[\w-]{20,}+", "Anthropic, API keys"),
    ("aws", "AWS key id", ("AKIA", "ASIA"), r"…[A-Z2-7]{16}(?![A-Z0-9])", "AWS IAM, identifiers"),
    ("azure", "Azure key", ("AccountKey=",), r"…[\w+/]{86}==", "Azure, connection strings"),
    ("digitalocean", "DigitalOcean token", ("_v1_",), r"do[opr]_v1_[0-9a-f]{64}", "DigitalOcean"),
    ("github", "GitHub token", _GITHUB, r"…\w{36,}+", "GitHub, token formats"),
    ("gitlab", "GitLab token", _GITLAB, r"…[\w-]{20,}+", "GitLab, token prefixes"),
    ("google", "Google API key", ("AIza",), r"…[\w-]{35}", "Google Cloud, API keys"),
    ("google", "Google token", ("ya29.", "GOCSPX-"), r"…[\w-]{20,}+", "Google, OAuth 2.0"),
    ("hugging-face", "Hugging Face token", ("hf_",), r"…[A-Za-z0-9]{30,}+", "Hugging Face, tokens"),
    ("mapbox", "Mapbox token", ("sk.eyJ",), r"…[\w-]{20,}+\.[\w-]{10,}+", "Mapbox, secret tokens"),
    ("npm", "npm token", ("npm_",), r"…[A-Za-z0-9]{36}", "npm, access tokens"),
    ("openai", "OpenAI key", ("sk-proj-",), r"…[\w-]{20,}+", "OpenAI, API keys"),
    ("pypi", "PyPI token", ("pypi-AgE",), r"…[\w-]{50,}+", "PyPI, API tokens"),
    ("sendgrid", "SendGrid key", ("SG.",), r"…[\w-]{16,32}+\.[\w-]{16,64}+", "SendGrid, API keys"),
    ("shopify", "Shopify token", _SHOPIFY, r"…[0-9a-fA-F]{32}", "Shopify, access tokens"),
    ("slack", "Slack token", ("xox",), r"…[abeoprs]-[\w-]{10,}+", "Slack, token types"),
    ("slack", "Slack token", ("xapp-",), r"…[\w-]{10,}+", "Slack, token types"),
    ("slack", "Slack webhook", (_WEBHOOK,), r"…(?:services|workflows)/[\w/-]{10,}+", "Slack"),
    ("stripe", "Stripe key", _STRIPE, r"…[A-Za-z0-9]{10,}+", "Stripe, API keys"),
    ("telegram", "Telegram token", (":AA",), r"[0-9]{8,10}:AA[\w-]{33}(?![\w-])", "Telegram"),
)
TOKEN_FORMATS: Final = tuple(_rows())
"""Tokens of which the first characters tell whose they are."""

_WORDS: Final = tuple(word for one in TOKEN_FORMATS for word in one.words)

# RFC 5322 3.4.1 as people have addresses; RFC 6531 adds all letters. A file name such as
# `logo@2x.png` reads the same.
_DOMAIN: Final = re.compile(r"@(?:[\w-]++\.)+(?=[^\W\d_])[\w-]{2,}+")
_LOCAL_END: Final = re.compile(r"[\w.+-]")
_FILE_ENDS: Final = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".js", ".css", ".map")
_LOCAL_PART_CHARS: Final = 64  # RFC 5321 4.5.3.1.1
# An escape that ends before the address, and was taken for its first letters.
_ESCAPE_BEFORE: Final = re.compile(r"(?:\\u?|%)\Z")

# RFC 7617 2, RFC 6750 2.1. After "bearer" short words are English.
_BASIC: Final = re.compile(r"basic[ \t]++([a-z0-9+/_-]{6,}+)={0,2}", re.ASCII | re.IGNORECASE)
_BEARER: Final = re.compile(r"bearer[ \t]++([a-z0-9._~+/-]{16,}+)", re.ASCII | re.IGNORECASE)
# RFC 3986 3.2.1.
_USERINFO: Final = re.compile(r"://([^\s/?#\"'<>\\@]{0,300}:[^\s/?#\"'<>\\]{1,300})@")

# With dashes or without; digits alone are a number.
_UUID: Final = re.compile(
    r"(?<![\w-])(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?![0-9]{32})[0-9a-f]{32})(?![\w-])",
    re.IGNORECASE,
)
# Of 48 or 64 bits.
_MAC: Final = re.compile(
    r"(?<![\w:-])[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}(?:[0-9a-f]{2}\1[0-9a-f]{2}\1)?[0-9a-f]{2}"
    r"(?![\w:-])",
    re.IGNORECASE,
)
# ITU-T E.164: up to 15 digits. No country has 999.
_PHONE: Final = re.compile(
    r"(?<![\w+.])\+(?!999)[1-9](?:[ ()./-]{0,2}[0-9]){7,14}(?![0-9])", re.ASCII
)


def formats_in(text: str) -> Iterator[Hit]:
    """What in ``text`` is a secret by its shape. Linear in the size of ``text``."""
    for word in _WORDS:
        if word in text:
            yield from _tokens(text)
            break
    if "asic" in text or "earer" in text or "BASIC" in text or "BEARER" in text:
        yield from _credentials(text)
    if "@" in text:
        if "://" in text:
            for found in _USERINFO.finditer(text):
                if not is_harmless(found[1]):
                    yield Hit("credentials", found[1], "a user and password in a URL")
        yield from _emails(text)


def _tokens(text: str) -> Iterator[Hit]:
    for kind in TOKEN_FORMATS:
        if any(word in text for word in kind.words):
            for found in kind.pattern.finditer(text):
                yield Hit(kind.name, found[0], f"a {kind.whose}")


def _credentials(text: str) -> Iterator[Hit]:
    for found in _BASIC.finditer(text):
        core = found[1].replace("-", "+").replace("_", "/")
        try:
            decoded = base64.b64decode(core + "=" * (-len(core) % 4)).decode("utf-8", "replace")
        except ValueError:
            continue
        # "Basic" is a word, too.
        if ":" in decoded and not is_harmless(decoded):
            yield Hit("credentials", found[1], "Basic credentials")
    for found in _BEARER.finditer(text):
        if not is_harmless(found[1]):
            yield Hit("credentials", found[1], "a Bearer token")


def _emails(text: str) -> Iterator[Hit]:
    for found in _DOMAIN.finditer(text):
        at = start = found.start()
        # An `@` is rare, and where a run of letters starts is not: read backwards from there.
        while start > max(0, at - _LOCAL_PART_CHARS) and _LOCAL_END.match(text, start - 1):
            start -= 1
        if start == at or found[0].lower().endswith(_FILE_ENDS):
            continue
        if _ESCAPE_BEFORE.search(text, max(0, start - 2), start):
            continue
        yield Hit("email", text[start : found.end()], "an email address")


def personal_in(text: str) -> Iterator[Hit]:
    """What in ``text`` tells whose it is by its shape, and is no pseudonym: UUIDs, MACs, phone
    numbers.
    """
    for found in _UUID.finditer(text):
        if not is_pseudonymous_uuid(found[0]):
            yield Hit("uuid", found[0], "a UUID that is no pseudonym")
    for found in _MAC.finditer(text):
        if not is_pseudonymous_mac(found[0]):
            yield Hit("mac", found[0], "a MAC that is no pseudonym")
    if "+" in text:
        for found in _PHONE.finditer(text):
            yield Hit("phone", found[0], "what looks like a phone number")
