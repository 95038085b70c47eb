"""What stands behind ``track_server`` of one test: a fake, the backend, or a fake that asks the
backend what its recording lacks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest

from fake_server.pytest_plugin.modes import (
    CannotDecide,
    Decision,
    age_days,
    decide,
    recording_path,
)
from fake_server.pytest_plugin.options import OPTIONS, Options

if TYPE_CHECKING:
    from fake_server.testing import Settings, TrackServer
    from fake_server.testing.live import LiveServer
    from recorder.credentials import Credentials

__all__ = ["Backing", "Outcome", "backing_of", "own_recording"]


class Outcome:
    """What became of a test, told to its backing before that is taken down; and what was recorded,
    which waits until the rest of the test is taken down too.

    ``kept`` is where its session goes if it ``failed``; ``passed`` is false until all of it has.
    """

    def __init__(self, kept: Path) -> None:
        self.kept = kept
        self.failed = False
        self.passed = False
        self._words = ""
        self._written: Path | None = None
        self._own = Path()

    def recorded(self, words: str, written: Path | None, own: Path) -> None:
        """What was recorded, in words; what was ``written`` shall be ``own``."""
        self._words, self._written, self._own = words, written, own

    def place(self) -> str:
        """What was recorded takes its place; returns it in words, "" for nothing. Raises
        DiskFailed.
        """
        from recorder.errors import DiskFailed

        try:
            if self._written is not None:
                self._written.replace(self._own)
        except OSError as error:
            raise DiskFailed(
                f"{self._own} could not be written: {error.strerror}; nothing was recorded"
            ) from error
        finally:
            self.drop()
        return self._words

    def drop(self) -> None:
        """Nothing is recorded after all."""
        if self._written is not None:
            self._written.unlink(missing_ok=True)


Backing: TypeAlias = Callable[[Outcome], AbstractContextManager["TrackServer"]]


def own_recording(request: pytest.FixtureRequest) -> Path:
    """Where the recording lies that is a test's own."""
    owner = None if request.cls is None else request.cls.__qualname__
    return recording_path(request.path, request.node.name, owner)


def backing_of(
    request: pytest.FixtureRequest, settings: Settings, folder: Path
) -> tuple[Backing, Decision]:
    """What this test is run against, and why. ``folder`` is for what is not kept. Fails the test
    where that cannot be decided.
    """
    own = own_recording(request)
    if settings.recording != (own,):
        return _fake(settings, folder), _GIVEN
    options = request.config.stash[OPTIONS]
    try:
        decision = _decision(options, own)
    except CannotDecide as error:
        raise pytest.fail.Exception(f"track_server: {error}", pytrace=False) from None
    if decision.action == "replay":
        return _fake(settings, folder), decision
    # Whoever decided so has seen that there is one.
    assert options.url is not None
    who: Credentials = request.getfixturevalue("track_credentials")
    if decision.action == "add":
        return _adding(settings, folder, own, options, who), decision
    if decision.action == "record":
        return _recording(settings, own, options, who), decision
    return _live(settings, folder / own.name, options, who), decision


_GIVEN: Final = Decision("replay", "")


def _decision(options: Options, own: Path) -> Decision:
    exists = own.exists()
    max_age_days = options.max_age_days
    return decide(
        options.mode,
        exists=exists,
        url=options.url,
        in_ci=options.in_ci,
        told_in_ci=options.record_in_ci,
        age_days=_age_of(own) if exists and max_age_days is not None else None,
        max_age_days=max_age_days,
        path=_short(own),
    )


def _age_of(recording: Path) -> float | None:
    from recorder.recording import Reader

    with Reader(recording) as reader:
        return age_days(reader.header.started_at, time.time_ns())


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


# What there is


def _fake(settings: Settings, folder: Path) -> Backing:
    @contextlib.contextmanager
    def backing(outcome: Outcome) -> Iterator[TrackServer]:
        from fake_server.testing import run_track_server

        session = folder / "session.track.jsonl"
        try:
            with run_track_server(settings, record_to=session, check=False) as server:
                yield server
        finally:
            _keep(session, outcome)

    return backing


def _adding(
    settings: Settings, folder: Path, own: Path, options: Options, who: Credentials
) -> Backing:
    @contextlib.contextmanager
    def backing(outcome: Outcome) -> Iterator[TrackServer]:
        from fake_server.testing import run_track_server
        from fake_server.testing.adding import Adding

        session = folder / "session.track.jsonl"
        assert options.url is not None
        adding = Adding(
            own, options.url, who, added=folder / "added.track.jsonl", ca_file=options.ca_file
        )
        try:
            with run_track_server(
                settings, record_to=session, check=False, adding=adding
            ) as server:
                yield server
        finally:
            _keep(session, outcome)
        if outcome.passed and adding.asked:
            words = f"added to {_short(own)}: {', '.join(adding.asked)}"
            outcome.recorded(words, adding.joined(), own.resolve())

    return backing


def _recording(settings: Settings, own: Path, options: Options, who: Credentials) -> Backing:
    @contextlib.contextmanager
    def backing(outcome: Outcome) -> Iterator[TrackServer]:
        from recorder.destination import unfinished_path

        final, _ = unfinished_path(own, force=True)
        written = final.with_name(f".passed-{os.getpid()}-{final.name}")
        with _run_live(settings, own, options, who, outcome) as server:
            yield server
            if not outcome.passed:
                return
            if server.was_used:
                server.keep_at(written)
                outcome.recorded(f"recorded {_short(own)}", written, final)
            else:
                outcome.recorded(f"not recorded: {_short(own)}: no client came", None, own)

    return backing


def _live(settings: Settings, path: Path, options: Options, who: Credentials) -> Backing:
    return partial(_run_live, settings, path, options, who)


@contextlib.contextmanager
def _run_live(
    settings: Settings, path: Path, options: Options, who: Credentials, outcome: Outcome
) -> Iterator[LiveServer]:
    from fake_server.testing.live import run_live_server

    assert options.url is not None
    with run_live_server(
        options.url, who, path, settings, ca_file=options.ca_file, check=False
    ) as server:
        try:
            yield server
        finally:
            if outcome.failed:
                server.keep_at(outcome.kept)


def _keep(session: Path, outcome: Outcome) -> None:
    if outcome.failed and session.exists():
        outcome.kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(session, outcome.kept)
