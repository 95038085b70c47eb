"""What a test asks of its server, read and checked."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fake_server.accounts import DEMO_ACCOUNT
from fake_server.faults import injection_from, parse_injection
from fake_server.fleet import Fleet
from fake_server.playback import Playback
from fake_server.testing import Settings
from recorder.errors import RulesError
from recorder.track.rules import Rules
from replayer.playing.rebase import Rebased
from tests.fake_server.support import DEVICES, said, upgrade, write

RECORDING = Path("some.track.jsonl")


def test_what_is_none_is_as_if_it_were_not_given() -> None:
    everything = dict.fromkeys(Settings.__struct_fields__)
    assert Settings.of(**everything) == Settings.of() == Settings()


def test_relative_paths_lie_in_the_folder_and_absolute_ones_where_they_say(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("ping_interval_s = 7\n")
    found = Settings.of(
        folder=tmp_path, recording="1.track.jsonl", rules="rules.toml", user_file=Path("users")
    )
    assert found == Settings(
        recording=(tmp_path / "1.track.jsonl",),
        rules=Rules(ping_interval_s=7),
        user_file=tmp_path / "users",
    )
    several = Settings.of(folder=tmp_path, recording=["1.track.jsonl", Path("/2.track.jsonl")])
    assert several.recording == (tmp_path / "1.track.jsonl", Path("/2.track.jsonl"))
    assert Settings.of(recording=RECORDING).recording == (RECORDING,)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Rules(ping_interval_s=7), Rules(ping_interval_s=7)),
        ({"ping_interval_s": 7}, Rules(ping_interval_s=7)),
    ],
)
def test_rules_are_given_as_they_are_or_by_their_fields(rules: Any, expected: Rules) -> None:
    assert Settings.of(rules=rules).rules == expected


def test_a_rule_of_a_file_that_cannot_be_is_told_as_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("ping_intervall_s = 7\n")
    with pytest.raises(RulesError, match="did you mean 'ping_interval_s'"):
        Settings.of(folder=tmp_path, rules="rules.toml")


def test_faults_are_given_in_any_way_one_or_several() -> None:
    close = parse_injection("close:code=1011,after=3")
    as_object = {"fault": "close", "code": 1011, "after": 3}
    assert injection_from(dict(as_object)) == close
    for one in (close, "close:code=1011,after=3", as_object):
        assert Settings.of(faults=one).faults == (close,)
        assert Settings.of(faults=[one, "fin"]).faults == (close, parse_injection("fin"))
    assert "fault" in as_object, "it is the test's own"


def test_a_name_or_several_are_allowed() -> None:
    assert Settings.of(allow="pong.*").allow == ("pong.*",)
    assert Settings.of(allow=["pong.*", "text.unknown"]).allow == ("pong.*", "text.unknown")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"speed": True}, "speed: read True, expected a factor above 0"),
        ({"speed": -1}, "speed: read -1, "),
        ({"speed": 0}, "speed: read 0, "),
        ({"speed": 0.0}, r"speed: read 0\.0, "),
        ({"recording": 3}, "recording: read 3, expected a path or several"),
        ({"faults": 3}, "faults: read 3, expected a fault or several"),
        ({"allow": 3}, "allow: read 3, expected the name of a finding or several"),
        ({"rules": 3}, "rules: read 3, expected a path, Rules or a mapping"),
        ({"speed": math.nan}, "speed: read nan, "),
        ({"speed": "fast"}, "speed: read 'fast', .* or \"max\""),
        ({"recording": ["1", 2]}, "read 2, expected a path"),
        ({"user_file": 3}, "read 3, expected a path"),
        ({"colour": 1}, "no setting 'colour'; there are recording, playback, "),
        ({"rules": {"xyz": 1}}, "no rule 'xyz'; see docs"),
        ({"at_end": "stop"}, "settings of the track server: Invalid enum value 'stop'"),
    ],
)
def test_what_cannot_be_is_told_with_what_was_read(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings.of(**values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # The fleet moves as it does in life, for all alike; a recording is there at once.
        ({}, Playback(mode="shared", speed=1.0)),
        ({"recording": RECORDING}, Playback(mode="per-connection", speed=math.inf)),
        ({"playback": "per-connection"}, Playback(mode="per-connection", speed=1.0)),
        (
            {"recording": RECORDING, "playback": "shared", "speed": 2},
            Playback(mode="shared", speed=2.0),
        ),
        ({"speed": "max"}, Playback(mode="shared", speed=math.inf)),
        (
            {"at_end": "loop", "pings": "recorded", "paused": True},
            Playback(mode="shared", at_end="loop", pings="recorded", paused=True),
        ),
    ],
)
def test_how_it_is_played(values: dict[str, Any], expected: Playback) -> None:
    assert Settings.of(**values).playback_settings() == expected


def test_what_is_played_is_the_fleet_or_a_recording_moved_to_now_only_if_asked_for(
    tmp_path: Path,
) -> None:
    assert isinstance(Settings().source(), Fleet)
    dated = b'{"positions":[{"id":1,"deviceId":1,"fixTime":"2020-01-01T00:00:00.000+00:00"}]}'
    path = write(tmp_path / RECORDING, [*upgrade(), said(DEVICES), said(dated, 1)])
    settings = Settings.of(recording=path)
    assert [cue.message for cue in settings.source().cues(0)] == [DEVICES, dated]
    moved = msgspec.structs.replace(settings, rebase=True).source()
    assert isinstance(moved, Rebased)
    first, last = (cue.message or b"" for cue in moved.cues(0))
    assert first == DEVICES
    (position,) = msgspec.json.decode(last)["positions"]
    age = datetime.now(UTC) - datetime.fromisoformat(position["fixTime"])
    assert -1 < age.total_seconds() < 60


def test_who_may_log_in_stands_in_the_user_file(tmp_path: Path) -> None:
    assert Settings().accounts().credentials == [DEMO_ACCOUNT]
    (tmp_path / "users").write_text("EMAIL=me@example.com\nPASSWORD=mine\n")
    settings = Settings.of(folder=tmp_path, user_file="users")
    assert [one.email for one in settings.accounts().credentials] == ["me@example.com"]
