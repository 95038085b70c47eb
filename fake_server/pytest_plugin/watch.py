"""One test's server, watched: what becomes of the test, and of what was recorded."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import pytest

from fake_server.pytest_plugin.options import OPTIONS

if TYPE_CHECKING:
    from fake_server.findings import Finding
    from fake_server.pytest_plugin.backing import Outcome
    from fake_server.testing import Settings, TrackServer

__all__ = ["WATCH", "Watch", "watching"]


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
        self._verdict: BaseException | None = None

    def judge(self) -> None:
        """The test's function is through: fail it if something is wrong."""
        self._fail_for(open_sockets=not self._sockets_may_stay)

    def reported(self, report: pytest.TestReport, error: BaseException | None) -> None:
        """Setting up or calling the test came to that, by ``error``: only its report knows what
        unittest makes of an exception, and an expectation to fail. A failure is told what the
        server saw.
        """
        if report.failed:
            self._outcome.failed = True
            if error is not self._verdict:
                lines = self._words_or_why_none()
                report.sections.append((f"Captured track server {report.when}", "\n".join(lines)))
        self._outcome.passed = report.when == "call" and report.passed and not self._outcome.failed

    def interrupted(self) -> list[str]:
        """Whoever runs the test has ended it, which makes no report: what it did is kept. Returns
        what the server saw, in lines.
        """
        self._outcome.failed = True
        return self._words_or_why_none()

    def judge_end(self) -> None:
        """Everything that needs the server is taken down: the same as :meth:`judge` for what came
        since, if all was well until then.
        """
        if self._outcome.passed:
            self._outcome.passed = False
            self._fail_for(open_sockets=True)
            self._outcome.passed = True

    def place(self) -> str:
        """Everything of the test is taken down, and nothing was wrong: what was recorded takes its
        place. Says what, if anything; fails the test if it cannot.
        """
        from recorder.errors import DiskFailed

        try:
            return self._outcome.place()
        except DiskFailed as error:
            self._fail(f"track_server: {error}")

    def drop(self) -> None:
        """Something else of the test failed when it was taken down: nothing is recorded."""
        self._outcome.drop()

    def _fail_for(self, *, open_sockets: bool) -> None:
        try:
            found = self._server.findings(open_sockets=open_sockets)
        except ValueError as error:
            self._fail(f"@pytest.mark.track: {error}")
        unawaited = [waited for waited in self._server.waits if not waited.is_awaited]
        if unawaited:
            self._fail(f"{unawaited[0]!r}: write `await` before it")
        if found:
            self._fail("\n".join(self._words(found)))

    def _fail(self, words: str) -> NoReturn:
        self._outcome.failed = True
        self._verdict = pytest.fail.Exception(words, pytrace=False)
        raise self._verdict from None

    def _words_or_why_none(self) -> list[str]:
        try:
            return self._words(self._server.findings(open_sockets=False))
        except Exception as error:  # noqa: BLE001 - pytest ends where a report raises
            return [f"what it saw cannot be told: {error}"]

    def _words(self, found: list[Finding]) -> list[str]:
        from fake_server.findings import report

        lines = report(found)
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

    outcome = Outcome(_kept_path(request))
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

    # Not by its node id, which of a file outside of the root tells nothing of its folder.
    file, root = request.path, request.config.rootpath
    where = file.relative_to(root if file.is_relative_to(root) else file.anchor)
    return request.config.stash[OPTIONS].failures / where / own_recording(request).name
