"""Where things stand in a JSON text: told by what `json` reads there."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fake_server.faults.json_places import edited, items_at, spells
from tests.profiles import examples
from tests.strategies import json_texts

EDGES = '[ {"a\\"]":"\\\\","" :{ } ,"b": [ ]} ,-1.5E+07,"},{",null ]'


def values_at(text: bytes, at: int, end: int) -> Any:
    """The value there, put together from its items."""
    if text[at] not in b"[{":
        return json.loads(text[at:end])
    items = items_at(text, at)
    if text[at] in b"[":
        assert all((item.start, item.key) == (item.value, b"") for item in items)
        return [values_at(text, item.value, item.end) for item in items]
    return {json.loads(item.key): values_at(text, item.value, item.end) for item in items}


@given(json_texts, st.sampled_from([None, 0, 1]))
@settings(max_examples=examples(150))
@example(EDGES, None)
def test_items_are_what_stands_there(text: str, indent: int | None) -> None:
    if indent is not None:
        text = json.dumps(json.loads(text), indent=indent, ensure_ascii=False)
    if text[0] in "[{":
        data = text.encode()
        # What stands around it is not looked at.
        assert values_at(b"]x" + data + b"]", 2, 2 + len(data)) == json.loads(text)


@given(st.text(st.characters(codec="utf-8")), st.booleans())
@settings(max_examples=examples(60))
def test_a_key_spells_a_name_however_it_is_escaped(name: str, ascii_only: bool) -> None:
    key = json.dumps(name, ensure_ascii=ascii_only).encode()
    assert spells(key, name)
    assert not spells(key, name + "x")


def test_edits_keep_what_is_between_them() -> None:
    edits = [(0, 0, b"<"), (1, 3, b""), (4, 5, b"xyz"), (6, 6, b">")]
    assert edited(b"abcdef", edits) == b"<adxyzf>"
