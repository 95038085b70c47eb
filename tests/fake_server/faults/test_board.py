"""The board: which faults are set, under which numbers, and with whose chance."""

from __future__ import annotations

import pytest

from fake_server.faults import FaultBoard
from tests.fake_server.faults.support import injections, steps_of, texts

HANDSHAKE, LOGIN = "refusal:status=503", "slow-login:delay_s=2"


def board(*faults: str, seed: int = 0) -> FaultBoard:
    return FaultBoard(injections(faults), seed=seed)


def lost(of: FaultBoard, *, number: int, socket: int = 1) -> list[bool]:
    """Of a hundred messages, which the fault of this number loses."""
    line = of.line_for(socket)
    line.set({number: of.injections[number]})
    return [not steps_of(line, texts(b"%d" % one)) for one in range(100)]


@pytest.mark.parametrize("how", ["one by one", "all"])
def test_what_is_taken_away_strikes_no_handshake_and_no_login(how: str) -> None:
    faults = board(HANDSHAKE, LOGIN)
    assert faults.handshake(0.0, 1) is not None
    assert faults.login_wait_s(0.0) == 2.0
    if how == "all":
        faults.clear()
    else:
        assert faults.remove(1)
        assert faults.remove(2)
    assert faults.injections == {}
    assert faults.handshake(0.0, 1) is None
    assert faults.login_wait_s(0.0) == 0.0


def test_a_number_is_given_once_and_counts_on_after_its_fault_is_gone() -> None:
    faults = board(LOGIN)
    faults.login_wait_s(0.0)
    assert faults.remove(1)
    assert not faults.remove(1)
    faults.clear()
    (again,) = injections([LOGIN])
    assert faults.add(again) == 2
    assert [faults.struck(number) for number in (1, 2)] == [1, 0]


def test_slow_logins_add_up() -> None:
    assert board(LOGIN, "slow-login:delay_s=0.5").login_wait_s(0.0) == 2.5


def test_of_handshake_faults_the_first_that_strikes_decides_and_alone_counts() -> None:
    faults = board("refusal:status=503,count=1", "refusal:status=500")
    answers = [faults.handshake(0.0, number) for number in (1, 2, 3)]
    assert [getattr(one, "status", None) for one in answers] == [503, 500, 500]
    assert [faults.struck(number) for number in (1, 2)] == [1, 2]


def test_handshakes_of_other_sockets_do_not_count() -> None:
    faults = board("refusal:status=503,sockets=2+3,after=1")
    answers = [faults.handshake(0.0, number) for number in (1, 1, 2, 3)]
    assert [one is not None for one in answers] == [False, False, False, True]


def test_every_change_is_told_so_that_open_sockets_follow() -> None:
    faults = board()
    seen: list[int] = []
    faults.on_change = lambda: seen.append(len(faults.injections))
    for injection in injections([HANDSHAKE, "loss"]):
        faults.add(injection)
    faults.remove(1)
    faults.remove(1)
    faults.clear()
    assert seen == [1, 2, 1, 0]


def test_chance_repeats_with_the_seed_and_differs_by_seed_fault_and_socket() -> None:
    two = ("loss:probability=0.5", "loss:probability=0.5")
    first = lost(board(*two), number=1)
    assert 20 < sum(first) < 80
    assert lost(board(*two), number=1) == first
    others = [
        lost(board(*two, seed=1), number=1),
        lost(board(*two), number=2),
        lost(board(*two), number=1, socket=2),
    ]
    assert all(one != first for one in others)


def test_what_it_shows_is_a_copy() -> None:
    faults = board("loss")
    faults.injections.clear()
    assert list(faults.injections) == [1]
