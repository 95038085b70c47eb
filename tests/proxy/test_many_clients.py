"""Many clients of one proxy: whose is what, in which order, and without secrets."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import Closed, Open
from recorder.wire.frames import Frame
from tests.profiles import examples
from tests.proxy.support import (
    HOST,
    Run,
    Script,
    Send,
    Side,
    bodies_of,
    jump,
    of_kind,
    relaying,
    wire_of,
)

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nyes!"
OPENED = b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def post(body: bytes, target: str = "/api/x", *fields: str) -> bytes:
    lines = [f"POST {target} HTTP/1.1", f"Host: {HOST}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


def upgrade(*fields: str) -> bytes:
    lines = ["GET /api/socket HTTP/1.1", f"Host: {HOST}", "Connection: Upgrade"]
    return "\r\n".join([*lines, "Upgrade: websocket", *fields, "", ""]).encode()


class Echo:
    """A server that answers each request, and says the frames of a socket again."""

    async def serve(self, stream: Any) -> None:
        data = b""
        async with stream:
            while b"Upgrade: websocket\r\n" not in data:
                chunk = bytes(await stream.receive_some(65536))
                if not chunk:
                    return
                data += chunk
                while b"\r\n\r\n" in data and b"Upgrade: websocket" not in data:
                    head, _, data = data.partition(b"\r\n\r\n")
                    size = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
                    while len(data) < size:
                        data += bytes(await stream.receive_some(65536))
                    data = data[size:]
                    await stream.send_all(ANSWER)
            while b"\r\n\r\n" not in data:
                data += bytes(await stream.receive_some(65536))
            await stream.send_all(OPENED + data.partition(b"\r\n\r\n")[2])
            while chunk := bytes(await stream.receive_some(65536)):
                await stream.send_all(chunk)


def frame(number: int, client: int) -> bytes:
    return Frame.make(2, b"%d of %d" % (number, client), mask=b"\x01\x02\x03\x04").serialize()


class Visit:
    """One client: some calls, each with a body that names it, and perhaps a socket."""

    def __init__(self, number: int, calls: int, frames: int, start_s: float) -> None:
        self.bodies = [b"call %d of %d" % (call, number) for call in range(calls)]
        self.said = b"".join(frame(one, number) for one in range(frames))
        sends = [
            Send(post(body), call * len(ANSWER), start_s if call == 0 else 0.5)
            for call, body in enumerate(self.bodies)
        ]
        after = calls * len(ANSWER)
        if frames:
            sends.append(Send(upgrade() + self.said, after, 0.1))
            after += len(OPENED) + len(self.said)
        self.script = Script(sends, "eof", after)


visits = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from([0.0, 0.1, 0.3, 1.0])),
    min_size=2,
    max_size=8,
)


@given(visits, st.integers(1, 5), st.integers(1, 90))
@settings(max_examples=examples(30))
def test_each_clients_entries_are_its_own_and_in_order(
    made: list[tuple[int, int, float]], first_connection: int, first_exchange: int
) -> None:
    planned = [Visit(number, *one) for number, one in enumerate(made)]

    async def main() -> tuple[Run, list[Side]]:
        async with trio.open_nursery() as nursery:

            async def dial() -> tuple[trio.abc.Stream, str | None]:
                await trio.sleep(0.05)
                ours, theirs = trio.testing.memory_stream_pair()
                nursery.start_soon(Echo().serve, theirs)
                return ours, None

            async with (
                relaying(
                    dial=dial, first_connection=first_connection, first_exchange=first_exchange
                ) as run,
                trio.open_nursery() as clients,
            ):
                sides = [Side(run.connect(), visit.script) for visit in planned]
                for side in sides:
                    clients.start_soon(side.play)
        return run, sides

    run, sides = jump(main)
    opens = of_kind(run.entries, "open")
    numbers = [entry.connection for entry in opens]
    dialled = sum(bool(visit.bodies or visit.said) for visit in planned)
    assert sorted(numbers) == list(
        range(first_connection, first_connection + len(planned) + dialled)
    )
    legs = {entry.connection: entry for entry in opens}
    pairs = [entry.paired_with for entry in opens if entry.leg == "upstream"]
    assert len(set(pairs)) == len(pairs) == dialled
    for entry in opens:
        if entry.leg == "upstream":
            assert legs[entry.paired_with].leg == "client"
            assert entry.paired_with < entry.connection
    exchanges = [
        entry.exchange
        for entry in of_kind(run.entries, "request")
        if legs[entry.connection].leg == "client"
    ]
    calls = sum(len(visit.bodies) + bool(visit.said) for visit in planned)
    assert sorted(exchanges) == list(range(first_exchange, first_exchange + calls))
    seen: list[tuple[list[bytes], bytes]] = []
    for number, leg in legs.items():
        own = [entry for entry in run.entries if getattr(entry, "connection", 0) == number]
        assert isinstance(own[0], Open)
        assert isinstance(own[-1], Closed)
        if leg.leg == "upstream":
            of_pair = [
                entry.exchange
                for entry in of_kind(run.entries, "request")
                if entry.connection == leg.paired_with
            ]
            assert [entry.exchange for entry in of_kind(own, "request")] == of_pair
            assert [entry.exchange for entry in of_kind(own, "response")] == of_pair
            continue
        bodies = bodies_of(own)
        assert [data for key, (data, _) in bodies.items() if key[1] == "server"] == [b"yes!"] * (
            len(bodies) // 2
        )
        said = wire_of(own, "client")
        assert wire_of(own, "server") == said
        seen.append(([data for key, (data, _) in bodies.items() if key[1] == "client"], said))
    assert sorted(seen) == sorted((visit.bodies, visit.said) for visit in planned)
    for visit, side in zip(planned, sides, strict=True):
        answers = ANSWER * len(visit.bodies) + (OPENED + visit.said if visit.said else b"")
        assert bytes(side.read) == answers
    facts = run.proxy.progress
    assert facts.connections == len(planned)
    assert facts.exchanges == calls
    assert facts.sockets == sum(bool(visit.said) for visit in planned)
    assert facts.open_sockets == 0
    assert facts.frames == {"client": facts.frames["server"], "server": facts.frames["client"]}


async def test_a_client_that_is_not_read_holds_up_no_other(autojump_clock: object) -> None:
    """A lockstep stream takes nothing until it is read."""
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000
    with trio.fail_after(600):
        async with relaying(Script([Send(big, 1)]), lockstep=True) as run:
            lazy = run.connect()
            await lazy.send_all(post(b""))
            await trio.sleep(10)
            client = Side(run.connect(), Script([Send(post(b""))], "eof", len(big)))
            await client.play()
            assert bytes(client.read) == big
            await lazy.aclose()


SECRETS = ["hunter22hunter", "node0secretsecret", "dXNlcjpodW50ZXIyMg", "tok-en-1234567890"]


async def busy_with_secrets(redact: str) -> Run:
    """Secrets in a form, cookies, Authorization, a target, a text frame; sent by one client."""
    password, session, basic, token = SECRETS
    login = post(
        f"email=a%40b.example&password={password}".encode(),
        "/api/session",
        "Content-Type: application/x-www-form-urlencoded",
    )
    answer = (
        f"HTTP/1.1 200 OK\r\nSet-Cookie: JSESSIONID={session}; Path=/; Secure\r\n"
        f"Location: http://up.test:8082/?token={token}\r\nContent-Length: 2\r\n\r\n{{}}"
    ).encode()
    got = answer.replace(b"; Secure", b"").replace(b"up.test:8082", HOST.encode())
    opening = upgrade(
        f"Cookie: JSESSIONID={session}",
        f"Authorization: Basic {basic}",
        f"Referer: http://{HOST}/?token={token}",
    )
    text = Frame.make(1, f'{{"password":"{password}","id":1}}'.encode(), mask=b"abcd").serialize()
    said = Frame.make(1, f'{{"token":"{token}"}}'.encode()).serialize()
    client = Script(
        [Send(login), Send(opening, len(got)), Send(text, len(got) + len(OPENED))],
        "eof",
        len(got + OPENED + said),
    )
    first, both = (
        len(data.replace(HOST.encode(), b"up.test:8082")) for data in (login, login + opening)
    )
    server = Script([Send(answer, first), Send(OPENED, both), Send(said, both + len(text))])
    with trio.fail_after(600):
        async with relaying(server, redact=redact) as run:
            side = Side(run.connect(), client)
            await side.play()
    # What passes is whole, whatever is recorded.
    assert bytes(side.read) == got + OPENED + said
    passed = bytes(run.servers[0].read)
    assert all(secret.encode() in passed for secret in SECRETS)
    return run


async def test_no_secret_is_recorded_of_either_leg(autojump_clock: object) -> None:
    run = await busy_with_secrets("secrets")
    recorded = repr(run.entries)
    for secret in SECRETS:
        assert secret not in recorded, [entry for entry in run.entries if secret in repr(entry)]
    assert "a%40b.example" not in recorded
    cookies = [
        value
        for entry in of_kind(run.entries, "request", "response")
        for name, value in entry.headers
        if name in ("Cookie", "Set-Cookie")
    ]
    # The same session is recognisable wherever it stands: on both legs, sent and set.
    marks = {value.split("=")[1].split(";")[0] for value in cookies}
    assert len(cookies) == 4
    assert len(marks) == 1
    assert marks.pop().startswith("[redacted:cookie-")


async def test_without_redaction_everything_is_recorded_as_it_was(autojump_clock: object) -> None:
    run = await busy_with_secrets("none")
    recorded = repr(run.entries)
    assert all(secret in recorded for secret in SECRETS)
    assert not any(entry.redacted for entry in run.entries)


async def test_userinfo_in_a_target_is_no_more_recorded_than_a_password(
    autojump_clock: object,
) -> None:
    asked = f"GET http://user:hunter22hunter@{HOST}/a HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    with trio.fail_after(600):
        async with relaying(Script([Send(ANSWER, 1)], "eof"), redact="secrets") as run:
            await Side(run.connect(), Script([Send(asked)])).play()
    assert "hunter22" not in repr(run.entries)
    assert b"hunter22" not in run.servers[0].read


async def test_when_the_proxy_is_stopped_open_connections_are_closed_and_say_so(
    autojump_clock: object,
) -> None:
    with trio.fail_after(600):
        async with trio.open_nursery() as nursery, relaying(Script([Send(ANSWER, 1)])) as run:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(run.proxy.serve, listeners)
            client = await trio.testing.open_stream_to_socket_listener(listeners[0])
            await client.send_all(post(b""))
            assert await client.receive_some() == ANSWER
            run.proxy.stop()
            assert await client.receive_some() == b""
            await client.aclose()
            for listener in listeners:
                await listener.aclose()
    closed = of_kind(run.entries, "closed")
    assert [(entry.by, entry.how) for entry in closed] == [("recorder", "stopped")] * 2
