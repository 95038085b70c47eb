"""Values that are secret, or tell whose they are, by the name that they stand under: in JSON, in
forms, URLs and log lines, in header fields, in multipart bodies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus

from recorder.leaks.formats import Hit
from recorder.leaks.harmless import is_harmless, is_pseudonym
from recorder.wire.json_texts import JsonText, split

__all__ = ["named_in", "under_name"]

_SECRET_ENDS: Final = {
    "password": "password",
    "passwd": "password",
    "passphrase": "password",
    "passcode": "password",
    "pwd": "password",
    "secret": "password",
    "credential": "password",
    "credentials": "password",
    "passwordhash": "password",
    "passwordconfirmation": "password",
    "passwordrepeat": "password",
    "privatekey": "password",
    "secretkey": "password",
    "signingkey": "password",
    "encryptionkey": "password",
    "masterkey": "password",
    "accesskey": "token",
    "authkey": "token",
    "apikey": "token",
    "sessionkey": "token",
    "token": "token",
    "jwt": "token",
    "authorization": "authorization",
    "cookie": "cookie",
    "sessionid": "session-id",
    "sessid": "session-id",
}
_SECRET_WORDS: Final = {
    "pass": "password",
    "otp": "password",
    "totp": "password",
    "pin": "pin",
    "sid": "maybe",
    **dict.fromkeys(("session", "xsession", "auth", "xauth", "bearer", "csrf", "xsrf"), "maybe"),
    **dict.fromkeys(("sig", "signature", "xamzsignature"), "maybe"),
}
"""Names that are secret only if they are the whole name: `compass` is none. Of a ``pin``, and of
what ``maybe`` is secret, the value must look so, too.
"""

_SHAPES: Final = {
    "pin": ("password", re.compile(r"[0-9]{4,12}")),
    # Neither a word such as `open`, nor a date.
    "maybe": ("session-id", re.compile(r"(?![0-9]{4}-[0-9]{2})(?=.*[0-9])\S{8,}")),
}
_CAMEL_PASS: Final = re.compile(r".*(?:[a-z]P|[_.-]p|[_.-]P)ass", re.DOTALL)

_PERSONAL_ENDS: Final = {
    "phone": "phone",
    "phonenumber": "phone",
    "mobile": "phone",
    "msisdn": "phone",
    "contact": "contact",
    "uniqueid": "unique-id",
    "imei": "unique-id",
    "uuid": "uuid",
    "bssid": "mac",
    "macaddress": "mac",
    "name": "name",
    "login": "name",
    "licenseplate": "name",
    "address": "address",
}
_PERSONAL_WORDS: Final = {
    "mac": "mac",
    "tel": "phone",
    "fax": "phone",
    "ssid": "name",
    "alias": "name",
    "iccid": "unique-id",
    "imsi": "unique-id",
    "vin": "unique-id",
}
_TECHNICAL: Final = ("hostname", "filename", "typename", "classname", "pathname", "servername")

_ENDS: Final = _SECRET_ENDS | _PERSONAL_ENDS
_WORDS: Final = _SECRET_WORDS | _PERSONAL_WORDS
_PERSONAL: Final = frozenset(_PERSONAL_ENDS.values())

# What a text must hold, in lower case, for a secret name to stand in it. `key` alone is too common
# in Track's messages.
_STEMS: Final = (
    *("pass", "pwd", "secret", "credential", "token", "auth", "cookie", "sess", "jwt", "otp"),
    *("sid", "csrf", "xsrf", "bearer", "sig", '"pin'),
)
_KEY: Final = re.compile(r"(?:api|access|private|signing|encryption|master)[^a-z0-9]?key")
_NAMED: Final = re.compile(
    r"(?=[acjopstx])(?P<end>(?:pass(?:[-_ ]?word|wd|phrase|code)|pwd|secret|credentials?|token|jwt"
    r"|(?:api|access|secret|private|auth|session)[-_ ]?key|authorization|(?:set-?)?+cookie"
    r"|sess(?:ion)?[-_]?id|(?<![a-z0-9])pass|(?-i:(?<=[a-z])Pass)"
    r"|(?<![\w-])(?:t?otp|sid|(?:x-)?(?:session|auth)|csrf|xsrf|(?:x-amz-)?sig(?:nature)?))[-_]?[0-9]{0,4})"
    r"(?P<quote>[\]\"']{0,3}+)[ \t]*+(?P<sign>[:=](?![=>:])|=>)[ \t\r\n]*+"
    r"(?P<value>\"[^\"]*+|'[^'\r\n]*+|[^\s&\"'<>\\,;]++)",
    re.IGNORECASE,
)
_ELEMENT: Final = re.compile(
    r"<(?P<name>[\w:.-]{1,60}+)(?:\s[^<>]{0,200}+)?+>(?P<value>[^<>]{1,400}+)</", re.ASCII
)
_LINE: Final = re.compile(r"[^\r\n]*+")
_LINE_START: Final = re.compile(r"(?:\A|[\r\n])[\w-]{0,20}\Z")
# RFC 6265 4.2.1, RFC 9110 11.4: what the rest of a line is if it is the value of such a field and
# the line does not begin with the field's name.
_FIELD: Final = {
    "cookie": re.compile(r"[\w!#$%&*+.^`|~-]++=[^\r\n\"]*+"),
    "authorization": re.compile(
        r"(?:basic|bearer|digest|negotiate|token|apikey)[ ]++[^\r\n\"]*+", re.IGNORECASE
    ),
}
_END_OF_PARAMETER: Final = re.compile(r"[?#;/]")
# RFC 7578 4.2.
_FORM_PART: Final = re.compile(
    r"\bname=\"?+(?P<name>[^\"\r\n;]{1,200}+)\"?+[^\r\n]{0,400}+\r?\n(?:[^\r\n]{1,400}+\r?\n){0,9}+\r?\n"
    r"(?P<value>.*?)(?=\r?\n--|\Z)",
    re.DOTALL,
)
# Of a JSON text that is torn, and in a URL or form.
_TORN_MEMBER: Final = re.compile(
    r"\"(?P<name>[\w.-]{1,60}+)\"\s{0,20}+:\s{0,20}+\"(?P<value>(?:[^\"\\]|\\.)*+)", re.DOTALL
)
_PARAMETER: Final = re.compile(r"[?&](?P<name>[\w.-]{1,60}+)=(?P<value>[^\s&#\"]++)", re.ASCII)
_PAIR_NAMES: Final = frozenset({"name", "key", "field", "header"})
_MAX_NAME_CHARS: Final = 200


class _Object(list[tuple[str, Any]]):
    """The members of a JSON object, doubled names too."""


class _Number(str):
    """A JSON number as it stands."""

    __slots__ = ()


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_Object, parse_int=_Number, parse_float=_Number, parse_constant=_Number
)


class _Named(NamedTuple):
    rule: str
    name: str
    value: str


@lru_cache(maxsize=4096)
def _rule_of(name: str) -> str | None:
    if len(name) > _MAX_NAME_CHARS:
        return None
    plain = re.sub(r"[^A-Za-z0-9]", "", name).lower().rstrip("0123456789")
    if _CAMEL_PASS.fullmatch(name.rstrip("0123456789")):
        return "password"
    if plain in _WORDS:
        return _WORDS[plain]
    if plain.endswith(_TECHNICAL):
        return None
    return next((rule for end, rule in _ENDS.items() if plain.endswith(end)), None)


def under_name(name: str, value: str) -> Iterator[Hit]:
    """What is secret in ``value`` because it stands under ``name``, a header field's or any
    other.
    """
    if name.lower() == "sec-websocket-protocol":
        yield from _protocol_hits(value)
    rule = _rule_of(name)
    if rule is None and re.sub(r"[^a-z]", "", name.lower()).endswith("key"):
        # `X-Some-Key`; RFC 6455 11.3.1 has one that is no secret.
        rule = None if name.lower() == "sec-websocket-key" else "maybe"
    if rule is not None and rule not in _PERSONAL:
        yield from _secret_hits(rule, name, value)


_SUBPROTOCOL: Final = re.compile(
    r"(?=.{1,40}\Z)(?:[a-zA-Z]++[0-9]{0,3}+|[0-9]{1,3}+)"
    r"(?:[._/:+-](?:[a-zA-Z]++[0-9]{0,3}+|[0-9]{1,3}+))*+"
)


def _protocol_hits(value: str) -> Iterator[Hit]:
    """Browsers' clients put a token among the subprotocols (RFC 6455 11.3.4), for want of another
    field: what reads like no protocol's name, or stands behind a word that says so.
    """
    before = None
    for item in value.split(","):
        item = item.strip()
        if item and (before is not None or not _SUBPROTOCOL.fullmatch(item[:41])):
            yield from _hit("token", item, "a token among subprotocols")
        before = None if is_harmless(item) else _rule_of(item)


def _secret_hits(rule: str, name: str, value: str) -> Iterator[Hit]:
    if rule == "cookie":
        # RFC 6265 4.1.1 and 4.2.1: attributes follow the one pair of a Set-Cookie.
        is_set = re.sub(r"[-_0-9]", "", name).lower().endswith("setcookie")
        for pair in value.split(";")[: 1 if is_set else None]:
            left, equals, right = pair.partition("=")
            yield from _hit("cookie", (right if equals else left).strip(), "a cookie")
    elif rule == "authorization":
        # RFC 9110 11.4: a scheme, then what it needs.
        scheme, _, rest = value.strip().partition(" ")
        yield from _hit("credentials", rest.strip() or scheme, "credentials")
    elif rule in _SHAPES:
        shown, shape = _SHAPES[rule]
        if shape.fullmatch(value.strip()):
            yield from _secret_hits(shown, name, value)
    else:
        yield from _hit(rule, value.strip(), f"a value named as a {rule.replace('-', ' ')}")


def _hit(detector: str, value: str, what: str) -> Iterator[Hit]:
    if not is_harmless(value):
        yield Hit(detector, value, what)


def _personal_hits(rule: str, value: str) -> Iterator[Hit]:
    if is_harmless(value) or is_pseudonym(rule, value):
        return
    if rule == "address" and not any(char.isalpha() for char in value):
        # An address of a machine.
        return
    yield Hit(rule, value, f"a value named as a {rule.replace('-', ' ')}, and no pseudonym")


def named_in(text: str, *, personal: bool) -> Iterator[Hit]:
    """What in ``text`` is secret by the name before it; with ``personal`` also what tells whose it
    is and is no pseudonym. Linear in the size of ``text``.
    """
    may_be_secret = _may_hold_secret_name(text.lower())
    if may_be_secret or personal:
        for rule, name, value in _in_json(text):
            if rule not in _PERSONAL:
                yield from _secret_hits(rule, name, value)
            elif personal:
                yield from _personal_hits(rule, value)
    if personal and "=" in text:
        for found in _PARAMETER.finditer(text):
            rule_of_name = _rule_of(found["name"])
            if rule_of_name in _PERSONAL:
                yield from _personal_hits(rule_of_name, unquote_plus(found["value"]))
    if may_be_secret:
        yield from _in_text(text)


def _may_hold_secret_name(lower: str) -> bool:
    for stem in _STEMS:
        if stem in lower:
            return True
    return "key" in lower and _KEY.search(lower) is not None


def _in_text(text: str) -> Iterator[Hit]:
    done = 0
    for found in _NAMED.finditer(text):
        if found.start() < done:
            continue
        name, value = found["end"], found["value"]
        rule = _rule_of(name) or "password"
        if rule in _SHAPES and not found["quote"] and found["sign"] == ":":
            # In running text such a word is a word.
            continue
        if value[0] in "\"'":
            value = value[1:]
        elif rule == "session-id":
            # In a URL the query or another parameter follows.
            value = _END_OF_PARAMETER.split(value, maxsplit=1)[0]
        elif rule in ("cookie", "authorization"):
            pattern = (
                _LINE
                if _LINE_START.search(text[max(0, found.start() - 21) : found.start()])
                else _FIELD[rule]
            )
            line = pattern.match(text, found.start("value"))
            if line is not None and not found["quote"]:
                value, done = line[0], line.end()
            elif not any(char.isdecimal() for char in value):
                # "A cookie: it is a small text."
                continue
        yield from _secret_hits(rule, name, value)
    for pattern, word in ((_ELEMENT, "</"), (_FORM_PART, "name=")):
        if word in text:
            for found in pattern.finditer(text):
                yield from under_name(found["name"], found["value"])


def _in_json(text: str) -> Iterator[_Named]:
    """Every value under a name of the table, in every JSON text of ``text``."""
    if "{" not in text and "[" not in text:
        return
    try:
        yield from _walk(_DECODER.decode(text))
    except (ValueError, RecursionError):
        for piece in split(text.encode("utf-8", "replace")):
            if isinstance(piece, JsonText):
                try:
                    value = _DECODER.decode(piece.data.decode("utf-8", "replace"))
                except (ValueError, RecursionError):
                    continue
                yield from _walk(value)
            else:
                for found in _TORN_MEMBER.finditer(piece.data.decode("utf-8", "replace")):
                    if (rule := _rule_of(found["name"])) is not None:
                        yield _Named(rule, found["name"], found["value"])


def _walk(value: Any) -> Iterator[_Named]:
    # What stands in an object or array under a secret name is secret, too.
    stack: list[tuple[Any, str | None, str]] = [(value, None, "")]
    while stack:
        value, rule, name = stack.pop()
        if isinstance(value, _Object):
            above = None if rule in _PERSONAL else rule
            for key, member in value:
                own = _rule_of(key)
                stack.append((member, own, key) if own is not None else (member, above, name))
            yield from _pair_object(value)
        elif isinstance(value, list):
            if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], str):
                yield from _pair(value[0], value[1])
            stack += [(item, rule, name) for item in value]
        elif isinstance(value, str) and rule is not None:
            # Whether a number is a pseudonym cannot be told.
            if rule in _PERSONAL and isinstance(value, _Number):
                continue
            yield _Named(rule, name, value)


def _pair_object(members: _Object) -> Iterator[_Named]:
    """A name and a value as two members, as HAR and form libraries have them."""
    if len(members) > 8:
        return
    names = [value for key, value in members if key in _PAIR_NAMES and isinstance(value, str)]
    values = [value for key, value in members if key == "value" and isinstance(value, str)]
    for name in names:
        for value in values:
            yield from _pair(name, value)


def _pair(name: str, value: str) -> Iterator[_Named]:
    rule = _rule_of(name)
    if rule is not None and rule not in _PERSONAL:
        yield _Named(rule, name, value)
