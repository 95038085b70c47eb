"""What the profile ``share`` replaces in one text.

Strategy: nothing needs the text to be of one kind. Fields of JSON go by their names
(:mod:`~recorder.redaction.share.tokens`), and so do those of forms, URLs and lines of a log; UUIDs,
MACs, phones and places are found by their shape anywhere; and what stood under a name is found
again as words (:mod:`~recorder.redaction.share.learnt`). Where two of these meet, the wider one
counts. Time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from recorder.redaction.edits import Edit
from recorder.redaction.rules import WHOLE_MARK, mark
from recorder.redaction.share.fields import PLACE_RULES, Field, field_of
from recorder.redaction.share.key import RedactionKey
from recorder.redaction.share.learnt import Learnt
from recorder.redaction.share.merged import in_order
from recorder.redaction.share.places import Found, Places
from recorder.redaction.share.pseudonyms import Pseudonyms, identifiers_in, normal, readings
from recorder.redaction.share.sphere import Motion
from recorder.redaction.share.tokens import TOKEN

__all__ = ["Share"]

# A name in a form, a URL or a line of a log. Its value is read only where it is known: of
# `q=phone=1` the second name counts.
_NAME: Final = re.compile(r"(?<![\w%.\[\]-])([A-Za-z][\w.\[\]-]{0,60}+)=")
_VALUE: Final = re.compile(r"[^&\s\"'<>#;,]++")
# The same with a colon, for names that are no words of prose.
_COLON_NAME: Final = re.compile(
    r"(?<![\w\"'\\%-])(lat(?:itude)?|lon(?:g(?:itude)?)?|lng|(?:device)?uniqueId|im[es]i|iccid|phone|mac)"
    r"[ \t]{0,3}:[ \t]{0,3}",
    re.IGNORECASE,
)
# A letter before a colon is rare in JSON, where a quote stands between: a screen for the above.
_LETTERS: Final = bytes(ord("a") if chr(code).isalpha() else code for code in range(256))
_COLON_VALUE: Final = re.compile(r"[^\s\"'<>{}\[\],;&]++")
_FORM_PART: Final = re.compile(
    r"form-data;[^\r\n]{0,200}?\bname=\"([^\"\r\n]{1,60}+)\"[^\r\n]{0,200}+\r?\n"
    r"(?:[^\r\n]{1,400}+\r?\n){0,9}+\r?\n"
)
_LINE: Final = re.compile(r"[^\r\n]++")
# E.164, as people write it: separators between the digits. Time zones have four digits at most.
_PHONE: Final = re.compile(r"\+(?<![\w.+)]\+)[1-9](?:[ ()/-]{0,3}[0-9]){7,14}(?!\w|\.[0-9])")


class Share:
    """The transform of profile ``share``. Feed it the texts of a recording in their order: what it
    learns from one it finds in those after it. ``learnt`` may come from an earlier reading.
    """

    def __init__(self, key: RedactionKey, *, learnt: Learnt | None = None) -> None:
        self.pseudonyms: Final = Pseudonyms(key)
        self.learnt: Final = Learnt() if learnt is None else learnt
        self._places: Final = Places(Motion(key))

    def edits(self, text: str) -> Sequence[Edit]:
        """The replacements of one text, in order, not overlapping."""
        by_name: list[Edit] = []
        if '"' in text:
            by_name += self._json(text)
        if "=" in text:
            by_name += self._pairs(text, _NAME, _VALUE)
            if "form-data" in text:
                by_name += self._pairs(text, _FORM_PART, _LINE)
        if b"a:" in text.encode("iso-8859-1", "replace").translate(_LETTERS, b" \t"):
            by_name += self._pairs(text, _COLON_NAME, _COLON_VALUE)
        by_shape = [*self._shapes(text), *self._learnt_in(text)]
        return in_order(by_name, by_shape)

    def of_bytes(self, data: bytes) -> bytes:
        """The mark of bytes that cannot be looked into: their size, and what tells equal ones."""
        return f"[redacted:bytes-{len(data)}-{self.pseudonyms.of_bytes(data)}]".encode()

    # By name

    def _json(self, text: str) -> list[Edit]:
        found: list[Edit] = []
        # Of each open container the rule of its strings, and the places in it.
        outer: list[tuple[Field | None, list[Found] | None]] = []
        strings: Field | None = None
        places: list[Found] | None = None
        expected: Field | None = None
        for token in TOKEN.finditer(text):
            kind = token.lastgroup
            if kind == "string" or kind == "number" or (kind == "text" and strings is not None):
                field = strings if kind == "text" else field_of(token["text"])
                if field is None:
                    pass
                elif field.rule in PLACE_RULES:
                    places = [] if places is None else places
                    places.append(Found(*token.span(kind), field))
                else:
                    found += self._value(token, kind, field.rule)
            elif kind == "bracket":
                bracket = token[0]
                if bracket in "{[":
                    outer.append((strings, places))
                    strings, places = expected if bracket == "[" else None, None
                else:
                    if places:
                        found += self._places.edits(text, places)
                    strings, places = outer.pop() if outer else (None, None)
            elif kind == "colon":
                expected = field_of(token["text"])
                continue
            expected = None
        # A text may be torn: what is open is complete.
        for inside in (*(one for _, one in outer), places):
            if inside:
                found += self._places.edits(text, inside)
        return found

    def _value(self, token: re.Match[str], group: str, rule: str) -> Iterable[Edit]:
        start, end = token.span(group)
        value = token[group]
        if group == "number":
            new = None if rule in ("text", "area") else self.pseudonyms.number(rule, value)
        else:
            new = self._of(rule, value, token.string, start)
        return () if new is None else (Edit(start, end, new, rule),)

    def _of(self, rule: str, value: str, text: str, start: int) -> str | None:
        """What stands in place of a value, which stands in ``text`` at ``start``; it is learnt."""
        if rule == "area":
            # Its points are edits of their own.
            is_known = self._places.is_shape(text, start) or not normal(value)
            return None if is_known or WHOLE_MARK.fullmatch(value) else mark("area")
        new = self.pseudonyms.of(rule, value)
        if new is not None and rule != "text" and value not in self.learnt:
            for reads in readings(value):
                self.learnt.add(reads, self.pseudonyms.of(rule, reads) or new, rule)
        return new

    def _pairs(self, text: str, names: re.Pattern[str], values: re.Pattern[str]) -> list[Edit]:
        found: list[Edit] = []
        places: list[Found] = []
        done = 0
        for name in names.finditer(text):
            # A name inside a value is passed over; else `phone=phone=…` would take quadratic time.
            field = field_of(name[1]) if name.start() >= done else None
            if field is None:
                continue
            # `name="x"` of HTML and of heads is no form.
            if names is _NAME and field.rule == "name" and not _begins_field(text, name.start()):
                continue
            value = values.match(text, name.end())
            if value is None:
                continue
            start, done = value.span()
            if field.rule in PLACE_RULES:
                # `lat=point.lat` is program text.
                if any(map(str.isdigit, value[0])):
                    places.append(Found(start, done, field))
            elif (new := self._of(field.rule, value[0], text, start)) is not None:
                found.append(Edit(start, done, new, field.rule))
        return found + self._places.edits(text, places) if places else found

    # By shape

    def _shapes(self, text: str) -> Iterable[Edit]:
        for rule, match in identifiers_in(text):
            new = self.pseudonyms.of(rule, match[0])
            if new is not None:
                yield Edit(match.start(), match.end(), new, rule)
        if "+" in text:
            for match in _PHONE.finditer(text):
                new = self.pseudonyms.of("phone", match[0])
                if new is not None:
                    yield Edit(match.start(), match.end(), new, "phone")
        yield from self._places.shapes(text)

    def _learnt_in(self, text: str) -> Iterable[Edit]:
        for start, end, new, rule in self.learnt.found_in(text):
            if _IS_KEY.match(text, end):
                continue
            is_number = text[start:end].isdigit() and _is_json_number(text, start, end)
            yield Edit(start, end, new.lstrip("0") if is_number else new, rule)


_IS_KEY: Final = re.compile(r'[^"\\{}]{0,100}+"\s*+:')
_BEFORE_NUMBER: Final = re.compile(r"[:\[,]\s*\Z")
_AFTER_NUMBER: Final = re.compile(r"\s*+(?:[,\]}]|\Z)")


def _begins_field(text: str, at: int) -> bool:
    """Whether a field of a form or a URL begins there."""
    return at == 0 or text[at - 1] in "?&"


def _is_json_number(text: str, start: int, end: int) -> bool:
    return bool(
        _BEFORE_NUMBER.search(text, max(0, start - 20), start) and _AFTER_NUMBER.match(text, end)
    )
