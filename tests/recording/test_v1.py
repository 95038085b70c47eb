"""Lines of format version 1: what is read comes out again, and what cannot be read says so."""

from __future__ import annotations

import contextlib
import json
import re

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.errors import CorruptRecording, RecordingError, UnsupportedVersion
from recorder.model import EXTRA_KEY, Checkpoint, Header, KnownEntry, Note, UnknownEntry
from recorder.recording import (
    decode_entry,
    decode_header,
    encode_entry,
    encode_header,
    with_seq,
)
from tests.profiles import examples
from tests.strategies import entries, headers, json_texts, known_entries, make_header, texts

SECRET = "hunter2"
NOTE = b'{"kind":"note","seq":1,"offset_ns":0,"text":"x"%s}'
FRAME = (
    '{"kind":"frame","seq":1,"offset_ns":0,"connection":1,"sender":"server","fin":true,'
    '"opcode":"text","head":"8101"%s}'
)


@given(entries(seqs=st.integers(1, 2**53)))
@settings(max_examples=examples(1000))
def test_an_entry_comes_back_as_it_was_written(entry: KnownEntry | UnknownEntry) -> None:
    line = encode_entry(entry)
    assert b"\n" not in line
    assert decode_entry(line, where="REC:2") == entry
    assert encode_entry(decode_entry(line, where="REC:2")) == line


@given(headers())
@settings(max_examples=examples(100))
def test_a_header_comes_back_as_it_was_written(header: Header) -> None:
    line = encode_header(header)
    shown = json.loads(line)
    for members in (shown, shown["redaction"], shown["series"] or {}):
        assert EXTRA_KEY not in members
    assert decode_header(line, where="REC:1") == header


@given(st.binary(max_size=60) | json_texts.map(str.encode))
@example(b"")
@example(b"\xff")
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"kind":"note","seq":1,"offset_ns":0,"text":"\\ud800"}')
@example(b'{"kind":"note","seq":1,"offset_ns":NaN,"text":""}')
@example(b'{"kind":"note","seq":1,"offset_ns":0,"text":"x","a":' + b"1" * 10_000 + b"}")
@settings(max_examples=examples(500))
def test_any_bytes_give_an_entry_or_our_error(line: bytes) -> None:
    with contextlib.suppress(CorruptRecording):
        decode_entry(line, where="REC:17")
    with contextlib.suppress(RecordingError):
        decode_header(line, where="REC:1")


@given(known_entries(), st.data())
@settings(max_examples=examples(300))
def test_any_change_of_a_line_gives_an_entry_or_our_error(
    entry: KnownEntry, data: st.DataObject
) -> None:
    line = bytearray(encode_entry(entry))
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode_entry(bytes(line), where="REC:2")
    except CorruptRecording:
        return
    assert decode_entry(encode_entry(found), where="REC:2") == found


@given(texts.map("x-{}".format), json_texts)
@example("x", "1.10")
@example("x", "NaN")
@example("x", '"\\ud800"')
@example("x", "1" * 10_000)
@example(EXTRA_KEY, "{}")
@example(EXTRA_KEY, '{"a":1}')
def test_an_unknown_key_keeps_its_very_text(name: str, value: str) -> None:
    line = NOTE % f",{json.dumps(name, ensure_ascii=False)}:{value}".encode()
    entry = decode_entry(line, where="REC:2")
    assert isinstance(entry, Note)
    assert {key: bytes(raw) for key, raw in entry.extra.items()} == {name: value.encode()}
    assert decode_entry(encode_entry(entry), where="REC:2") == entry
    assert value.encode() in encode_entry(entry)


def test_unknown_keys_go_beside_the_known_ones_in_their_order() -> None:
    line = NOTE % b',"b":1.10,"a":[1, 2]'
    entry = decode_entry(line, where="REC:2")
    assert encode_entry(entry) == line


def test_the_inner_name_of_extra_in_a_file_is_an_unknown_key_like_any_other() -> None:
    line = NOTE % f',"{EXTRA_KEY}":{{"text":"y"}}'.encode()
    entry = decode_entry(line, where="REC:2")
    assert isinstance(entry, Note)
    assert entry.text == "x"
    assert encode_entry(entry) == line


def test_a_name_with_a_lone_surrogate_survives() -> None:
    line = NOTE % b',"\\ud800":1'
    assert encode_entry(decode_entry(line, where="REC:2")) == line


def test_an_unknown_kind_keeps_its_line_to_the_byte() -> None:
    line = b' { "x" : NaN, "kind":"later","seq": 4 ,"offset_ns":null,"y":"\\ud800"}'
    entry = decode_entry(line, where="REC:5")
    assert entry == UnknownEntry(kind="later", seq=4, offset_ns=None, line=line)
    assert encode_entry(entry) == line


def test_a_new_seq_changes_nothing_else_of_an_unknown_kind() -> None:
    line = '{"é":1.10, "seq": 4 ,"kind":"later","offset_ns":9}'.encode()
    entry = with_seq(decode_entry(line, where="REC:5"), 123)
    assert encode_entry(entry) == line.replace(b" 4 ", b" 123 ")
    assert decode_entry(encode_entry(entry), where="REC:5") == entry


def test_line_breaks_of_raw_json_become_white_space() -> None:
    laid_out = msgspec.Raw(b'{\n "id": 1\n}')
    for entry in (
        Checkpoint(offset_ns=0, devices=[laid_out]),
        Note(offset_ns=0, text="", extra={"x": laid_out}),
    ):
        line = encode_entry(entry)
        assert b"\n" not in line
        assert b'{  "id": 1 }' in line


def test_an_unknown_key_may_not_take_the_place_of_a_known_one() -> None:
    with pytest.raises(ValueError, match="text: known keys"):
        encode_entry(Note(offset_ns=0, text="", extra={"text": msgspec.Raw(b"1")}))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (FRAME % ',"text":"x","base64":"eA=="', "both `text` and `base64`"),
        (FRAME % ',"base64":"hunter2"', "a `base64` that is none"),
        (FRAME % ',"base64":"hunter2\\u00e9"', "a `base64` that is none"),
        (FRAME % ',"text":"x","code":1000', "a `code` beside a payload"),
        (FRAME % ',"code":65536', "a `code` outside 0 to 65535"),
        (FRAME % ',"reason":"hunter2"', "a `reason` without a `code`"),
        (FRAME.replace("8101", "hunter2") % "", "a `head` that is no hex"),
        (FRAME.replace("8101", "81") % "", "a `head` of less than two bytes"),
        (FRAME.replace('"text"', '"hunter2"') % "", "an `opcode` that is no name of one"),
        (FRAME.replace('"text"', "16") % "", "an `opcode` that is no name of one"),
        (FRAME.replace('"server"', '"hunter2"') % "", "Invalid enum value - at `$.sender`"),
        (FRAME.replace('"server"', '"hun\'ter2"') % "", "Invalid enum value - at `$.sender`"),
        (FRAME.replace("true", '"hunter2"') % "", "Expected `bool`, got `str` - at `$.fin`"),
        (FRAME.replace('"fin":true,', "") % "", "missing required field `fin`"),
        (FRAME.replace('"seq":1', '"seq":1.5') % "", "Expected `int`, got `float` - at `$.seq`"),
        (FRAME.replace('"seq":1,', "") % ',"x":1', "missing required field `seq`"),
        ('{"kind":"later","offset_ns":0}', "missing required field `seq`"),
        ('{"seq":1,"offset_ns":0}', "missing required field `kind`"),
        (FRAME % ',"text":"hunter2', "none at character"),
        (FRAME % ',"text":"hunter2"} {', "expected the end of the line"),
        (FRAME % ',"text":"hunter2\\ud800"', "a lone surrogate"),
        ('["hunter2"]', "expected an object"),
        ("", "none at character 0 of 0"),
        ('{"kind":"header","seq":1,"offset_ns":0}', "a second header"),
        ('{"kind":"note","seq":1,"offset_ns":0,"text":"hunter2\x01"}', "Invalid control character"),
    ],
)
def test_a_wrong_line_is_refused_by_name_and_shows_no_value(line: str, found: str) -> None:
    with pytest.raises(CorruptRecording) as caught:
        decode_entry(line.encode(), where="REC:17")
    message = str(caught.value)
    assert message.startswith("REC:17: expected ")
    assert found in message
    assert SECRET not in message
    assert "hun'" not in message


def test_bytes_that_are_no_utf8_are_refused_also_where_json_is_kept_raw() -> None:
    line = b'{"kind":"checkpoint","seq":1,"offset_ns":0,"devices":["\xff"]}'
    with pytest.raises(CorruptRecording, match="no UTF-8"):
        decode_entry(line, where="REC:2")


def test_a_newer_version_is_refused_by_its_number() -> None:
    line = b'{"kind":"header","format":"track-recording","version":7,"fidelity":["new"]}'
    with pytest.raises(UnsupportedVersion, match=r"REC:1: format version 7 .* a newer tracktape"):
        decode_header(line, where="REC:1")


@pytest.mark.parametrize("version", [b"0", b'"1"', b"-3"])
def test_a_version_that_never_was_is_refused(version: bytes) -> None:
    line = encode_header(make_header()).replace(b'"version":1', b'"version":' + version)
    with pytest.raises(RecordingError, match="REC:1: expected"):
        decode_header(line, where="REC:1")


def test_another_json_object_is_no_header() -> None:
    with pytest.raises(RecordingError, match=re.escape("expected the header of a recording")):
        decode_header(b'{"version":3,"asciicast":true}', where="REC:1")
