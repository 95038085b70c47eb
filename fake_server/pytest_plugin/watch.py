"""One test's server, watched: what becomes of the test, and of what was recorded."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from fake_server.findings import Finding
    from fake_server.testing import Settings, TrackServer

__all__ = ["WATCH", "Watch", "watching"]

_NO_NAME: Final = re.compile(r"[^\w.\-=]+")
_LONGEST: Final = 120


class Watch:
    """What is known of one test and its server."""

    def __init__(self, request: pytest.FixtureRequest, server: TrackServer) -> None:
        self.failed = False
        self._server = server
        self._told: set[str] = set()
        self._kept = _kept_path(request)
        # Who opens a socket in a fixture of its own closes it when that is taken down.
        definitions = request._fixturemanager
        self._sockets_may_stay = any(
            "track_server" in definition.argnames
            for name in request.fixturenames
            for definition in definitions.getfixturedefs(name, request.node) or ()
        )

    @property
    def kept(self) -> Path:
        """Where the session lies once the test has failed."""
        return self._kept

    def test_failed(self, item: pytest.Item) -> None:
        """The test's function raised: its report tells what the server saw."""
        self.failed = True
        lines = self._words(self._server.findings(open_sockets=False))
        item.add_report_section("call", "track server", "\n".join(lines))

    def judge(self, item: pytest.Item) -> None:
        """The test's function is through: fail it if something is wrong."""
        self._fail_for(self._server.findings(open_sockets=not self._sockets_may_stay))

    def judge_end(self) -> None:
        """Everything else of the test is taken down: the same for what came since."""
        if not self.failed:
            self._fail_for(self._server.findings())

    def _fail_for(self, found: list[Finding]) -> None:
        unawaited = [waited for waited in self._server.waits if not waited.is_awaited]
        if unawaited:
            self.failed = True
            pytest.fail(f"{unawaited[0]!r}: write `await` before it", pytrace=False)
        if found:
            self.failed = True
            pytest.fail("\n".join(self._words(found)), pytrace=False)

    def _words(self, found: list[Finding]) -> list[str]:
        from fake_server.findings import report

        lines = report(found) if found else []
        last = self._server.last_frames()
        if last:
            lines += ["", "the last frames:", *last]
        here = Path.cwd()
        kept = self._kept.relative_to(here) if self._kept.is_relative_to(here) else self._kept
        return [*lines, "", f"the session is kept: track-replayer conform {kept}"]


WATCH: Final = pytest.StashKey[Watch]()


@contextlib.contextmanager
def watching(request: pytest.FixtureRequest, settings: Settings) -> Iterator[TrackServer]:
    """Run the server of one test; at the end its recording is kept if the test failed."""
    from fake_server.testing import run_track_server

    with tempfile.TemporaryDirectory(prefix="track-") as folder:
        recorded = Path(folder) / "session.track.jsonl"
        watch: Watch | None = None
        try:
            with run_track_server(settings, record_to=recorded, check=False) as server:
                watch = Watch(request, server)
                request.node.stash[WATCH] = watch
                yield server
                watch.judge_end()
        finally:
            if watch is not None and watch.failed:
                watch.kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(recorded, watch.kept)


def _kept_path(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.config.rootpath / request.config.getoption("track_failures")
    *where, name = request.node.nodeid.replace("::", "/").split("/", 1)
    parts = [_NO_NAME.sub("-", part)[:_LONGEST] for part in [*where, *name.split("/")]]
    return folder.joinpath(*parts[:-1], f"{parts[-1]}.track.jsonl")
