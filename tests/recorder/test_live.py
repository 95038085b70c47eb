"""Progress while a capture runs: one line that says enough."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from recorder.commands import live
from recorder.commands.live import progress_line, show_progress
from recorder.progress import Progress
from tests.recorder.test_sink import Set

SECOND_NS = 1_000_000_000


def opened(at_ns: int = 0) -> Progress:
    progress = Progress()
    progress.opened_ns = at_ns
    progress.stage = "recording"
    return progress


@pytest.mark.parametrize("stage", ["starting", "logging in", "asking for devices", "upgrading"])
def test_before_the_socket_is_open_the_stage_is_shown(stage: str) -> None:
    progress = Progress()
    progress.stage = stage
    assert progress_line(progress, 5 * SECOND_NS, 0.0) == stage


def test_an_open_socket_shows_time_kinds_rate_and_the_last_ping() -> None:
    progress = opened(10 * SECOND_NS)
    progress.kinds.update({"devices": 3, "positions": 40, "PING": 2})
    progress.last_answered_ns = 70 * SECOND_NS
    line = progress_line(progress, 83 * SECOND_NS, 1.26)
    assert line.split("  ") == [
        *["01:13", "1.3/s", "last PING answered 13 s ago", "positions 40 devices 3 PING 2"]
    ]


def test_nothing_yet_is_said_in_words() -> None:
    line = progress_line(opened(), 0, 0.0)
    assert line.split("  ") == ["00:00", "0.0/s", "no PING yet", "nothing yet"]


@given(st.integers(0, 30 * 24 * 3600 * SECOND_NS))
def test_the_time_counts_on_after_an_hour(now_ns: int) -> None:
    shown = progress_line(opened(), now_ns, 0.0).split("  ")[0]
    minutes, seconds = map(int, shown.split(":"))
    assert minutes * 60 + seconds == now_ns // SECOND_NS
    assert seconds < 60


async def test_without_a_terminal_a_plain_line_is_printed_every_ten_seconds(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = Set(tmp_path)
    progress = Progress()
    progress.stage = "logging in"

    async def capture() -> None:
        await trio.sleep(15)
        progress.opened_ns = one.sink.now_ns()
        while True:
            await trio.sleep(0.1)
            progress.messages += 1
            progress.kinds["devices"] += 1

    with trio.move_on_after(65):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(capture)
            nursery.start_soon(show_progress, progress, one.sink)
    one.sink.close()
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 6
    assert lines[0] == "logging in"
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "00:05",
        "00:15",
        "00:25",
        "00:35",
        "00:45",
    ]
    # Ten a second.
    assert float(lines[-1].split("  ")[1].removesuffix("/s")) == pytest.approx(10, abs=0.3)
    assert "\x1b" not in err


async def test_at_a_terminal_one_line_is_kept_up_to_date(
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[str] = []

    class Status:
        def __init__(self, *_: object, **__: object) -> None: ...

        def __enter__(self) -> Status:
            return self

        def __exit__(self, *_: object) -> None:
            shown.append("closed")

        def update(self, line: object, **_: object) -> None:
            shown.append(str(line))

    monkeypatch.setattr("rich.status.Status", Status)
    monkeypatch.setattr(live, "is_terminal", lambda: True)
    one = Set(tmp_path)
    progress = opened()
    with trio.move_on_after(10.1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(show_progress, progress, one.sink)
            await trio.sleep(5)
            progress.messages = 7
    one.sink.close()
    assert shown[0].startswith("00:00")
    assert shown[-2].startswith("00:10")
    assert shown[-1] == "closed"
    assert len(shown) == 42
    # The rate of a burst decays.
    rates = [float(line.split("  ")[1].removesuffix("/s")) for line in shown[:-1]]
    assert rates[19] == 0.0
    assert max(rates) > 1.0 > rates[-1] > 0.0
