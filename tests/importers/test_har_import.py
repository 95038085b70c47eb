"""HAR files from the command line to the recording; fixtures of the tools themselves."""

from __future__ import annotations

import base64
import functools
import gzip
import io
import json
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recorder.importers import Summary, import_file
from recorder.importers.time_order import TimeOrder
from recorder.model import Closed, MessageEntry, Note, Request, Response
from recorder.recording import Reader
from recorder.redaction import Redactor
from tests.importers.hars import big_har

FIXTURES = Path(__file__).parents[2] / "fixtures"
BROWSER = FIXTURES / "browser.har"


class Chunks(io.RawIOBase):
    """A file that is made while it is read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def read(self, size: int = -1, /) -> bytes:
        return next(self._chunks, b"")


def imported(data: bytes, made: Path, **options: Any) -> Summary:
    return import_file(io.BytesIO(data), made, name="x.har", force=True, **options)


def read(path: Path) -> list[Any]:
    with Reader(path) as reader:
        found = list(reader)
        assert reader.complete
    return found


def messages(path: Path) -> list[tuple[str, bytes]]:
    return [(each.opcode, each.data) for each in read(path) if isinstance(each, MessageEntry)]


def what_was_sent() -> Iterator[tuple[str, bytes]]:
    """The messages of the server whose traffic the browser and curl saw."""
    for sent in json.loads((FIXTURES / "curl-capture.expected.json").read_text("utf-8")):
        match sent["kind"], sent["data"]:
            case "text", str(text):
                yield "text", text.encode()
            case "fragments", list(texts):
                yield "text", "".join(texts).encode()
            case "binary", str(data):
                yield "binary", base64.b64decode(data)


def test_the_browsers_har_holds_exactly_what_the_server_sent(tmp_path: Path) -> None:
    made = tmp_path / "r.track.jsonl"
    summary = imported(BROWSER.read_bytes(), made)
    received = [
        (each.opcode, each.data)
        for each in read(made)
        if isinstance(each, MessageEntry) and each.sender == "server"
    ]
    assert received == list(what_was_sent())
    assert (summary.format, summary.messages, summary.exchanges) == ("har", 16, 4)
    assert summary.torn is None
    text = made.read_text("utf-8")
    assert "s3cret-har" not in text
    assert "node0har1secret" not in text
    assert "api-user" not in text


def test_the_header_says_who_made_the_har_and_when_it_began(tmp_path: Path) -> None:
    made = tmp_path / "r.track.jsonl"
    imported(BROWSER.read_bytes(), made)
    with Reader(made) as reader:
        header = reader.header
    assert header.started_at == "2026-11-22T18:19:40.033000000Z"
    assert (header.mode, header.fidelity, header.timing) == ("import", "messages", "measured")
    assert header.upstream == "http://127.0.0.1:44469"
    assert json.loads(bytes(header.meta["creator"])) == {"name": "Playwright", "version": "1.65.1"}
    [note] = [each for each in read(made) if isinstance(each, Note)]
    assert note.text == "POST /api/session: no response; net::ERR_EMPTY_RESPONSE"


def test_mitmproxy_and_chrome_saved_the_same_traffic(tmp_path: Path) -> None:
    mitmproxy, chrome = tmp_path / "m.track.jsonl", tmp_path / "c.track.jsonl"
    for name, made in (("mitmproxy", mitmproxy), ("chrome-devtools", chrome)):
        data = (FIXTURES / "har" / f"{name}.har").read_bytes()
        summary = imported(data, made)
        assert (summary.messages, summary.exchanges) == (9, 5)
        assert b"s3cret-mitm" in data
        assert "s3cret-mitm" not in made.read_text("utf-8")
        assert "node07be3289e47dc058808a3464c906e1ab8" not in made.read_text("utf-8")
    assert messages(mitmproxy) == messages(chrome)
    assert messages(mitmproxy)[4] == ("binary", b"\x00\x01~{\xff")

    def heads(path: Path) -> list[tuple[str, str, int]]:
        entries = read(path)
        asked = {each.connection: each for each in entries if isinstance(each, Request)}
        return [
            (asked[each.connection].method, asked[each.connection].target, each.status)
            for each in entries
            if isinstance(each, Response)
        ]

    assert heads(mitmproxy) == heads(chrome)
    assert heads(mitmproxy)[2] == ("GET", "/api/devices?id=abc", 404)


def test_no_place_of_a_har_keeps_a_secret(tmp_path: Path) -> None:
    secret = "node0plantedsecret.node0"
    cookie = {"name": "Cookie", "value": f"JSESSIONID={secret}"}
    request = {
        "method": "POST",
        "url": f"http://t.example/api/x?token={secret}",
        "headers": [cookie, {"name": "Authorization", "value": f"Bearer {secret}"}],
        "cookies": [{"name": "JSESSIONID", "value": secret}],
        "queryString": [{"name": "token", "value": secret}],
        "postData": {
            "mimeType": "application/x-www-form-urlencoded",
            "params": [{"name": "password", "value": secret}],
        },
    }
    response = {
        "status": 200,
        "headers": [{"name": "Set-Cookie", "value": f"JSESSIONID={secret}\nother={secret}"}],
        "cookies": [{"name": "JSESSIONID", "value": secret}],
        "content": {"text": json.dumps({"token": secret}), "mimeType": "application/json"},
        "redirectURL": f"http://t.example/?token={secret}",
        "_error": f"net::ERR of JSESSIONID={secret}",
    }
    entry = {
        "startedDateTime": "2026-11-22T18:19:40.000Z",
        "request": request,
        "response": response,
        "_initiator": {"url": f"http://t.example/?token={secret}", "token": secret},
        "_webSocketMessages": [
            {
                "type": "send",
                "time": 1795371580.5,
                "opcode": 1,
                "data": json.dumps({"token": secret}),
            },
            {"type": "error", "time": 1795371580.5, "opcode": -1, "data": f"token={secret}"},
            {"type": "send", "opcode": 9, "data": f"token={secret}"},
        ],
    }
    log = {"creator": {"name": "x", "token": secret}, "comment": secret, "entries": [entry]}
    made = tmp_path / "r.track.jsonl"
    imported(json.dumps({"log": log}).encode(), made)
    assert "plantedsecret" not in made.read_text("utf-8")
    assert len(messages(made)) == 1


def test_firefoxs_har_lacks_what_firefox_does_not_save(tmp_path: Path) -> None:
    made = tmp_path / "r.track.jsonl"
    summary = imported((FIXTURES / "har" / "firefox.har").read_bytes(), made)
    assert summary.left_out == {
        "bodies that the HAR does not hold": 1,
        "pages": 1,
        "sockets without messages, as Firefox saves them": 1,
    }
    assert "s3cret-firefox" not in made.read_text("utf-8")
    assert "firefoxsecret" not in made.read_text("utf-8")
    with Reader(made) as reader:
        # The dates of Firefox have the zone of the machine.
        assert reader.header.started_at == "2026-11-22T18:19:40.056000000Z"
    entries = read(made)
    [aborted] = [each for each in entries if isinstance(each, Closed) and each.how == "reset"]
    assert aborted.connection == 3
    first = next(each for each in entries if isinstance(each, Response))
    assert [name for name, _ in first.headers] == ["content-type", "set-cookie", "set-cookie"]


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_a_compressed_har_is_imported(tmp_path: Path, compress: Any) -> None:
    made, plain = tmp_path / "r.track.jsonl", tmp_path / "plain.track.jsonl"
    data = BROWSER.read_bytes()
    imported(compress(data), made)
    imported(data, plain)
    assert messages(made) == messages(plain)
    packed = compress(data)
    summary = imported(packed[: len(packed) * 2 // 3], made)
    assert summary.torn is not None
    assert "data ends too early" in summary.torn
    assert messages(made) == messages(plain)[: len(messages(made))] != []


@pytest.mark.parametrize("cut", [17, 1000, 5000, 60_000, 250_000])
def test_a_torn_har_is_imported_up_to_there(tmp_path: Path, cut: int) -> None:
    made, whole = tmp_path / "r.track.jsonl", tmp_path / "whole.track.jsonl"
    data = BROWSER.read_bytes()
    imported(data, whole)
    if cut <= 1000:
        with pytest.raises(Exception, match="nothing in it could be read"):
            imported(data[:cut], made)
        return
    summary = imported(data[:cut], made)
    assert summary.torn is not None
    assert f"it ends at byte {cut}" in summary.torn
    assert messages(made) == messages(whole)[: len(messages(made))]
    assert len(messages(made)) == {60_000: 7, 250_000: 14}.get(cut, 0)


def memory_of_import(source: Chunks, made: Path, profile: Any) -> tuple[Summary, int]:
    tracemalloc.start()
    try:
        summary = import_file(
            source,
            made,
            name="big.har",
            redactor=Redactor(profile),  # type: ignore[arg-type]
        )
        return summary, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_long_socket_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_order = functools.partial(TimeOrder, max_held_bytes=500_000)
    monkeypatch.setattr("recorder.importers.TimeOrder", small_order)
    source = Chunks(big_har(messages=1000, message_bytes=10_000, calls=20, body_bytes=1000))
    made = tmp_path / "r.track.jsonl"
    summary, peak_bytes = memory_of_import(source, made, "none")
    assert (summary.messages, summary.exchanges) == (1000, 21)
    assert made.stat().st_size > 10_000_000
    assert peak_bytes < 6_000_000


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("shape", "limit_bytes"),
    [
        ({"messages": 50_000, "message_bytes": 2000, "calls": 20, "body_bytes": 1000}, 70_000_000),
        ({"messages": 1, "message_bytes": 2, "calls": 1, "body_bytes": 100_000_000}, 450_000_000),
    ],
)
def test_a_har_of_100_mb_takes_the_memory_of_its_largest_exchange(
    tmp_path: Path, shape: dict[str, int], limit_bytes: int
) -> None:
    made = tmp_path / "r.track.jsonl"
    summary, peak_bytes = memory_of_import(Chunks(big_har(**shape)), made, "none")
    assert summary.messages == shape["messages"]
    assert made.stat().st_size > 95_000_000
    assert peak_bytes < limit_bytes
