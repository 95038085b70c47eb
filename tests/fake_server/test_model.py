"""REST, sockets and clocks together, against a small model of what the documents say."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.accounts import Account, Accounts
from fake_server.faults import FaultBoard, injection_from, parse_injection
from fake_server.faults.carrier import FaultCarrier
from fake_server.playback import Playback
from fake_server.rest.view import View
from recorder.credentials import Credentials
from recorder.model import Entry
from recorder.track.rules import Rules
from recorder.track.sessions import Session as LiveSession
from recorder.wire.frames import Frame, Opcode, close_frame
from replayer.playing.script import Script
from tests.fake_server import model_state as told
from tests.fake_server.model import GRACE_S, Cue, Model, Session, Socket
from tests.fake_server.model_state import KINDS, members
from tests.fake_server.support import (
    MASK,
    PING,
    Answer,
    Client,
    Fake,
    Http,
    exchange,
    handshake,
    said,
    script_of,
    serving,
    upgrade,
)
from tests.profiles import examples

NEVER_S = 1e-6
"""Closer than this two moments may come in either order."""

MOMENT_S = 1 / 1024

# Recordings


class Spoken(NamedTuple):
    """A message of a recording: so long after the one before, in so many fragments, each so long
    after the one before. `what` is a payload, or `ping` or `timeout`.
    """

    gap_s: float
    what: bytes
    fragments: int = 1
    fragment_gap_s: float = 0.25


class Recording(NamedTuple):
    """The sockets, and the lists that REST was asked for."""

    sockets: list[list[Spoken]]
    snapshot: dict[str, list[bytes]]


TIMEOUT = b'{"webSessionTimeout":[86400]}'
RECORDED_PING = PING % b"a0b34365-908f-4868-a52a-84a3ed83bd59"
OPENED_S = (0.0, 2.0625)
"""When the recorded sockets opened."""


def frames_of(spoken: Spoken) -> list[Frame]:
    """A message in fragments (RFC 6455 section 5.4)."""
    size = -(-len(spoken.what) // spoken.fragments)
    pieces = [spoken.what[at : at + size] for at in range(0, len(spoken.what), size)]
    return [
        Frame.make(
            Opcode.CONTINUATION if number else Opcode.TEXT, piece, fin=number == len(pieces) - 1
        )
        for number, piece in enumerate(pieces)
    ]


def timed(socket: list[Spoken]) -> Iterator[tuple[float, Frame, Spoken]]:
    """When each frame was sent, seconds from the opening."""
    at_s = 0.125
    for spoken in socket:
        at_s += spoken.gap_s
        for number, frame in enumerate(frames_of(spoken)):
            at_s += spoken.fragment_gap_s if number else 0.0
            yield at_s, frame, spoken


def entries_of(recording: Recording) -> Iterator[Entry]:
    for number, (kind, texts) in enumerate(recording.snapshot.items(), 1):
        yield from exchange(f"/api/{kind}", b"[" + b",".join(texts) + b"]", number=number)
    for connection, (opened_s, socket) in enumerate(
        zip(OPENED_S, recording.sockets, strict=False), 2
    ):
        yield from upgrade(connection, opened_s)
        for at_s, frame, _ in timed(socket):
            yield said(frame, opened_s + at_s, connection=connection)


def cues_of(socket: list[Spoken]) -> list[Cue]:
    """What a fake plays of it: not the PINGs, which it sends itself."""
    return [
        Cue(
            at_s,
            (frame.serialize(),),
            spoken.what if frame.fin else None,
            frame.opcode == Opcode.TEXT,
        )
        for at_s, frame, spoken in timed(socket)
        if spoken.what != RECORDED_PING
    ]


# Objects, with numbers and dates that a careless reader would change.

numbers = st.sampled_from(["100.0", "1e3", "100", "-0", "1.10", "12345678901234567890123"])
dates = st.sampled_from(["2026-11-22T17:00:00.000+0000", "2026-11-22T17:00:00.000+00:00"])
device_ids = st.sampled_from([1, 2, 3, 4])


def object_text(fields: dict[str, str], *, spaced: bool) -> bytes:
    comma, colon = (" , ", " : ") if spaced else (",", ":")
    return ("{" + comma.join(f'"{key}"{colon}{fields[key]}' for key in fields) + "}").encode()


@st.composite
def fields_of(draw: Any, kind: str) -> dict[str, str]:
    """The fields of an object, each value's JSON text."""
    found: dict[str, str] = {}
    if kind == "devices":
        one = draw(device_ids)
        name = draw(st.sampled_from([f"n{one}", f"n{one}", "two"]))
        found = {"id": str(one), "name": f'"{name}"', "uniqueId": f'"u{one}"'}
        found["lastUpdate"] = f'"{draw(dates)}"'
    elif kind == "beacons":
        found = {"id": str(draw(st.sampled_from([7, 8]))), "name": '"room"'}
        found["deviceId"] = draw(st.sampled_from(["null", "1", "3"]))
    elif kind == "positions":
        one = draw(st.integers(11, 19))
        found = {"id": str(one), "deviceId": "null" if one == 19 else str((one - 11) // 2 + 1)}
        found["fixTime"] = f'"{draw(dates)}"'
    else:
        found = {"id": str(draw(st.sampled_from([31, 32]))), "deviceId": str(draw(device_ids))}
    found["latitude"] = draw(numbers)
    return found


@st.composite
def texts_of(draw: Any) -> bytes:
    kind = draw(st.sampled_from([*KINDS, *KINDS, "positions", "events", ""]))
    if not kind:
        return b"{}"
    objects = draw(
        st.lists(
            st.builds(object_text, fields_of(kind), spaced=st.booleans()), min_size=1, max_size=3
        )
    )
    return told.message(kind, objects)


payloads = st.lists(texts_of(), min_size=1, max_size=2).map(b"~".join)

spoken = st.builds(
    Spoken,
    st.sampled_from([0.0, 0.25, 1.0, 1.0, 3.0, 12.0]),
    st.one_of(payloads, payloads, payloads, st.sampled_from([TIMEOUT, RECORDED_PING])),
    st.sampled_from([1, 1, 2, 3]),
    st.sampled_from([0.0, 0.25, 2.0, 20.0]),
)
recordings = st.builds(
    Recording,
    st.lists(st.lists(spoken, min_size=1, max_size=6), min_size=1, max_size=2),
    st.fixed_dictionaries(
        {},
        optional={
            kind: st.lists(
                st.builds(object_text, fields_of(kind), spaced=st.booleans()), max_size=2
            )
            for kind in KINDS
        },
    ),
)

# Programs

small = st.integers(0, 5)
flags = st.booleans()
kinds = st.sampled_from(KINDS)
messages = st.sampled_from([(), ("positions",), ("devices",), ("PING",)])


def step(name: str, *arguments: Any) -> Any:
    return st.tuples(st.just(name), *arguments)


steps = st.one_of(
    step("login", small, flags),
    step("open", small, flags),
    step("open", small, flags),
    step("wait", st.sampled_from([0.25, 1.0, 5.0, 14.0, 29.0, 31.0, 61.0])),
    step("wait", st.sampled_from([0.25, 1.0, 5.0, 14.0, 29.0, 31.0, 61.0])),
    step("wait", st.sampled_from([1.0, 2.0, 3.0])),
    step("logout", small),
    step("leave", small),
    step("answers", small, flags),
    step("stray", small),
    step("advance", st.sampled_from([10.0, 50.0, 90.0, 86_000.0])),
    step("post", small, kinds.flatmap(lambda kind: st.tuples(st.just(kind), fields_of(kind)))),
    step("put", small, kinds, small, numbers, st.sampled_from([None, '"two"', '"n9"'])),
    step("delete", small, kinds, small),
    step("ask", small),
    step("pause"),
    step("resume"),
    step("step", st.integers(1, 4)),
    step("seek", st.sampled_from([0.0, 0.5, 2.5, 7.0, 60.0])),
    step("speed", st.sampled_from([0.5, 1.0, 2.0, 4.0])),
    step("push", payloads, st.none() | small),
    step("drop", st.none() | small, st.sampled_from(["close", "fin", "rst"])),
    step("fault", st.sampled_from(["loss", "duplicate"]), messages),
    step("mend", small),
    st.sampled_from([("reset",), ("wait", 1.0), ("wait", 5.0)]),
)


class Program(NamedTuple):
    """A recording, how it is served, and what happens."""

    recording: Recording
    steps: list[tuple[Any, ...]]
    shared: bool = False
    timeout_s: float = 86400
    beacons: bool = False
    """Whether the account that sees a part names a beacon."""


programs = st.builds(
    Program,
    recordings,
    st.lists(steps, min_size=6, max_size=30).map(
        lambda rest: [("login", 0, True), ("open", 0, True), *rest]
    ),
    flags,
    st.sampled_from([86400, 86400, 100]),
    flags,
)

ALL = Credentials("all@example.com", "a")
PART = Credentials("part@example.com", "p")
NAMED = frozenset({1, "two"})


class Ear(NamedTuple):
    """A socket of both worlds, and what its client heard."""

    client: Client
    socket: Socket
    heard: list[tuple[float, Frame]]
    pings: list[tuple[float, str]]
    unanswered: list[str]
    said_close: list[bool]

    async def listen(self) -> None:
        """Until the server hangs up; PINGs are answered, or not."""
        while (frame := await self.client.frame()) is not None:
            at_s = trio.current_time()
            if frame.opcode == Opcode.TEXT and frame.payload.startswith(b'{"status":[{"message":"'):
                uuid = frame.payload.split(b'"')[5].decode()
                self.pings.append((at_s, uuid))
                if self.socket.answers:
                    await self.client.text(f"pong {uuid}")
                else:
                    self.unanswered.append(uuid)
                continue
            self.heard.append((at_s, frame))
            if frame.opcode == Opcode.CLOSE and not self.said_close:
                await self.client.send(close_frame(1000, mask=MASK))
        await self.client.stream.aclose()


class Login(NamedTuple):
    cookie: str
    session: Session
    email: str
    is_watched: bool


class World:
    """A fake and its model, which take the same steps."""

    def __init__(self, fake: Fake, model: Model, nursery: trio.Nursery) -> None:
        self.fake = fake
        self.control = fake.server.control
        self.model = model
        self.nursery = nursery
        self.ears: list[Ear] = []
        self.logins: list[Login] = []
        self.known_ids: set[int] = set()

    @property
    def now_s(self) -> float:
        return trio.current_time()

    # Time

    async def take(self, step: tuple[Any, ...]) -> None:
        """One step, in both worlds, at a moment when nothing else is due; then all is compared."""
        name, *arguments = step
        await self.wait_until(self.now_s + (arguments[0] if name == "wait" else 0.0) + MOMENT_S)
        if name != "wait":
            await getattr(self, name)(*arguments)
            await trio.testing.wait_all_tasks_blocked()
            self.model.let_pass(self.now_s)
        await self.compare()

    async def wait_until(self, at_s: float) -> None:
        while True:
            await trio.sleep_until(at_s)
            await trio.testing.wait_all_tasks_blocked()
            self.model.let_pass(at_s - NEVER_S)
            if self.model.due_s > at_s + NEVER_S:
                return
            at_s += MOMENT_S

    # What is compared

    async def compare(self) -> None:
        for ear in self.ears:
            self.compare_socket(ear)
        for login in self.logins:
            lives = self.model.lives(login.session, self.now_s)
            found = self.fake.server.desk.lookup(login.cookie)
            assert isinstance(found, LiveSession) == lives, found
            if not isinstance(found, LiveSession):
                continue
            server = self.fake.server
            sight = server.accounts.sight(login.email)
            view = View(server.hub.state_for(found), server.written, sight)
            for kind in KINDS:
                found_now, expected = view.objects(kind), self.model.rest(login.session, kind)
                assert found_now == expected, (found_now, expected)
            if login.is_watched:
                await self._ask(login)

    def compare_socket(self, ear: Ear) -> None:
        socket = ear.socket
        expected = [(sent, frame) for sent in socket.sent for frame in sent.frames]
        found = [(at_s, frame.serialize()) for at_s, frame in ear.heard]
        datas = [data for _, data in found], [data for _, data in expected]
        assert datas[0] == datas[1], datas
        for (at_s, _), (sent, _) in zip(found, expected, strict=True):
            assert abs(at_s - sent.at_s) < NEVER_S, (at_s, sent)
        assert len(ear.pings) == len(socket.pings), (ear.pings, socket.pings)
        for (at_s, _), due_s in zip(ear.pings, socket.pings, strict=True):
            assert due_s - NEVER_S < at_s < due_s + GRACE_S + NEVER_S, (at_s, due_s)
        assert ear.client.at_end != socket.is_open
        if not (self.model.is_shared or socket.has_lost):
            self.compare_fold(ear)

    def compare_fold(self, ear: Ear) -> None:
        """REST shows, of the furthest socket, what the client can make of the bytes it read."""
        whole: list[bytes] = []
        pieces = b""
        for _, frame in ear.heard:
            if frame.opcode in (Opcode.TEXT, Opcode.CONTINUATION):
                pieces += frame.payload
                if frame.fin:
                    whole.append(pieces)
                    pieces = b""
        why = [sent for sent in ear.socket.sent if sent.message is not None or sent.first]
        known = told.Known(self.model.opening)
        for sent in why:
            if sent.first:
                known = told.Known(self.model.opening)
            if sent.message is None:
                continue
            payload = whole.pop(0)
            if sent.why in ("played", "told"):
                known.fold(payload)
        for kind in KINDS:
            assert known.texts(kind) == ear.socket.view.state.texts(kind)

    # HTTP

    async def call(
        self, login: Login, method: str, target: str, body: bytes = b""
    ) -> Answer | None:
        """The answer, or None where the session is over, as it should be."""
        http = self.fake.http()
        headers = {"Content_Type": "application/json"} if body else {}
        lives = self.model.touch(login.session, self.now_s)
        answer = await http.ask(target, method=method, body=body, Cookie=login.cookie, **headers)
        await http.stream.aclose()
        assert (answer.status != 401) == lives
        return answer if lives else None

    async def _ask(self, login: Login) -> None:
        for kind in KINDS:
            answer = await self.call(login, "GET", f"/api/{kind}")
            if answer is not None:
                listed = self.model.rest(login.session, kind)
                assert (answer.status, answer.body) == (200, b"[" + b",".join(listed) + b"]")

    def _login(self, which: int) -> Login | None:
        return self.logins[which % len(self.logins)] if self.logins else None

    def _ear(self, which: int) -> Ear | None:
        open_ones = [ear for ear in self.ears if ear.socket.is_open]
        return open_ones[which % len(open_ones)] if open_ones else None

    # Steps

    async def login(self, which: int, is_watched: bool) -> None:
        who = (ALL, PART)[which % 2]
        http = self.fake.http()
        answer = await http.log_in(who.email, who.password)
        await http.stream.aclose()
        assert answer.status == 200
        cookie = (answer.header("Set-Cookie") or "").partition(";")[0]
        session = self.model.login(self.model.accounts[which % 2], self.now_s)
        self.logins.append(Login(cookie, session, who.email, is_watched))

    async def logout(self, which: int) -> None:
        login = self._login(which)
        if login is not None:
            answer = await self.call(login, "DELETE", "/api/session")
            assert answer is None or answer.status == 204
            login.session.is_over = True

    async def open(self, which: int, answers: bool) -> None:
        login = self._login(which)
        if login is None:
            return
        lives = self.model.touch(login.session, self.now_s)
        http = Http(self.fake.connect())
        await http.send(handshake(login.cookie))
        head = await http.head()
        assert head.status == (101 if lives else 503)
        if not lives:
            await http.stream.aclose()
            return
        socket = self.model.open(login.session, self.now_s, answers=answers)
        ear = Ear(Client(http.stream, http.rest()), socket, [], [], [], [])
        self.ears.append(ear)
        self.nursery.start_soon(ear.listen)

    async def leave(self, which: int) -> None:
        ear = self._ear(which)
        if ear is not None:
            ear.said_close.append(True)
            await ear.client.send(close_frame(1000, mask=MASK))
            ear.socket.end(self.now_s, close_frame(1000).serialize())

    async def answers(self, which: int, answers: bool) -> None:
        ear = self._ear(which)
        if ear is None:
            return
        ear.socket.answers = answers
        if answers:
            for uuid in ear.unanswered:
                await ear.client.text(f"pong {uuid}")
            ear.unanswered.clear()
            ear.socket.answer()

    async def stray(self, which: int) -> None:
        ear = self._ear(which)
        if ear is not None:
            await ear.client.text("pong 00000000-0000-0000-0000-000000000000")

    async def advance(self, seconds: float) -> None:
        self.control.advance(seconds)
        self.model.ahead_s += seconds

    async def post(self, which: int, what: tuple[str, dict[str, str]]) -> None:
        login, (kind, fields) = self._login(which), what
        if login is None:
            return
        answer = await self.call(login, "POST", f"/api/{kind}", object_text(fields, spaced=True))
        if answer is None:
            return
        assert answer.status == 200
        made = members(answer.body)
        assert {key: made[key] for key in fields if key != "id"} == {
            key: value for key, value in fields.items() if key != "id"
        }
        one = told.obj(answer.body.decode())
        assert one.id not in self.known_ids
        assert one.id >= 1000
        self.known_ids.add(one.id)
        self.model.write(login.session, kind, one, self.now_s, created=True)

    def _some_id(self, login: Login, kind: str, which: int) -> int:
        listed = self.model.rest(login.session, kind)
        ids = [told.obj(text.decode()).id for text in listed] + [3]
        return int(ids[which % len(ids)])

    async def put(
        self, which: int, kind: str, which_object: int, latitude: str, name: str | None
    ) -> None:
        login = self._login(which)
        if login is None:
            return
        object_id = self._some_id(login, kind, which_object)
        known = self.model.get(login.session, kind, object_id)
        fields = members(known.text) if known is not None else {"id": str(object_id)}
        fields["latitude"] = latitude
        if name is not None and kind == "devices":
            fields["name"] = name
        body = object_text(fields, spaced=False)
        answer = await self.call(login, "PUT", f"/api/{kind}/{object_id}", body)
        if answer is None:
            return
        assert answer.status == (400 if known is None else 200), answer
        if known is not None:
            assert answer.body == body
            one = told.obj(body.decode())
            self.model.write(login.session, kind, one, self.now_s, created=False)

    async def delete(self, which: int, kind: str, which_object: int) -> None:
        login = self._login(which)
        if login is None:
            return
        object_id = self._some_id(login, kind, which_object)
        known = self.model.get(login.session, kind, object_id)
        answer = await self.call(login, "DELETE", f"/api/{kind}/{object_id}")
        if answer is not None:
            assert answer.status == (400 if known is None else 204)
            if known is not None:
                self.model.delete(kind, object_id)

    async def ask(self, which: int) -> None:
        login = self._login(which)
        if login is None:
            return
        await self._ask(login)
        for kind in KINDS:
            object_id = self._some_id(login, kind, which)
            answer = await self.call(login, "GET", f"/api/{kind}?id={object_id}")
            known = self.model.get(login.session, kind, object_id)
            if answer is not None and known is not None:
                assert (answer.status, answer.body) == (200, b"[%s]" % known.text)
            elif answer is not None:
                assert answer.status == 400

    async def pause(self) -> None:
        self.control.pause()
        self.model.change(self.now_s, paused=True)

    async def resume(self) -> None:
        self.control.resume()
        self.model.change(self.now_s, paused=False)

    async def step(self, cues: int) -> None:
        if self.model.paused:
            self.control.step(cues)
            self.model.step(cues, self.now_s)
        else:
            with pytest.raises(ValueError, match="not paused"):
                self.control.step(cues)

    async def seek(self, position_s: float) -> None:
        self.control.seek(position_s)
        self.model.seek(position_s, self.now_s)

    async def speed(self, speed: float) -> None:
        self.control.set_speed(speed)
        self.model.change(self.now_s, speed=speed)

    async def push(self, payload: bytes, which: int | None) -> None:
        ear = None if which is None else self._ear(which)
        number = None if ear is None else ear.socket.number
        count = self.control.push(payload, socket=number)
        assert count == self.model.push(payload, self.now_s, ear and ear.socket)

    async def drop(self, which: int | None, how: Any) -> None:
        ear = None if which is None else self._ear(which)
        dropped = [one for one in self.ears if one.socket.is_open and ear in (None, one)]
        number = None if ear is None else ear.socket.number
        assert self.control.drop(socket=number, how=how, code=1012) == len(dropped)
        for one in dropped:
            frame = close_frame(1012).serialize() if how == "close" else None
            one.socket.end(self.now_s, frame)

    async def fault(self, name: str, kinds: tuple[str, ...]) -> None:
        injection = injection_from({"fault": name, "kinds": list(kinds)})
        self.model.faults[self.control.faults.add(injection)] = (name, kinds)

    async def mend(self, which: int) -> None:
        if self.model.faults:
            number = [*self.model.faults][which % len(self.model.faults)]
            assert self.control.faults.remove(number)
            del self.model.faults[number]

    async def reset(self) -> None:
        self.control.reset()
        for ear in self.ears:
            if ear.socket.is_open:
                ear.socket.end(self.now_s, close_frame(1001, "reset").serialize())
        self.model.forget()


@contextmanager
def script(recording: Recording) -> Iterator[Script]:
    with tempfile.TemporaryDirectory() as folder:
        yield script_of(Path(folder), entries_of(recording))


def accounts_of(program: Program) -> tuple[Accounts, list[told.Account]]:
    beacons = frozenset({8}) if program.beacons else None
    return (
        Accounts(
            [Account(credentials=ALL), Account(credentials=PART, devices=NAMED, beacons=beacons)]
        ),
        [told.Account(), told.Account(NAMED, beacons)],
    )


async def run(program: Program) -> None:
    recording = program.recording
    accounts, sees = accounts_of(program)
    model = Model(
        [
            (opened_s, cues_of(socket))
            for opened_s, socket in zip(OPENED_S, recording.sockets, strict=False)
        ],
        recording.snapshot,
        sees,
        shared=program.shared,
        timeout_s=program.timeout_s,
        shows_timeout=[
            any(spoken.what == TIMEOUT for spoken in socket) for socket in recording.sockets
        ],
    )
    rules = Rules(session_timeout_s=program.timeout_s, max_polls_per_minute=0)
    playback = Playback(mode="shared" if program.shared else "per-connection")
    with script(recording) as source:
        async with (
            serving(source, accounts=accounts, rules=rules, playback=playback) as fake,
            trio.open_nursery() as nursery,
        ):
            world = World(fake, model, nursery)
            for number, step in enumerate(program.steps):
                try:
                    await world.take(step)
                except AssertionError as error:
                    error.add_note(f"at step {number}, {step}, {world.now_s} s")
                    raise
            nursery.cancel_scope.cancel()


def go(program: Program) -> None:
    """Both worlds through a program; AssertionError, in groups, where they differ."""
    trio.run(run, program, clock=trio.testing.MockClock(autojump_threshold=0))


@settings(max_examples=examples(60))
@given(programs)
def test_rest_and_frames_agree_with_the_documents_at_every_moment(program: Program) -> None:
    go(program)


def device(one: int, name: str = "x", latitude: int = 1) -> bytes:
    return b'{"id":%d,"name":"%s","latitude":%d}' % (one, name.encode(), latitude)


def devices(*texts: bytes) -> bytes:
    return told.message("devices", texts)


def in_fragments(gap_s: float, fragments: int = 3) -> Recording:
    return Recording([[Spoken(0, devices(device(1)), fragments, gap_s)]], {})


SECOND = devices(device(1, "x", 2))
ANSWERS = [("login", 0, True), ("open", 0, True)]
IGNORES = [("login", 0, True), ("open", 0, False)]
RENAMED = Recording(
    [
        [
            Spoken(0, devices(device(3, "three"))),
            Spoken(1, devices(device(3, "two"))),
            Spoken(1, told.message("positions", [b'{"id":13,"deviceId":3}'])),
        ]
    ],
    {},
)
MANY = Recording([[Spoken(0, devices(device(1))), Spoken(3, SECOND)]] * 2, {})
BEACON_OF_ANOTHER = {"id": "7", "name": '"b"', "deviceId": "3"}


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(Program(*one), id=name)
        for name, *one in [
            (
                "what is pushed within fragments is shown behind their message",
                in_fragments(2.0),
                [*ANSWERS, ("wait", 1.0), ("push", SECOND, None), ("wait", 5.0)],
            ),
            (
                "what waits for the end of fragments goes out before a seek",
                in_fragments(2.0),
                [*ANSWERS, ("wait", 1.0), ("push", SECOND, None), ("seek", 0.0), ("seek", 60.0)],
            ),
            (
                "what waits for the end of fragments goes out with a step",
                in_fragments(2.0),
                [*ANSWERS, ("pause",), ("step", 1), ("push", SECOND, None), ("step", 2)],
            ),
            (
                "nobody owes the pong of a PING that waits within fragments",
                in_fragments(20.0),
                [*ANSWERS, ("wait", 21.0), ("pause",), ("wait", 61.0), ("resume",), ("wait", 31.0)],
            ),
            (
                "a PING that had to wait is due half an interval later at least",
                in_fragments(50.0, 2),
                [*IGNORES, ("wait", 55.0), ("wait", 14.0), ("wait", 61.0)],
            ),
            (
                "a fault strikes at the moment of opening",
                MANY,
                [*ANSWERS, *[("wait", 0.0)] * 3, ("fault", "loss", ()), ("open", 0, True)],
            ),
            (
                "who creates a beacon sees it, whosever device it has",
                MANY,
                [
                    ("login", 1, True),
                    ("open", 0, True),
                    ("post", 0, ("beacons", BEACON_OF_ANOTHER)),
                ],
            ),
            (
                "a device that a seek tells of is known by its name",
                RENAMED,
                [("login", 1, True), ("open", 0, True), ("seek", 1.5), ("wait", 3.0)],
            ),
            (
                "REST shows the state that a seek tells of",
                MANY,
                [("login", 0, True), ("pause",), ("open", 0, True), ("seek", 60.0)],
            ),
            (
                "of two sockets that are equally far REST shows the first",
                Recording([[Spoken(0, devices(device(1)))], [Spoken(0, SECOND)]], {}),
                [*ANSWERS, ("open", 0, True), ("seek", 60.0), ("wait", 1.0)],
            ),
        ]
    ],
)
def test_what_went_wrong_once(program: Program) -> None:
    go(program)


PLACES = Recording(
    [
        [
            Spoken(0, devices(device(1), device(2))),
            Spoken(0, told.message("positions", [b'{"id":11,"deviceId":1}'])),
            Spoken(3, told.message("positions", [b'{"id":12,"deviceId":1,"rssi":-64.0}'])),
        ]
    ],
    {},
)
PLACE = {"id": "5", "deviceId": "1", "latitude": "1e3"}


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    "steps",
    [
        [("delete", 0, "devices", 0), ("wait", 5.0), ("ask", 0)],
        [("post", 0, ("positions", PLACE)), ("wait", 5.0), ("delete", 0, "positions", 0)],
        [("put", 0, "positions", 0, "1.10", None), ("wait", 5.0), ("ask", 0), ("reset",)],
        [("put", 0, "devices", 1, "1e3", '"two"'), ("wait", 5.0), ("delete", 0, "devices", 1)],
    ],
)
def test_what_was_written_stays_over_what_is_played(
    steps: list[tuple[Any, ...]], shared: bool
) -> None:
    both = [("login", 1, True), *ANSWERS, ("open", 1, True), ("wait", 1.0)]
    for which in (0, 1):
        as_who = [(one[0], which, *one[2:]) if len(one) > 2 else one for one in steps]
        go(Program(PLACES, [*both, *as_who], shared))


def test_a_session_ends_after_its_timeout_and_its_sockets_do_not() -> None:
    idle = [("login", 0, False), ("open", 0, True), ("wait", 61.0), ("wait", 31.0)]
    go(Program(PLACES, [*idle, ("wait", 14.0), ("ask", 0), ("wait", 31.0)], timeout_s=100))
    go(Program(PLACES, [*idle, ("ask", 0), ("wait", 61.0), ("ask", 0)], timeout_s=100))
    go(
        Program(
            PLACES, [*idle, ("advance", 10.0), ("open", 0, True), ("wait", 31.0)], timeout_s=100
        )
    )


def test_a_fault_that_is_waited_for_strikes_however_the_sum_of_seconds_rounds() -> None:
    opened_s, at_s = 0.7, 0.1
    assert (opened_s + at_s) - opened_s < at_s
    struck: list[Any] = []

    async def wait() -> None:
        board = FaultBoard([parse_injection(f"close:at_s={at_s}")])
        line = board.line_for(1)
        line.set(board.injections)
        await trio.sleep_until(opened_s)
        async with trio.open_nursery() as nursery:
            carrier = FaultCarrier(
                line,
                struck.append,
                opened_s=opened_s,
                start=lambda one: nursery.start_soon(one.run),
            )
            carrier.wake()

    trio.run(wait, clock=trio.testing.MockClock(autojump_threshold=0))
    assert len(struck) == 1
