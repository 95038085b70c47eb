"""Bytes that are no text are looked into as far as text may stand in them."""

from __future__ import annotations

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.redaction.binary import TEXT_RUN, is_binary, runs_with_clues
from recorder.redaction.masker import Masker
from tests.profiles import examples

SECRETS = (
    b'{"password":"hunter2hunter2"}',
    b"&password=hunter2hunter2&",
    b'{"p\\u0061ssword":"hunter2hunter2"}',
    b"%70assword=hunter2hunter2",
    b'name="password"\r\n\r\nhunter2hunter2\r\n--',
    b"Cookie: a=hunter2hunter2",
    b'["Cookie","a=hunter2hunter2"]',
    b"https://bob:hunter2hunter2@example.com/",
    b"Authorization: Basic Ym9iOmh1bnRlcjJodW50ZXIy",
    b"hunter2hunter2@example.com",
)


def noise(seed: int, size: int) -> bytes:
    # Chance makes an address of a few letters now and then.
    return random.Random(seed).randbytes(size).replace(b"@", b"A")


@given(st.integers(0, 10_000), st.integers(256, 3000), st.integers(0, 10_000))
@settings(max_examples=examples(100))
def test_random_bytes_are_binary_and_come_out_as_they_went_in_outside_of_secrets(
    seed: int, size: int, place: int
) -> None:
    data = noise(seed, size)
    assert is_binary(data)
    masker = Masker({})
    secret = SECRETS[place % len(SECRETS)]
    # What stands around it is a control, as the length of a string in an archive would be.
    around = data[: place % size] + b"\x00", b"\x01" + data[place % size :]
    assert Masker({}).mask_bytes(around[0] + around[1]) == around[0] + around[1]
    masked = masker.mask_bytes(around[0] + secret + around[1])
    assert b"hunter2" not in masked
    assert b"Ym9iOmh1" not in masked
    assert masked.startswith(around[0])
    assert masked.endswith(around[1])


@given(st.integers(0, 10_000), st.integers(256, 2000))
@settings(max_examples=examples(50))
def test_what_was_learnt_is_found_without_a_clue(seed: int, size: int) -> None:
    masker = Masker({})
    masker.learn("password", "correct horse")
    masked = masker.mask_bytes(noise(seed, size) + b"\x00correct horse\x00")
    assert b"correct" not in masked


@given(st.text(max_size=40).map(lambda text: text.encode()), st.integers(256, 600))
@example(b"", 256)
def test_text_is_never_called_binary(text: bytes, size: int) -> None:
    plain = bytes(code for code in text if code >= 32 and code != 127) or b"x"
    assert not is_binary(plain * size)
    assert not is_binary("Größe: 3 µm\r\n".encode("iso-8859-1") * size)


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=200), st.booleans())
@settings(max_examples=examples(300))
def test_runs_are_whole_in_order_and_the_last_one_is_there(text: str, and_last: bool) -> None:
    runs = list(runs_with_clues(text, and_last=and_last))
    whole = {found.span() for found in TEXT_RUN.finditer(text)}
    assert all(any(a <= start and end <= b for a, b in whole) for start, end in runs if end > start)
    assert runs == sorted(runs)
    if and_last and text and (last := max(whole, default=(0, 0)))[1] == len(text):
        assert runs[-1][1] == len(text)
        assert runs[-1][0] <= max(last[0], runs[-2][1] if len(runs) > 1 else 0)
