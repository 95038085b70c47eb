"""One test's server, watched: what becomes of the test, and of what was recorded."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from fake_server.pytest_plugin.options import OPTIONS

if TYPE_CHECKING:
    from fake_server.findings import Finding
    from fake_server.pytest_plugin.backing import Outcome
    from fake_server.testing import Settings, TrackServer

__all__ = ["RECORDED", "WATCH", "Watch", "watching"]

RECORDED: Final = "track recordings"
"""The user property of a test that says what was recorded of it."""


class Watch:
    """What is known of one test and its server; ``why`` says what it is run against, if that is not
    a fake.
    """

    def __init__(
        self, request: pytest.FixtureRequest, server: TrackServer, outcome: Outcome, why: str
    ) -> None:
        self._server = server
        self._outcome = outcome
        self._why = why
        # Who opens a socket in a fixture of its own closes it when that is taken down.
        definitions = request._fixturemanager
        self._sockets_may_stay = any(
            "track_server" in definition.argnames
            for name in request.fixturenames
            for definition in definitions.getfixturedefs(name, request.node) or ()
        )
        self._was_through = False

    def test_raised(self, item: pytest.Item, error: BaseException) -> None:
        """The test's function raised: its report tells what the server saw."""
        if isinstance(error, pytest.skip.Exception):
            return
        self._outcome.failed = True
        lines = self._words(self._server.findings(open_sockets=False))
        item.add_report_section("call", "track server", "\n".join(lines))

    def judge(self) -> None:
        """The test's function is through: fail it if something is wrong."""
        self._fail_for(self._server.findings(open_sockets=not self._sockets_may_stay))
        self._was_through = True

    def judge_end(self) -> None:
        """Everything else of the test is taken down: the same for what came since."""
        if not self._outcome.failed:
            self._fail_for(self._server.findings())
            self._outcome.passed = self._was_through

    def _fail_for(self, found: list[Finding]) -> None:
        unawaited = [waited for waited in self._server.waits if not waited.is_awaited]
        if unawaited:
            self._outcome.failed = True
            pytest.fail(f"{unawaited[0]!r}: write `await` before it", pytrace=False)
        if found:
            self._outcome.failed = True
            pytest.fail("\n".join(self._words(found)), pytrace=False)

    def _words(self, found: list[Finding]) -> list[str]:
        from fake_server.findings import report

        lines = report(found) if found else []
        last = self._server.last_frames()
        if last:
            lines += ["", "the last frames:", *last]
        if self._why:
            lines += ["", f"it ran against the backend: {self._why}"]
        here, kept = Path.cwd(), self._outcome.kept
        shown = kept.relative_to(here) if kept.is_relative_to(here) else kept
        return [*lines, "", f"the session is kept: track-replayer conform {shown}"]


WATCH: Final = pytest.StashKey[Watch]()


@contextlib.contextmanager
def watching(request: pytest.FixtureRequest, settings: Settings) -> Iterator[TrackServer]:
    """Run what stands behind the server of one test, and tell it what became of the test. What is
    wrong with files and backends fails the test in a sentence.
    """
    from fake_server.pytest_plugin.backing import Outcome, backing_of
    from recorder.errors import RecorderError

    def recorded(words: str) -> None:
        request.node.user_properties.append((RECORDED, words))

    outcome = Outcome(_kept_path(request), recorded)
    try:
        with tempfile.TemporaryDirectory(prefix="track-") as folder:
            backing, decision = backing_of(request, settings, Path(folder))
            why = "" if decision.action == "replay" else decision.why
            with backing(outcome) as server:
                watch = Watch(request, server, outcome, why)
                request.node.stash[WATCH] = watch
                yield server
                watch.judge_end()
    except RecorderError as error:
        raise pytest.fail.Exception(f"track_server: {error}", pytrace=False) from None


def _kept_path(request: pytest.FixtureRequest) -> Path:
    """Below the folder of failures and the test's file, named after the test as its recording is:
    no two tests share it, and no parameter of a test leads elsewhere.
    """
    from fake_server.pytest_plugin.backing import own_recording

    file = Path(request.node.nodeid.partition("::")[0])
    where = [part for part in file.parts if part not in (file.anchor, "..")]
    return request.config.stash[OPTIONS].failures.joinpath(*where, own_recording(request).name)
