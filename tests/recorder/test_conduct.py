"""How a live recording ends: what is told, and what cannot end it."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from recorder.commands.conduct import Ending, conduct
from recorder.commands.live import LiveOptions
from recorder.errors import DiskFailed, RecorderError
from recorder.exits import Exit


class _Sink:
    entries = 1


class _Recording:
    sink = _Sink()

    def __init__(self, error: RecorderError | None = None) -> None:
        self._error = error
        self.closed = False
        self.sigusr1_was: Any = None

    def close(self, failure: RecorderError | None) -> None:
        self.sigusr1_was = signal.getsignal(signal.SIGUSR1)
        self.closed = True
        if self._error is not None:
            raise self._error


class _Beside:
    def __init__(self) -> None:
        self.told: list[tuple[int, str, list[str]]] = []

    async def run(self, work: Any, *, stop: Any) -> Any:
        return await work()

    def finish(self, exit_code: int, reason: str, lines: list[str]) -> None:
        self.told.append((exit_code, reason, lines))


async def _nothing() -> None:
    return


def _conduct(recording: _Recording, beside: _Beside) -> None:
    conduct(
        recording,  # type: ignore[arg-type]
        LiveOptions(json=True),
        beside,  # type: ignore[arg-type]
        _nothing,
        stop=lambda: None,
        ending=lambda _: Ending("told to stop", ["one line"], []),
    )


def test_a_recording_that_cannot_be_ended_is_told_before_its_error_is_raised() -> None:
    beside = _Beside()
    with pytest.raises(DiskFailed, match="no space"):
        _conduct(_Recording(DiskFailed("no space")), beside)
    assert beside.told == [(Exit.DISK_FAILED, "no space", [])]


def test_sigusr1_while_a_recording_is_closed_does_not_end_the_process() -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    try:
        recording, beside = _Recording(), _Beside()
        _conduct(recording, beside)
        assert recording.closed
        assert recording.sigusr1_was is signal.SIG_IGN
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert beside.told == [(Exit.OK, "told to stop", ["one line"])]
