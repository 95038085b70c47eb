"""Bytes that cannot be read are told, unless they are few or an image."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import random
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.leaks.joining import WINDOW_BYTES
from recorder.leaks.opaque import MIN_OPAQUE_BYTES, opaque_in
from recorder.model import Body, Bytes, FrameEntry, Response, encode_bytes
from recorder.wire.frames import Frame
from tests.leaks.support import detectors, known, look_at, look_through
from tests.profiles import examples

TEXT: Final = b"password=hunter22secretXY\n" * 20


def noise(size: int, seed: int = 3) -> bytes:
    return random.Random(seed).randbytes(size)


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", data)
    return file.getvalue()


ARCHIVES: Final = {
    "zip": zipped(TEXT),
    "bzip2": bz2.compress(TEXT),
    "xz": lzma.compress(TEXT),
    "7z": b"7z\xbc\xaf\x27\x1c\x00\x04" + noise(30),
    "rar": b"Rar!\x1a\x07\x01\x00" + noise(30),
    "lz4": b"\x04\x22\x4d\x18" + noise(30),
}
IMAGES: Final = {
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
    "GIF": b"GIF89a\1\0\1\0\x80",
    "WebP": b"RIFF\x24\0\0\0WEBPVP8 ",
    "ICO": b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0",
}


def message(data: bytes) -> list[Any]:
    return [FrameEntry.of(Frame.make(2, data), connection=1, sender="server", offset_ns=1)]


def body(data: bytes, *headers: tuple[str, str], piece_bytes: int = 50_000) -> list[Any]:
    pieces = [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)]
    return [
        Response(connection=1, exchange=1, status=200, headers=list(headers), offset_ns=1),
        *(
            Body(
                connection=1,
                exchange=1,
                sender="server",
                last=number == len(pieces),
                offset_ns=1,
                **encode_bytes(piece),
            )
            for number, piece in enumerate(pieces, 1)
        ),
    ]


def told(entries: list[Any]) -> list[str]:
    return [f"{one.detector}: {one.what}" for one in look_at(entries)]


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_told_wherever_it_is(name: str, tmp_path: Path) -> None:
    data = ARCHIVES[name]
    expected = [f"not-looked-into: an archive or compressed file: {name}"]
    assert told(message(data)) == expected
    assert told(body(data, piece_bytes=20)) == expected
    assert told(message(gzip.compress(data))) == expected
    assert told(message(b"--edge\r\n\r\n" + data + b"\xff\r\n--edge--")) == expected
    (tmp_path / "file").write_bytes(data)
    assert detectors(look_through(tmp_path / "file")[0]) == ["not-looked-into"]


@pytest.mark.parametrize("name", ["zip", "bzip2", "xz", "7z", "rar"])
def test_an_archive_in_base64_is_told(name: str) -> None:
    text = b'{"encoding":"base64","text":"' + base64.b64encode(ARCHIVES[name]) + b'"}'
    assert told(message(text)) == [f"not-looked-into: an archive or compressed file: {name}"]


@pytest.mark.parametrize("size_bytes", [200, 20_000, WINDOW_BYTES // 4])
def test_bytes_that_are_no_text_are_told_once(size_bytes: int, tmp_path: Path) -> None:
    data = noise(size_bytes)
    torn = Bytes(connection=1, sender="client", why="torn", offset_ns=1, **encode_bytes(data))
    for entries in (message(data), body(data), message(zlib.compress(data)), [torn]):
        assert detectors(look_at(entries)).count("not-looked-into") == 1
    (tmp_path / "file").write_bytes(data)
    _, look = look_through(tmp_path / "file")
    assert look.counts["not-looked-into"] == 1


def test_bytes_of_several_windows_are_told_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in ("joining", "judge", "looking"):
        monkeypatch.setattr(f"recorder.leaks.{module}.WINDOW_BYTES", 20_000)
    data = noise(90_000)
    (tmp_path / "file").write_bytes(data)
    counts = look_through(tmp_path / "file")[1].counts
    assert counts["not-looked-into"] == 1
    for entries in (message(data), body(data), body(data, ("Content-Encoding", "br"))):
        assert detectors(look_at(entries)).count("not-looked-into") == 1


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 3000), st.integers(0, 3000))
def test_bytes_that_are_no_text_are_told_between_texts(seed: int, before: int, after: int) -> None:
    # Two KiB fill one block of one at least.
    data = b"plain words " * (before // 12) + noise(2048, seed) + b"plain words " * (after // 12)
    assert opaque_in(data) is not None


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=MIN_OPAQUE_BYTES - 1))
def test_a_few_bytes_are_no_finding(data: bytes) -> None:
    assert opaque_in(data) is None
    assert opaque_in(b"a text of words\n" * 9 + data) is None


@settings(max_examples=examples(100), deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=500))
def test_text_with_a_byte_that_is_wrong_is_no_finding(text: str) -> None:
    assert opaque_in(text.encode() + b"\xff") is None


@pytest.mark.parametrize(
    "data",
    [
        ("Привет, мир. " * 50).encode("cp1251"),
        ("日本語テキスト" * 50).encode("shift_jis"),
        "grüße an alle ".encode("utf-16") * 40,
        bytes(5000) + b"\xff",
        b"".join(struct.pack("<IH", n, 3) + b"name of a thing\0" for n in range(60)) + b"\xff",
        gzip.compress(b"nothing to see here, " * 90),
        b"\xff\x00" + gzip.compress(bytes(noise(900).hex(), "ascii")),
    ],
    ids=["cp1251", "Shift JIS", "UTF-16", "zeros", "records", "gzip", "gzip behind bytes"],
)
def test_what_can_be_read_in_any_way_is_no_finding(data: bytes) -> None:
    assert told(message(data)) == []


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_counted_and_no_finding(name: str, tmp_path: Path) -> None:
    # By chance an address stands in it.
    data = IMAGES[name] + noise(3000) + b" x@example.com " + noise(3000)
    (tmp_path / "file").write_bytes(data)
    findings, look = look_through(tmp_path / "file")
    assert (findings, look.passed_over) == ([], {"image": 1})
    assert told(message(data)) == told(body(data)) == told(message(gzip.compress(data))) == []


def test_an_image_of_several_windows_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for module in ("joining", "judge", "looking"):
        monkeypatch.setattr(f"recorder.leaks.{module}.WINDOW_BYTES", 20_000)
    (tmp_path / "file").write_bytes(IMAGES["PNG"] + noise(90_000))
    findings, look = look_through(tmp_path / "file")
    assert (findings, look.passed_over) == ([], {"image": 1})
    assert told(body(IMAGES["PNG"] + noise(90_000))) == []


def test_a_known_value_is_found_in_an_image() -> None:
    data = IMAGES["PNG"] + noise(500) + b"correct-horse" + noise(500)
    assert detectors(look_at(message(data), known("correct-horse"))) == ["value"]


def test_a_text_that_begins_like_an_image_is_looked_at() -> None:
    assert detectors(look_at(message(b"GIF89a password=hunter22secret"))) == ["password"]


def test_lengths_and_numbers_that_begin_like_an_icon_are_told() -> None:
    data = b"\0\0\1\0" + noise(500)
    assert told(message(data)) == [
        "not-looked-into: bytes that are no text, and of no kind that is known"
    ]
