"""Compressed files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.importers.expansion import Expansion, TooLarge
from tests.profiles import examples

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zlib": lambda data: zlib.compress(data, 9),
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}
EACH = pytest.mark.parametrize("coding", sorted(CODINGS))
DATA = bytes(range(256)) * 40


def expansion(data: bytes, *, chunk_bytes: int = 4096, max_bytes: int = 1 << 30) -> Expansion:
    chunks = (data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes))
    return Expansion(chunks, max_bytes=max_bytes)


@settings(max_examples=examples(60))
@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=3),
    st.sampled_from(["gzip", "zstd"]),
    st.integers(1, 99),
)
def test_members_behind_each_other_are_one_file(
    members: list[bytes], coding: str, chunk_bytes: int
) -> None:
    data = b"".join(map(CODINGS[coding], members))
    found = expansion(data, chunk_bytes=chunk_bytes)
    assert b"".join(found) == b"".join(members)
    assert (found.coding, found.torn) == (coding, None)


@settings(max_examples=examples(60))
@given(st.binary(max_size=60).filter(lambda data: Expansion(iter([data])).coding == ""))
def test_what_is_not_compressed_stays_as_it_is(data: bytes) -> None:
    found = expansion(data, chunk_bytes=7)
    assert b"".join(found) == data
    assert found.torn is None


@EACH
def test_a_cut_file_gives_what_came_before_and_says_so(coding: str) -> None:
    data = CODINGS[coding](DATA)
    found = expansion(data[:-5])
    assert DATA.startswith(b"".join(found))
    assert found.torn is not None
    assert f"its {coding} data ends too early" in found.torn


@EACH
def test_a_damaged_file_says_so(coding: str) -> None:
    data = CODINGS[coding](DATA)
    found = expansion(data[:12] + b"\xff" * 20 + data[32:])
    list(found)
    assert found.torn is not None
    assert f"its {coding} data is damaged behind " in found.torn


@EACH
def test_a_bomb_is_stopped_at_the_limit_and_never_held(coding: str) -> None:
    found = expansion(CODINGS[coding](bytes(100_000_000)), max_bytes=50_000_000)
    sizes = []
    with pytest.raises(TooLarge, match="more than 50000000 bytes once expanded"):
        sizes += [len(chunk) for chunk in found]
    assert max(sizes, default=0) <= 32 * 1024 * 1024
