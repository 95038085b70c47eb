"""Masking: XOR with the key's byte i mod 4 (RFC 6455 section 5.3), in C and in Python alike."""

from __future__ import annotations

import importlib
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import recorder.wire.masking
from recorder.wire.masking import apply_mask, apply_mask_in_python
from tests.profiles import examples

keys = st.binary(min_size=4, max_size=4)


def by_the_rfc(data: bytes, key: bytes) -> bytes:
    return bytes(octet ^ key[i % 4] for i, octet in enumerate(data))


@settings(max_examples=examples(500))
@given(st.binary(max_size=200), keys)
@example(b"", b"\xff\xff\xff\xff")
@example(b"\0\0\0\0\0", b"\0\0\0\0")
@example(b"a" * 65537, b"\x01\x02\x03\x04")
def test_both_ways_mask_as_the_rfc_says(data: bytes, key: bytes) -> None:
    expected = by_the_rfc(data, key)
    assert apply_mask(data, key) == expected
    assert apply_mask_in_python(data, key) == expected


@given(st.binary(max_size=200), keys)
def test_masking_twice_gives_the_data_back(data: bytes, key: bytes) -> None:
    assert apply_mask_in_python(apply_mask_in_python(data, key), key) == data
    assert apply_mask(apply_mask(data, key), key) == data


def test_without_the_c_function_the_python_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "websockets.speedups", None)
        importlib.reload(recorder.wire.masking)
        chosen = recorder.wire.masking.apply_mask
        in_python = recorder.wire.masking.apply_mask_in_python
    importlib.reload(recorder.wire.masking)
    assert chosen is in_python
