"""When a lost socket is opened again: the decisions by themselves, then whole captures on a virtual
clock against backends that fail in every order.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import httpx
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

import recorder.capture
from recorder.backend import Backend
from recorder.capture import Capture, CaptureOptions, Outcome
from recorder.errors import (
    ConnectionLost,
    HandshakeRefused,
    LoginRefused,
    RecorderError,
    Unreachable,
)
from recorder.model import Entry
from recorder.reconnect import (
    MAX_RETRY_AFTER_S,
    Failure,
    Gaps,
    GiveUp,
    Reconnect,
    Wait,
    retry_after_s,
)
from recorder.recording import Writer
from recorder.redaction import Redactor
from recorder.sink import Sink
from recorder.wire.frames import Opcode
from tests.profiles import examples
from tests.recorder.scripted import (
    COOKIE,
    CREDENTIALS,
    NO_TLS,
    PASSWORD,
    Peer,
    answer,
    assert_no_secret,
    close,
    header,
    log_in,
    orderly,
    ping,
    pong,
    read,
    scripted,
    text,
)

S = 1_000_000_000
LOST = Failure("it was reset", "socket", lived_s=100.0)
REFUSED = Failure("502", "upgrade", status=502)
DEVICES = b'{"devices":[{"id":1}]}'


# The decisions


def delays(policy: Reconnect, chance: float, failures: list[Failure]) -> list[float]:
    gaps = Gaps(policy, lambda: chance)
    waits = [gaps.failed(failure, 0) for failure in failures]
    assert all(isinstance(wait, Wait) for wait in waits)
    return [wait.delay_s for wait in waits if isinstance(wait, Wait)]


def test_the_ceiling_of_the_delay_doubles_up_to_a_minute() -> None:
    ceilings = delays(Reconnect(), 1.0, [LOST, *[REFUSED] * 7])
    assert ceilings == [2, 4, 8, 16, 32, 60, 60, 60]


def test_no_attempt_comes_sooner_than_a_client_may() -> None:
    assert delays(Reconnect(), 0.0, [LOST, *[REFUSED] * 7]) == [1.0] * 8


@given(
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=2000),
    st.floats(0, 100),
    st.floats(0, 1000),
)
def test_every_delay_is_within_its_bounds(
    chances: list[float], delay_min_s: float, delay_max_s: float
) -> None:
    policy = Reconnect(delay_min_s=delay_min_s, delay_max_s=delay_max_s)
    drawn = iter(chances)
    gaps = Gaps(policy, lambda: next(drawn))
    for _ in chances:
        wait = gaps.failed(REFUSED, 0)
        assert isinstance(wait, Wait)
        assert delay_min_s <= wait.delay_s <= max(delay_min_s, delay_max_s)


@pytest.mark.parametrize(("lived_s", "ceiling"), [(29.9, 16), (30.0, 2)])
def test_a_socket_that_lived_begins_with_short_delays_again(lived_s: float, ceiling: int) -> None:
    gaps = Gaps(Reconnect(), lambda: 1.0)
    for failure in (LOST, REFUSED, REFUSED):
        gaps.failed(failure, 0)
    gaps.opened(0)
    lost_again = Failure("eof", "socket", lived_s=lived_s)
    assert gaps.failed(lost_again, 0) == Wait(ceiling)


@pytest.mark.parametrize("status", [401, 403, 503])
@pytest.mark.parametrize("at", ["upgrade", "rest"])
def test_an_old_session_that_is_refused_is_made_anew_soon(at: str, status: int) -> None:
    gaps = Gaps(Reconnect(), lambda: 1.0)
    gaps.failed(LOST, 0)
    stale = Failure("no", at, status=status)
    assert gaps.failed(stale, 0) == Wait(1.0, log_in=True)
    fresh = Failure("no", at, status=status, logged_in=True)
    assert gaps.failed(fresh, 0) == Wait(4.0, log_in=True)


@pytest.mark.parametrize("status", [None, 404, 429, 500, 502, 504])
def test_what_says_nothing_of_the_session_keeps_it(status: int | None) -> None:
    gaps = Gaps(Reconnect(), lambda: 1.0)
    gaps.failed(LOST, 0)
    for at in ("upgrade", "rest", "connect"):
        wait = gaps.failed(Failure("no", at, status=status), 0)
        assert isinstance(wait, Wait)
        assert not wait.log_in


@pytest.mark.parametrize(
    ("status", "for_good"), [(401, True), (403, True), (200, False), (429, False), (503, False)]
)
def test_a_login_is_refused_for_good_by_401_and_403(status: int, for_good: bool) -> None:
    gaps = Gaps(Reconnect(), lambda: 0.5)
    gaps.failed(LOST, 0)
    verdict = gaps.failed(Failure("no", "login", status=status, logged_in=True), 0)
    assert (verdict == GiveUp("refused")) == for_good


def test_what_the_server_asks_for_is_waited_for() -> None:
    gaps = Gaps(Reconnect(), lambda: 0.5)
    assert gaps.failed(Failure("no", "upgrade", status=503, retry_after_s=300.0), 0) == Wait(
        300.0, log_in=True
    )
    assert gaps.failed(Failure("no", "upgrade", status=502, retry_after_s=0.0), 0) == Wait(1.5)


def test_the_last_attempt_is_made_when_the_longest_gap_is_over() -> None:
    gaps = Gaps(Reconnect(max_gap_s=10), lambda: 1.0)
    assert gaps.failed(LOST, 100 * S) == Wait(2.0)
    assert gaps.failed(REFUSED, 102 * S) == Wait(4.0)
    assert gaps.failed(REFUSED, 106 * S) == Wait(4.0)
    assert gaps.failed(REFUSED, 110 * S) == GiveUp("max gap")


def test_a_server_that_asks_for_more_than_the_longest_gap_is_left_at_once() -> None:
    gaps = Gaps(Reconnect(max_gap_s=10), lambda: 1.0)
    gaps.failed(LOST, 0)
    assert gaps.failed(Failure("no", "upgrade", retry_after_s=11), 0) == GiveUp("max gap")


def test_a_gap_is_told_with_its_cause_length_and_attempts() -> None:
    gaps = Gaps(Reconnect(), lambda: 0.5)
    assert gaps.opened(0) is None
    gaps.failed(LOST, 10 * S)
    gaps.failed(REFUSED, 11 * S)
    gap = gaps.opened(14 * S + S // 5)
    assert str(gap) == "the socket was lost: it was reset; gap of 4.2 s, 2 attempts"
    assert gaps.ended(15 * S) is None
    gaps.failed(LOST, 20 * S)
    gaps.failed(REFUSED, 21 * S)
    assert str(gaps.ended(23 * S)) == (
        "the socket was lost: it was reset; no other was opened in 3.0 s, 1 attempt"
    )


NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 12:00:30 -0000", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_S),
        ("9" * 5000, MAX_RETRY_AFTER_S),
        ("²", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


@settings(max_examples=examples(50))
@given(st.text(max_size=20))
def test_any_retry_after_gives_bounded_seconds_or_nothing(value: str) -> None:
    seconds = retry_after_s(value, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_S


# Captures, on a virtual clock and over memory streams


class Way(NamedTuple):
    """What the backend does with one way to a socket: the first step that is not None fails it."""

    login: int | None = None
    rest: int | None = None
    tcp: bool = True
    upgrade: int | None = None
    retry_after: int | None = None
    lives_s: float = 0.0
    end: bytes | None = close(1012, "restart")
    """What the server says at the end; None is only the end of TCP."""


DONE = Way(lives_s=1.0, end=close(1000, "done"))


class Played:
    """A capture of a backend that goes through ``ways``; what it saw of it."""

    def __init__(self, folder: Path, ways: list[Way], **options: object) -> None:
        self.ways = iter(ways)
        self.way = next(self.ways)
        self.tried: list[float] = []
        """When each way was begun."""
        self.ended: list[float] = []
        """When each came to its end."""
        self.logins = 0
        self.snapshots = 0
        self.told: list[str] = []
        self.path = folder / f"{len(list(folder.iterdir()))}.track.jsonl"
        writer = Writer.create(self.path, header())
        self.clock = trio.testing.MockClock(autojump_threshold=0)
        self.sink = Sink(
            writer,
            Redactor("secrets"),
            started_ns=0,
            clock=lambda: round(self.clock.current_time() * 1e9),
        )
        options = {"reconnect": Reconnect(), **options}
        self.capture = Capture(
            Backend(tls=False, host="fake", port=80),
            CREDENTIALS,
            self.sink,
            CaptureOptions(**options),
            tls=NO_TLS,
            tell=lambda kind, text, **facts: self.told.append(text),
            chance=random.Random(7).random,
        )

    def run(self, *, stop_s: float | None = None) -> Outcome | RecorderError:
        """The outcome, or the error, of the capture; it must take no longer than it is stopped."""

        async def main() -> Outcome | RecorderError:
            async with trio.open_nursery() as nursery:
                self.nursery = nursery
                if stop_s is not None:
                    nursery.start_soon(self.stop, stop_s)
                try:
                    return await self.capture.run()
                except RecorderError as error:
                    return error
                finally:
                    self.finished_s = trio.current_time()
                    nursery.cancel_scope.cancel()

        with patched(self):
            result = trio.run(main, clock=self.clock)
        self.sink.close()
        assert isinstance(result, (Outcome, RecorderError))
        return result

    async def stop(self, after_s: float) -> None:
        await trio.sleep(after_s)
        self.capture.stop()

    def fail(self) -> None:
        self.ended.append(trio.current_time())
        self.way = next(self.ways, DONE)

    def begin(self) -> None:
        if len(self.tried) == len(self.ended):
            self.tried.append(trio.current_time())

    async def connect(self) -> tuple[trio.abc.Stream, None]:
        self.begin()
        if not self.way.tcp:
            self.fail()
            raise Unreachable("fake:80: cannot connect: refused")
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self.serve, Peer(theirs), self.way)
        return ours, None

    async def serve(self, peer: Peer, way: Way) -> None:
        request = await peer.read_head()
        assert request is not None
        if way.upgrade is not None:
            self.fail()
            extra = () if way.retry_after is None else (f"Retry-After: {way.retry_after}",)
            await peer.send(answer(f"{way.upgrade} No", *extra))
        else:
            await peer.accept(request, behind=text(ping(1)) + text(DEVICES))
            with trio.move_on_after(way.lives_s):
                while (await peer.read_frame()).opcode != Opcode.CLOSE:
                    pass
                await peer.send(close(1000))
                await peer.read_to_end()
                return
            self.fail()
            # The last one is never answered.
            await peer.send(text(ping(2)) + (way.end or b""))
        await peer.stream.aclose()

    @property
    def entries(self) -> list[Entry]:
        return read(self.path)

    @property
    def notes(self) -> list[str]:
        return [entry.text for entry in self.entries if entry.kind == "note"]


class FakeHttp:
    """In place of TrackHttp: what ``played`` does with the login and the snapshots."""

    played: Played

    def __init__(self, *_: object, cookies: httpx.Cookies | None, **__: object) -> None:
        self.cookies = cookies or httpx.Cookies()
        self.latest: httpx.Response | None = None

    async def __aenter__(self) -> FakeHttp:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def login(self, credentials: object) -> None:
        self.played.logins += 1
        self._answer(self.played.way.login)
        if self.played.way.login is not None:
            self.played.fail()
            raise LoginRefused("refused")
        self.cookies.set("JSESSIONID", COOKIE)

    async def get(self, path: str) -> tuple[httpx.Response, bytes]:
        self.played.snapshots += 1
        self._answer(self.played.way.rest)
        assert self.latest is not None
        if self.played.way.rest is not None:
            self.played.fail()
        return self.latest, b"[]"

    def _answer(self, status: int | None) -> None:
        self.played.begin()
        way = self.played.way
        headers = {} if way.retry_after is None else {"Retry-After": str(way.retry_after)}
        self.latest = httpx.Response(status or 200, headers=headers)

    def cookie_header(self) -> str | None:
        return f"JSESSIONID={self.cookies['JSESSIONID']}"


@contextmanager
def patched(played: Played) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        http = type("Http", (FakeHttp,), {"played": played})
        patch.setattr(recorder.capture, "TrackHttp", http)
        patch.setattr(recorder.capture, "open_stream", lambda *_: played.connect())
        yield


SOCKETS = st.builds(
    lambda lives_s, end: Way(lives_s=lives_s, end=end),
    st.sampled_from([0.0, 0.5, 29.0, 31.0, 4000.0]),
    st.sampled_from([close(1012), close(1001, "Idle timeout"), b"", b"\x83\x00"]),
)
REFUSALS = st.one_of(
    st.just(Way(tcp=False)),
    st.builds(
        lambda status, retry_after: Way(upgrade=status, retry_after=retry_after),
        st.sampled_from([401, 403, 404, 429, 502, 503]),
        st.sampled_from([None, None, 0, 7, 200]),
    ),
    st.builds(
        lambda status, retry_after: Way(rest=status, retry_after=retry_after),
        st.sampled_from([401, 500, 503]),
        st.sampled_from([None, 90]),
    ),
)


@settings(max_examples=examples(20), deadline=None)
@given(
    first=SOCKETS,
    ways=st.lists(st.one_of(SOCKETS, REFUSALS), max_size=12),
    rest=st.booleans(),
)
def test_whatever_fails_it_goes_on_until_the_server_is_done(
    first: Way, ways: list[Way], rest: bool
) -> None:
    if not rest:
        ways = [way for way in ways if way.rest is None]
    with TemporaryDirectory() as folder:
        played = Played(Path(folder), [first, *ways, DONE], rest=("devices",) if rest else ())
        assert played.run() == Outcome("closed by the server", "done")
        entries = played.entries
    sockets = [way for way in [first, *ways, DONE] if is_socket(way)]
    # Each loss is one gap, and each gap one note with the attempts that it took.
    gaps = [note for note in played_notes(entries) if note.startswith("the socket was lost")]
    assert len(gaps) == len(sockets) - 1 == played.capture.progress.gaps
    attempts = [int(note.rpartition(", ")[2].split()[0]) for note in gaps]
    assert sum(attempts) == len(ways) + 1
    # Waits are as long as they must be, and no longer than they may.
    everything = [first, *ways, DONE]
    for way, ended_s, tried_s in zip(everything, played.ended, played.tried[1:], strict=False):
        asked_s = float(way.retry_after or 0)
        # A server's end is followed by our answer to its close.
        assert max(1.0, asked_s) <= tried_s - ended_s + 1e-6
        assert tried_s - ended_s <= max(60.0, asked_s) + 2.0
    # Every connection is there, from its request to its end.
    opened = [entry.connection for entry in entries if entry.kind == "open"]
    assert opened == sorted(set(opened))
    assert opened == [entry.connection for entry in entries if entry.kind == "closed"]
    assert len(opened) == sum(way.tcp and way.rest is None for way in everything)
    assert [entry.offset_ns for entry in entries] == sorted(entry.offset_ns for entry in entries)
    # PINGs count over all sockets; what ended with its socket is nobody's fault.
    progress = played.capture.progress
    assert progress.pings == 2 * len(sockets)
    assert progress.pings == progress.pongs + progress.pings_cut_off
    assert progress.pongs >= len(sockets)
    assert progress.kinds["devices"] == len(sockets)
    if rest:
        assert played.snapshots == len(everything)


def is_socket(way: Way) -> bool:
    return way.tcp and way.upgrade is None and way.rest is None and way.login is None


def played_notes(entries: list[Entry]) -> list[str]:
    return [entry.text for entry in entries if entry.kind == "note"]


@settings(max_examples=examples(15), deadline=None)
@given(
    ways=st.lists(st.one_of(SOCKETS, REFUSALS), max_size=6),
    stop_s=st.floats(0.1, 400),
)
def test_a_stop_at_any_moment_ends_it_at_once_and_in_order(ways: list[Way], stop_s: float) -> None:
    with TemporaryDirectory() as folder:
        played = Played(Path(folder), [Way(), *ways, Way(lives_s=1e6)], rest=("devices",))
        assert played.run(stop_s=stop_s) == Outcome("told to stop")
        assert played.finished_s == pytest.approx(stop_s, abs=1e-6)
        losses = [text for text in played.told if text.startswith("the socket was lost")]
        gaps = [note for note in played.notes if note.startswith("the socket was lost")]
    # Each is told when it begins and when it is over; the last may be over with the recording.
    assert len(losses) == 2 * len(gaps)


@given(duration_s=st.floats(0.5, 300))
@settings(max_examples=examples(20), deadline=None)
def test_the_duration_counts_gaps_and_ends_within_one(duration_s: float) -> None:
    with TemporaryDirectory() as folder:
        down = [Way(tcp=False)] * 50
        played = Played(Path(folder), [Way(lives_s=0.2), *down], duration_s=duration_s)
        assert played.run() == Outcome("duration reached")
        assert played.finished_s == pytest.approx(duration_s, abs=1e-6)
        (gap,) = [note for note in played.notes if note.startswith("the socket was lost")]
    assert "no other was opened" in gap


def test_a_number_of_messages_counts_over_all_sockets(tmp_path: Path) -> None:
    played = Played(tmp_path, [Way(), Way(), Way(lives_s=1e6)], messages=3)
    assert played.run() == Outcome("messages reached")


def test_the_session_goes_on_where_it_can_and_is_made_anew_where_it_is_refused(
    tmp_path: Path,
) -> None:
    ways = [Way(), Way(upgrade=502), Way(), Way(upgrade=401), Way(upgrade=502), DONE]
    played = Played(tmp_path, ways)
    played.run()
    assert played.logins == 2


def test_a_session_that_is_over_by_what_the_server_said_is_made_anew(tmp_path: Path) -> None:
    class Told(Played):
        async def serve(self, peer: Peer, way: Way) -> None:
            request = await peer.read_head()
            assert request is not None
            await peer.accept(request, behind=text(b'{"webSessionTimeout":[100]}'))
            await trio.sleep(way.lives_s)
            self.fail()
            await peer.send(way.end or b"")
            await peer.stream.aclose()

    played = Told(tmp_path, [Way(lives_s=50), Way(lives_s=60), DONE])
    played.run()
    assert played.logins == 2


class Silent(Played):
    """A backend whose first socket has PINGs at these moments, then nothing: the network is
    gone.
    """

    pings_s: tuple[float, ...] = ()

    async def serve(self, peer: Peer, way: Way) -> None:
        request = await peer.read_head()
        assert request is not None
        await peer.accept(request, behind=text(DEVICES))
        if self.ended:
            self.ended.append(trio.current_time())
            await peer.send(close(1000, "done"))
            await peer.stream.aclose()
            return
        for at_s in self.pings_s:
            await trio.sleep(at_s - trio.current_time())
            await peer.send(text(ping(round(at_s) % 10)))
        await peer.read_to_end()
        self.fail()


@pytest.mark.parametrize(
    ("pings_s", "given_up_s"), [((30.0, 60.0), 150.0), ((5.0,), 95.0), ((50.0, 90.0), 240.0)]
)
def test_a_socket_on_which_nothing_comes_any_more_is_given_up(
    tmp_path: Path, pings_s: tuple[float, ...], given_up_s: float
) -> None:
    class Pinging(Silent):
        pass

    Pinging.pings_s = pings_s
    played = Pinging(tmp_path, [Way(), DONE])
    assert played.run() == Outcome("closed by the server", "done")
    assert played.ended[0] == pytest.approx(given_up_s, abs=0.01)
    (lost,) = [entry for entry in played.entries if entry.kind == "closed"][:1]
    assert (lost.by, lost.how) == ("recorder", "timeout")
    assert "nothing came any more, and three PINGs were due; gap of" in played.notes[0]


@pytest.mark.parametrize(("pings_s", "reconnect"), [((), True), ((30.0,), False)])
def test_silence_is_borne_where_no_ping_came_and_where_nothing_is_opened_again(
    tmp_path: Path, pings_s: tuple[float, ...], reconnect: bool
) -> None:
    class Pinging(Silent):
        pass

    Pinging.pings_s = pings_s
    played = Pinging(
        tmp_path, [Way(), DONE], reconnect=Reconnect() if reconnect else None, duration_s=5000.0
    )
    assert played.run() == Outcome("duration reached")
    assert played.notes == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_login_that_is_refused_after_it_worked_ends_the_capture(
    tmp_path: Path, status: int
) -> None:
    ways = [Way(), Way(upgrade=503), Way(login=502), Way(login=status), DONE]
    played = Played(tmp_path, ways)
    assert isinstance(played.run(), LoginRefused)
    assert played.logins == 3
    assert "no other was opened" in played.notes[-1]
    assert played.entries[-1].kind == "end"


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        (Way(tcp=False), Unreachable),
        (Way(upgrade=503, retry_after=5), HandshakeRefused),
        (Way(login=503), LoginRefused),
        (Way(rest=503), ConnectionLost),
    ],
)
def test_the_first_socket_is_not_waited_for(tmp_path: Path, way: Way, kind: type) -> None:
    played = Played(tmp_path, [way, DONE], rest=("devices",))
    assert type(played.run()) is kind
    assert len(played.tried) == 1
    assert played.notes == played.told == []


def test_without_reconnecting_a_loss_ends_the_capture(tmp_path: Path) -> None:
    played = Played(tmp_path, [Way(), DONE], reconnect=None)
    assert isinstance(played.run(), ConnectionLost)
    assert played.notes == []


def test_it_gives_up_after_the_longest_gap(tmp_path: Path) -> None:
    played = Played(tmp_path, [Way(), *[Way(tcp=False)] * 90], reconnect=Reconnect(max_gap_s=300))
    error = played.run()
    assert isinstance(error, ConnectionLost)
    assert "no socket for 300 s" in str(error)
    assert "cannot connect" in str(error)
    assert played.finished_s == pytest.approx(300, abs=0.1)


def test_an_attempt_that_reached_nobody_is_noted_once_for_each_cause(tmp_path: Path) -> None:
    down, refused = Way(tcp=False), Way(upgrade=502)
    played = Played(tmp_path, [Way(), down, down, refused, refused, down, Way(), down, DONE])
    played.run()
    failed = [note for note in played.notes if note.startswith("reconnecting failed")]
    assert [note.split(": ", 1)[1] for note in failed] == [
        "fake:80: cannot connect: refused",
        "the handshake was refused: 502 No",
        "fake:80: cannot connect: refused",
        "fake:80: cannot connect: refused",
    ]


# Over real sockets


async def real(
    folder: Path,
    ends: list[Callable[[Peer, bytes], Awaitable[None]]],
    login: Callable[[Peer, bytes], Awaitable[None]] = log_in,
) -> tuple[list[Entry], int]:
    """The recording of a capture whose sockets end so, and the number of requests it took."""
    script = iter(ends)

    async def socket(peer: Peer, head: bytes) -> None:
        await next(script)(peer, head)

    async with scripted(socket, login=login) as server:
        path = folder / "a.track.jsonl"
        writer = Writer.create(path, header())
        sink = Sink(writer, Redactor("secrets"), started_ns=writer.clock())
        options = CaptureOptions(reconnect=Reconnect(delay_min_s=0.0, delay_max_s=0.0))
        capture = Capture(server.backend, CREDENTIALS, sink, options, tls=NO_TLS)
        try:
            assert (await capture.run()).why == "closed by the server"
        finally:
            sink.close()
        return read(path), len(server.requests)


async def reset(peer: Peer, head: bytes) -> None:
    await peer.accept(head, behind=text(ping(1)) + text(DEVICES))
    assert await peer.read_text() == pong(1)
    await peer.reset()


async def refused(peer: Peer, head: bytes) -> None:
    page = f"<html>{PASSWORD} {COOKIE}</html>".encode()
    await peer.send(answer("503 Service Unavailable", "Retry-After: 0", body=page))
    await peer.read_to_end()


async def test_a_reset_a_refusal_and_a_new_login_are_all_in_the_recording(tmp_path: Path) -> None:
    entries, requests = await real(tmp_path, [reset, refused, orderly])
    targets = [entry.target for entry in entries if entry.kind == "request"]
    assert len(targets) == requests
    assert targets == [
        *["/api/session", "/api/socket"],
        # With the old session; refused, so that a new one is made.
        "/api/socket",
        *["/api/session", "/api/socket"],
    ]
    statuses = [entry.status for entry in entries if entry.kind == "response"]
    assert statuses == [200, 101, 503, 200, 101]
    closed = [(entry.by, entry.how) for entry in entries if entry.kind == "closed"]
    assert closed[1] == ("server", "reset")
    (failed, gap) = played_notes(entries)
    assert failed.startswith("reconnecting failed: the handshake was refused: 503")
    assert gap.startswith("the socket was lost: it was reset; gap of")
    assert gap.endswith("2 attempts")
    assert_no_secret((tmp_path / "a.track.jsonl").read_text())


async def test_a_server_that_comes_back_with_another_cookie(tmp_path: Path) -> None:
    cookies = iter(["node01first", "node01second"])

    async def login(peer: Peer, head: bytes) -> None:
        cookie = next(cookies)
        await peer.send(answer("200 OK", f"Set-Cookie: JSESSIONID={cookie}; Path=/api"))

    sent: list[bytes] = []

    async def last(peer: Peer, head: bytes) -> None:
        sent.append(head)
        await orderly(peer, head)

    await real(tmp_path, [reset, refused, last], login)
    assert b"JSESSIONID=node01second" in sent[0]
    assert b"first" not in sent[0]
