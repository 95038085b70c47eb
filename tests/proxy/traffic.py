"""Traffic of a client and a server, made by hypothesis: what each sends, and what a proxy is to
make of it.

What heads become is told here by the words of the proxy's two tables, in a second way: each field
is made together with what it is to become.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from recorder.backend import Backend
from recorder.wire.frames import Frame, close_frame
from tests.proxy.support import HOST, OWN, Ending, Script, Send, cut
from tests.strategies import close_frames, frames

MAX_HELD_BYTES = 60_000

Pairs = list[tuple[str, str]]


class Field(NamedTuple):
    """A field of a head as it stands in bytes, and what it becomes; None where it is left out."""

    sent: bytes
    got: bytes | None

    @property
    def pairs(self) -> tuple[Pairs, Pairs]:
        """Its name and value as sent and as got, as a recording has them."""
        return _pairs(self.sent), _pairs(self.got or b"")


class Head(NamedTuple):
    """A head as it stands in bytes and what it becomes; `first` and `got_first` are the parts of
    its first line.
    """

    sent: bytes
    got: bytes
    first: tuple[str, ...]
    got_first: tuple[str, ...]
    headers: Pairs
    got_headers: Pairs


class Content(NamedTuple):
    """A body on the wire, as it is, and the fields behind it."""

    wire: bytes = b""
    body: bytes = b""
    trailer: bytes = b""


class Exchange(NamedTuple):
    """A request and its responses, 1xx ones before the last, with their bodies."""

    request: Head
    asked: Content
    heads: list[Head]
    answered: Content


@dataclass(frozen=True)
class Conversation:
    """All that is said on a connection; `said` is what stands behind a 101, None without one."""

    upstream: str
    exchanges: list[Exchange]
    said: dict[str, bytes] | None
    client: Script
    server: Script

    def __repr__(self) -> str:
        return "\n".join(
            [
                f"Conversation with {self.upstream}:",
                *(
                    f"  {name}: {[(_short(data), *rest) for data, *rest in script.sends]}"
                    f" {script.ending} {script.after}"
                    for name, script in (("client", self.client), ("server", self.server))
                ),
            ]
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def sent(self, sender: str) -> bytes:
        """All bytes of a sender, as the other side is to see them."""
        parts = []
        for exchange in self.exchanges:
            if sender == "client":
                parts += [exchange.request.got, exchange.asked.wire]
            else:
                parts += [*(head.got for head in exchange.heads), exchange.answered.wire]
        return b"".join(parts) + (self.said[sender] if self.said else b"")


def _short(data: bytes) -> bytes:
    return data if len(data) < 500 else data[:200] + b" ... " + data[-200:]


def _pairs(line: bytes) -> Pairs:
    if not line:
        return []
    name, _, value = line.partition(b":")
    # A fold reads as a space (RFC 9112 section 5.2).
    lines = [
        part.strip(b" \t\r").decode("latin-1") for part in value.removesuffix(b"\n").split(b"\n")
    ]
    return [(name.decode("latin-1"), " ".join(lines))]


# Fields

_ends = st.sampled_from([b"\r\n"] * 5 + [b"\n"])
_blanks = st.sampled_from([b" "] * 4 + [b"", b"  ", b"\t", b" \t "])
_values = st.one_of(
    st.sampled_from(["a", "", "x, y", "a:b", "\xe9\xa0\x85", "a\x00\x0b\x0c\x1c\x85b", 'w="; q"']),
    st.sampled_from([f"{OWN}/x", "http://up.test:8082/x", "a  b", "\x7f\xff", "a\rb"]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=12),
    st.integers(100, 9000).map(lambda size: "z" * size),
)
_plain_names = st.sampled_from(
    [
        "Accept",
        "X-A",
        "x-a",
        "COOKIE",
        "Authorization",
        "hosts",
        "x-origin",
        "Via",
        "TE",
        "!#$%&'*+",
    ]
)


@st.composite
def plain_fields(draw: st.DrawFn) -> Field:
    """A field that passes as it is."""
    line = b"%s:%s%s%s%s" % (
        draw(_plain_names).encode(),
        draw(_blanks),
        draw(_values).encode("latin-1"),
        draw(st.sampled_from([b"", b"", b" ", b"\t"])),
        draw(_ends),
    )
    line += draw(st.sampled_from([b""] * 8 + [b" folded\r\n", b"\tHost: x\n  y\r\n"]))
    return Field(line, line)


@st.composite
def changed_field(draw: st.DrawFn, name: str, value: str, becomes: str | None) -> Field:
    """A field in odd spelling that becomes another; equal values pass as they are."""
    spelled = draw(st.sampled_from([name, name, name.lower(), name.upper()])).encode()
    end = draw(_ends)
    sent = b"%s:%s%s%s" % (spelled, draw(_blanks), value.encode("latin-1"), end)
    if becomes is None:
        return Field(sent, None)
    if becomes == value:
        return Field(sent, sent)
    return Field(sent, b"%s: %s%s" % (spelled, becomes.encode("latin-1"), end))


def _request_changes(upstream: Backend) -> list[tuple[str, str, str | None]]:
    origin = upstream.http_url.removesuffix(upstream.prefix)
    return [
        ("Origin", OWN, origin),
        ("Origin", "null", "null"),
        ("Origin", f"{OWN}1", f"{OWN}1"),
        ("Origin", "http://page.test", "http://page.test"),
        ("Referer", f"{OWN}/page?a={OWN}#b", f"{origin}{upstream.prefix}/page?a={OWN}#b"),
        ("Referer", f"{OWN}.evil.test/", f"{OWN}.evil.test/"),
        ("Referer", f"http://page.test/?u={OWN}/", f"http://page.test/?u={OWN}/"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits", None),
        ("Forwarded", f"host={HOST}", f"host={HOST}"),
    ]


def _response_changes(upstream: Backend) -> list[tuple[str, str, str | None]]:
    prefix = upstream.prefix
    origin = upstream.http_url.removesuffix(prefix)
    elsewhere = f"{origin}1/x"
    return [
        ("Location", f"{origin}{prefix}/login?next={origin}/", f"{OWN}/login?next={origin}/"),
        ("Content-Location", f"{origin}{prefix}/1", f"{OWN}/1"),
        ("Location", elsewhere, elsewhere),
        ("Location", "https://other.test/", "https://other.test/"),
        ("Location", "../x", "../x"),
        ("Access-Control-Allow-Origin", origin, OWN),
        ("Access-Control-Allow-Origin", "*", "*"),
        ("Strict-Transport-Security", "max-age=1", None),
        ("Alt-Svc", 'h3=":443"', None),
        ("Set-Cookie", "JSESSIONID=node0x1.node0;Path=/", "JSESSIONID=node0x1.node0;Path=/"),
        ("Set-Cookie", f"J=1;Path={prefix}/api", "J=1;Path=/api"),
        ("Set-Cookie", "a=b; Domain=.up.test; HttpOnly", "a=b; HttpOnly"),
        (
            "Set-Cookie",
            "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; secure; SAMESITE=none",
            "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        ),
        ("Set-Cookie", "secure=domain=x; SameSite=Lax", "secure=domain=x; SameSite=Lax"),
    ]


def _fields(
    changes: list[tuple[str, str, str | None]], neutral: bool
) -> SearchStrategy[list[Field]]:
    fields: SearchStrategy[Field] = plain_fields()
    if not neutral:
        fields |= st.sampled_from(changes).flatmap(lambda change: changed_field(*change))
    return st.lists(fields, max_size=5)


# Heads


def _head(
    first: tuple[str, ...],
    got_first: tuple[str, ...],
    line: Callable[[tuple[str, ...]], str],
    fields: Iterable[Field],
    end: bytes,
) -> Head:
    fields = list(fields)
    return Head(
        line(first).encode("latin-1") + end + b"".join(field.sent for field in fields) + end,
        line(got_first).encode("latin-1")
        + end
        + b"".join(field.got for field in fields if field.got is not None)
        + end,
        first,
        got_first,
        [pair for field in fields for pair in field.pairs[0]],
        [pair for field in fields for pair in field.pairs[1]],
    )


def _request_line(parts: tuple[str, ...]) -> str:
    return f"{parts[0]} {parts[1]} HTTP/{parts[2]}"


def _status_line(parts: tuple[str, ...]) -> str:
    return f"HTTP/{parts[2]} {parts[0]} {parts[1]}"


_targets = st.sampled_from(
    ["/", "/api/devices?id=1&id=2", "/a%20b/;x=~'()*", f"/r?u={OWN}/", "//double", "/\xe9"]
)


@st.composite
def request_heads(
    draw: st.DrawFn, upstream: Backend, method: str, extra: list[Field], neutral: bool
) -> Head:
    """The head of a request, with `extra` fields. A `neutral` one changes in nothing."""
    target = becomes = draw(_targets)
    if not neutral:
        becomes = upstream.prefix + target
        if draw(st.integers(0, 4)) == 0:
            target = OWN + target
    host = upstream.authority if neutral else HOST
    own = draw(changed_field("Host", host, upstream.authority))
    fields = draw(_fields(_request_changes(upstream), neutral)) + extra
    fields.insert(draw(st.integers(0, len(fields))), own)
    version = draw(st.sampled_from(["1.1", "1.1", "1.0"]))
    return _head(
        (method, target, version), (method, becomes, version), _request_line, fields, draw(_ends)
    )


@st.composite
def response_heads(
    draw: st.DrawFn, upstream: Backend, status: int, extra: list[Field], neutral: bool
) -> Head:
    """The head of a response."""
    first = (str(status), draw(st.sampled_from(["OK", "", "Not  Found", "\xe9\x85"])), "1.1")
    fields = draw(_fields(_response_changes(upstream), neutral)) + extra
    return _head(first, first, _status_line, fields, draw(_ends))


def same(line: str) -> Field:
    """A field that passes as it is."""
    data = f"{line}\r\n".encode()
    return Field(data, data)


# Bodies

_bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"HTTP/1.1 200 OK\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"0\r\n\r\n"]),
    st.sampled_from([65535, 65536, 65537, 140_000]).map(lambda size: b"\x00\xffab" * (size // 4)),
)
_places = st.lists(st.integers(0, 2**20), max_size=4)


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> Content:
    """A body in chunks, with extensions and a trailer."""
    extension = draw(st.sampled_from([b"", b"", b";a=b", b' ; n="v;w"']))
    end = draw(_ends)
    size = draw(st.sampled_from([b"%x", b"%X", b"00%x"]))
    chunks = [
        size % len(piece) + extension + end + piece + end for piece in cut(body, draw(_places))
    ]
    trailer = draw(st.sampled_from([b"", b"", b"X-Sum: 1" + end, b"a:b" + end + b"Host: x" + end]))
    wire = b"".join(chunks) + b"0" + extension + end + trailer + end
    return Content(wire, body, trailer)


@st.composite
def framed(draw: st.DrawFn) -> tuple[list[Field], Content]:
    """A body, and the fields that tell its end."""
    body = draw(_bodies)
    if draw(st.booleans()):
        codings = draw(st.sampled_from(["chunked", "Chunked", "gzip, chunked"]))
        return [same(f"transfer-ENCODING: {codings}")], draw(chunked(body))
    lines = draw(st.sampled_from([["Content-Length: {}"], ["content-length:{}"] * 2]))
    return [same(line.format(len(body))) for line in lines], Content(body, body)


# Exchanges


@st.composite
def exchanges(draw: st.DrawFn, upstream: Backend, neutral: bool, last: bool) -> Exchange:
    """A request and its responses. The `last` one of a connection may go on until its end."""
    method = draw(st.sampled_from(["GET", "GET", "HEAD", "POST", "PUT", "DELETE", "M-SEARCH"]))
    extra: list[Field] = []
    asked = Content()
    if method in ("POST", "PUT"):
        extra, asked = draw(framed())
    elif draw(st.integers(0, 5)) == 0:
        # An offer that is not taken: what stands behind it is the next request.
        extra = [same("Connection: upgrade"), same("Upgrade: websocket")]
    request = draw(request_heads(upstream, method, extra, neutral))
    heads = [
        draw(response_heads(upstream, status, [], neutral))
        for status in draw(st.lists(st.sampled_from([100, 102, 103]), max_size=2))
    ]
    status = draw(st.sampled_from([200, 200, 204, 302, 304, 401, 404, 503]))
    extra, answered = draw(framed())
    if last and draw(st.integers(0, 3)) == 0:
        extra, answered = [], Content(answered.body, answered.body)
    if method == "HEAD" or status in (204, 304):
        answered = Content()
    heads.append(draw(response_heads(upstream, status, extra, neutral)))
    return Exchange(request, asked, heads, answered)


@st.composite
def upgrades(draw: st.DrawFn, upstream: Backend, neutral: bool) -> Exchange:
    """The exchange that opens a socket."""
    offer = [
        same("Connection: keep-alive, Upgrade"),
        same("upgrade: WebSocket"),
        same("Sec-WebSocket-Version: 13"),
        same("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    request = draw(request_heads(upstream, "GET", offer, neutral))
    answer = [
        same("Connection: Upgrade"),
        same("Upgrade: websocket"),
        same("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    ]
    response = draw(response_heads(upstream, 101, answer, neutral))
    return Exchange(request, Content(), [response], Content())


# Frames

_rest = st.one_of(
    st.just(b""),
    st.just(b""),
    st.binary(max_size=20),
    # Longer than any frame may be.
    st.binary(max_size=30).map(lambda data: b"\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00" + data),
    st.just(b"\x81\x7f" + b"\xff" * 12),
)
_socket_bytes = st.tuples(
    st.lists(
        st.one_of(
            frames,
            frames,
            close_frames,
            st.sampled_from([126, 65535, 65536]).map(
                lambda size: Frame.make(2, b"\x80a" * (size // 2), mask=b"\x01\x02\x03\x00")
            ),
            st.sampled_from([close_frame(1000), Frame.make(8, b"\x03"), Frame.make(9, b"p")]),
        ).map(Frame.serialize),
        max_size=6,
    ),
    _rest,
).map(lambda made: b"".join(made[0]) + made[1])


# Conversations


class _Writer:
    """Makes one side's script: what it is to send, each piece behind so many bytes that came."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.size = 0
        self._draw = draw
        self._pieces: list[tuple[int, bytes]] = []

    def add(self, data: bytes, after: int) -> None:
        self.size += len(data)
        if self._pieces and after <= self._pieces[-1][0]:
            # Nothing to wait for: it may go in one chunk with what was before.
            self._pieces[-1] = (self._pieces[-1][0], self._pieces[-1][1] + data)
        else:
            self._pieces.append((after, data))

    def script(self, ending: Ending, after: int) -> Script:
        places = self._draw(_places)
        pauses = self._draw(st.lists(st.sampled_from([0, 0, 0.001, 1.0]), min_size=1, max_size=4))
        sends = [
            Send(chunk, wait, pauses[number % len(pauses)])
            for wait, data in self._pieces
            for number, chunk in enumerate(cut(data, places))
        ]
        return Script(sends, ending, after)


UPSTREAMS = [
    "http://up.test:8082",
    "http://up.test",
    "https://up.test/track",
    "http://[fd00::7]:8082/a/b",
]


@st.composite
def conversations(draw: st.DrawFn, *, neutral: bool = False) -> Conversation:
    """Exchanges, then perhaps a socket; each side waits for the other as HTTP demands, or longer.

    `neutral` ones are the same with a proxy and without: no head changes.
    """
    url = UPSTREAMS[0] if neutral else draw(st.sampled_from(UPSTREAMS))
    upstream = Backend.parse(url)
    socket = draw(st.booleans())
    count = draw(st.integers(0 if socket else 1, 3))
    made = [
        draw(exchanges(upstream, neutral, not socket and number == count))
        for number in range(1, count + 1)
    ]
    said = None
    if socket:
        made.append(draw(upgrades(upstream, neutral)))
        said = {"client": draw(_socket_bytes), "server": draw(_socket_bytes)}
    client, server = _Writer(draw), _Writer(draw)
    # How much of the other's bytes each has got: heads are longer or shorter by then.
    to_client = to_server = 0
    left = sum(len(exchange.request.got) + len(exchange.asked.wire) for exchange in made)
    left += len(said["client"]) if said else 0
    held = False
    for exchange in made:
        # Behind an offer to upgrade only so much is read before its answer.
        pipelined = draw(st.booleans()) and not (held and left > MAX_HELD_BYTES)
        held |= any(name.lower() == "upgrade" for name, _ in exchange.request.headers)
        left -= len(exchange.request.got) + len(exchange.asked.wire)
        client.add(exchange.request.sent, 0 if pipelined else to_client)
        to_server += len(exchange.request.got)
        head_at = to_server
        to_server += len(exchange.asked.wire)
        early = draw(st.booleans())
        for number, head in enumerate(exchange.heads):
            final = number + 1 == len(exchange.heads)
            server.add(head.sent, to_server if final and not early else head_at)
            to_client += len(head.got)
            if number == 0 and len(exchange.heads) > 1 and not pipelined:
                # It waits for the 100 before it sends the body (RFC 9110 section 10.1.1).
                client.add(exchange.asked.wire, to_client)
        if len(exchange.heads) == 1 or pipelined:
            client.add(exchange.asked.wire, 0)
        server.add(exchange.answered.wire, 0)
        to_client += len(exchange.answered.wire)
    if said is not None:
        at_once = draw(st.booleans()) and left <= MAX_HELD_BYTES
        client.add(said["client"], 0 if at_once else to_client)
        server.add(said["server"], to_server + draw(st.integers(0, len(said["client"]))))
        to_client += len(said["server"])
        to_server += len(said["client"])
    first = draw(st.sampled_from(["client", "server"]))
    endings: tuple[Ending, Ending] = ("eof", "answer") if first == "client" else ("answer", "eof")
    return Conversation(
        url,
        made,
        said,
        client.script(endings[0], draw(st.sampled_from([0, to_client]))),
        # A server that ends before it has heard all would take the client's word from it.
        server.script(endings[1], to_server),
    )
