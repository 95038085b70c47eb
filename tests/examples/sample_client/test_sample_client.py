"""Six bugs that clients of the Track API have: a test of three lines catches each, and the client
without them passes all six.
"""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.findings import report
from fake_server.testing import TrackServer, run_track_server
from tests.examples.sample_client import bugs
from tests.examples.sample_client.client import NotLoggedIn, TrackClient, json_texts
from tests.profiles import examples

ContractTest: TypeAlias = Callable[[TrackServer, TrackClient], None]

WITHIN_S: Final = 1.0

HALLE: Final = '{"devices":[{"id":910,"name":"Halle ~7"}]}'


# The tests of three lines; what else broke a rule is found at their end


def answers_pings(track_server: TrackServer, client: TrackClient) -> None:
    track_server.expect.pong(within_s=WITHIN_S)


def answers_the_pings_of_a_new_socket(track_server: TrackServer, client: TrackClient) -> None:
    track_server.expect.pong(within_s=WITHIN_S)
    drop_and_meet_again(track_server)
    track_server.expect.pong(within_s=WITHIN_S)


def reads_what_stands_behind_a_tilde(track_server: TrackServer, client: TrackClient) -> None:
    track_server.push(f"~{HALLE}")
    track_server.expect.pong()
    assert 910 in client.devices, "the device behind the ~ is missing"


def tells_that_its_session_is_over(track_server: TrackServer, client: TrackClient) -> None:
    track_server.advance(86_401)
    with pytest.raises(NotLoggedIn):
        client.list_devices()


def renames_a_device_and_no_more(track_server: TrackServer, client: TrackClient) -> None:
    client.rename_device(client.list_devices()[0]["id"], "Halle 7")


def waits_before_it_reconnects(track_server: TrackServer, client: TrackClient) -> None:
    drop_and_meet_again(track_server)
    drop_and_meet_again(track_server)


# What they need


def drop_and_meet_again(track_server: TrackServer) -> None:
    """The backend ends the socket; the client comes back."""
    track_server.drop()
    track_server.expect.socket()


UNIT_S: Final = 0.25
"""A second of the client's waits takes so long here, and a little less is asked for."""

HURRIED: Final = {"rules": {"reconnect_delay_min_s": 0.8 * UNIT_S, "reconnects_without_delay": 0}}

CONTRACT: Final[dict[ContractTest, dict[str, Any]]] = {
    answers_pings: HURRIED,
    answers_the_pings_of_a_new_socket: HURRIED,
    reads_what_stands_behind_a_tilde: HURRIED,
    tells_that_its_session_is_over: {**HURRIED, "allow": "session.expired-cookie"},
    renames_a_device_and_no_more: HURRIED,
    waits_before_it_reconnects: HURRIED,
}
"""The tests, each with the values of its mark."""


@contextmanager
def client_of(
    track_server: TrackServer, made: type[TrackClient] = TrackClient
) -> Iterator[TrackClient]:
    """A client whose socket is open."""

    def wait(seconds: float) -> None:
        time.sleep(seconds * UNIT_S)

    account = (track_server.email, track_server.password)
    with made(track_server.base_url, *account, wait=wait) as client:
        track_server.expect.socket()
        yield client


@pytest.fixture
def client(track_server: TrackServer) -> Iterator[TrackClient]:
    with client_of(track_server) as made:
        yield made


def what_catches(made: type[TrackClient], test: ContractTest) -> str:
    """Why the test fails with this client, as the plugin would have it; empty if it passes."""
    told = []
    with run_track_server(check=False, **CONTRACT[test]) as track_server:
        try:
            with client_of(track_server, made) as client:
                test(track_server, client)
        except (AssertionError, pytest.fail.Exception) as failure:
            told.append(str(failure))
        return "\n".join([*told, *report(track_server.findings())])


json_objects = st.dictionaries(st.text("~ab", max_size=3), st.text('~"\\{}ab', max_size=5))

CAUGHT: Final = {
    bugs.NeverAnswersPings: (answers_pings, "waited 1.0 s for a pong"),
    bugs.AnswersWithOldUuidAfterReconnect: (
        answers_the_pings_of_a_new_socket,
        "pong.wrong-uuid (manual 3.3)",
    ),
    bugs.LosesTextsBehindATilde: (reads_what_stands_behind_a_tilde, "the device behind the ~"),
    bugs.TakesUnauthorizedForEmpty: (tells_that_its_session_is_over, "DID NOT RAISE"),
    bugs.SendsPartialPut: (renames_a_device_and_no_more, "rest.partial-put (manual 4.1)"),
    bugs.ReconnectsInABusyLoop: (waits_before_it_reconnects, "socket.reconnect (manual 3)"),
}


@pytest.mark.parametrize(
    "test",
    [
        pytest.param(test, marks=pytest.mark.track(**values), id=test.__name__)
        for test, values in CONTRACT.items()
    ],
)
def test_the_corrected_client_passes(
    test: ContractTest, track_server: TrackServer, client: TrackClient
) -> None:
    test(track_server, client)


@settings(max_examples=examples(100))
@given(st.lists(st.tuples(json_objects, st.text("~ \n\r\t", max_size=3))), st.sampled_from("~ "))
def test_texts_are_told_apart_whatever_tildes_stand_around_them_and_in_them(
    texts: list[tuple[dict[str, str], str]], before: str
) -> None:
    message = before + "".join(json.dumps(text) + between for text, between in texts)
    assert list(json_texts(message)) == [text for text, _ in texts]


def test_a_message_that_cannot_be_read_ends_nothing(
    track_server: TrackServer, client: TrackClient, caplog: pytest.LogCaptureFixture
) -> None:
    track_server.push("~{")
    track_server.push(HALLE)
    track_server.expect.pong()
    assert 910 in client.devices
    assert "cannot be read: '~{'" in caplog.text


@pytest.mark.parametrize("bug", CAUGHT, ids=lambda bug: bug.__name__)
def test_each_bug_is_caught(bug: type[TrackClient]) -> None:
    test, why = CAUGHT[bug]
    assert why in what_catches(bug, test)


def test_each_bug_has_a_test_of_its_own_of_three_lines_at_most() -> None:
    assert {bug.__name__ for bug in CAUGHT} == set(bugs.__all__)
    assert {test for test, _ in CAUGHT.values()} == set(CONTRACT)
    for test in CONTRACT:
        assert len(inspect.getsource(test).splitlines()) <= 1 + 3, test.__name__
