"""What a test asks of its server, checked: the values of ``@pytest.mark.track(…)``."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin, get_type_hints

import msgspec

from fake_server.accounts import Accounts, load_accounts
from fake_server.faults import Injection, injection_from, parse_injection
from fake_server.findings import allowed_names
from fake_server.playback import Playback
from recorder.track.rules import Rules
from recorder.track.rules_file import load_rules
from replayer.playing.script import Source

__all__ = ["FaultLike", "Settings", "fault_of"]

FaultLike: TypeAlias = Injection | str | Mapping[str, Any]
"""A fault as the command line has it (``close:code=1011,after=3``), as the control API has it
(``{"fault": "close", "code": 1011}``), or as it is."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a server for a test is like.

    ``recording``: what it plays, the parts of a series in order; empty is the synthetic fleet.
    ``playback``, ``speed``, ``at_end``, ``pings``, ``paused`` are those of
    :class:`~fake_server.playback.Playback`; of a recording everything is due at once unless a
    ``speed`` is given, the fleet moves at its own pace.
    ``rebase``: every date is moved, so that the last one is now. ``user_file``: who may log in, the
    demo account if there is none. ``require_all``: every recorded message must be taken.
    ``allow``: names of findings, or patterns of them (``pong.*``), that shall not fail the test.
    """

    recording: tuple[Path, ...] = ()
    playback: Literal["per-connection", "shared"] | None = None
    speed: float | None = None
    at_end: Literal["close", "hold", "loop"] = "hold"
    pings: Literal["live", "recorded"] = "live"
    paused: bool = False
    rebase: bool = False
    faults: tuple[Injection, ...] = ()
    fault_seed: int = 0
    rules: Rules = Rules()
    user_file: Path | None = None
    require_all: bool = False
    allow: tuple[str, ...] = ()

    @classmethod
    def of(cls, *, folder: Path | None = None, **values: Any) -> Settings:
        """Settings from the values that a test gives; relative paths are in ``folder``.

        ``recording`` may be one path or several; ``speed`` a factor or ``"max"``; ``faults`` one or
        several of :data:`FaultLike`; ``rules`` the path of a TOML file, :class:`Rules` or a mapping
        of its fields; ``allow`` a name or several. Raises ValueError, which says what was read and
        what was expected, and what the readers of files raise.
        """
        for name in values:
            if name not in cls.__struct_fields__:
                near = difflib.get_close_matches(name, cls.__struct_fields__, n=1)
                known = f"did you mean {near[0]!r}?" if near else f"there are {_listed()}"
                raise ValueError(f"there is no setting {name!r}; {known}")
        given = {name: value for name, value in values.items() if value is not None}
        for name, read in _READERS.items():
            if name in given:
                given[name] = read(given[name], folder or Path())
        try:
            return msgspec.convert(given, cls)
        except msgspec.ValidationError as error:
            told = f"settings of the track server: {error}{_expected_choice(str(error))}"
            raise ValueError(told) from error

    def source(self) -> Source:
        """What is played, read from its files. Raises what reading recordings raises."""
        if not self.recording:
            from fake_server.fleet import Fleet

            return Fleet()
        from replayer.playing.script import load_script

        script = load_script(*self.recording)
        if not self.rebase:
            return script
        from replayer.playing.rebase import rebased_to_now

        return rebased_to_now(script, datetime.now(UTC))

    def accounts(self) -> Accounts:
        """Who may log in. Raises what reading the file raises."""
        return Accounts() if self.user_file is None else load_accounts(self.user_file)

    def playback_settings(self) -> Playback:
        """How it is played: the fleet to all alike, a recording to each socket of its own, unless
        told otherwise.
        """
        return Playback(
            mode=self.playback or ("per-connection" if self.recording else "shared"),
            speed=self.speed or (math.inf if self.recording else 1.0),
            at_end=self.at_end,
            pings=self.pings,
            paused=self.paused,
        )


def fault_of(fault: FaultLike) -> Injection:
    """The fault that is meant. Raises ValueError, saying what was expected."""
    if isinstance(fault, Injection):
        return fault
    if isinstance(fault, str):
        return parse_injection(fault)
    return injection_from(dict(fault))


def _path(value: Any, folder: Path) -> Path:
    if not isinstance(value, str | Path):
        raise ValueError(f"read {value!r}, expected a path")  # noqa: TRY004 - all that is wrong here is a value
    return folder / value


def _recording(value: Any, folder: Path) -> tuple[Path, ...]:
    return tuple(_path(part, folder) for part in _several(value, str | Path, "recording", "a path"))


def _speed(value: Any, folder: Path) -> float:
    if value == "max":
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValueError(f'speed: read {value!r}, expected a factor above 0, or "max"')
    return float(value)


def _faults(value: Any, folder: Path) -> tuple[Injection, ...]:
    several = _several(value, str | Injection | Mapping, "faults", "a fault")
    return tuple(fault_of(each) for each in several)


def _rules(value: Any, folder: Path) -> Rules:
    if isinstance(value, Rules):
        return value
    if isinstance(value, str | Path):
        return load_rules(folder / value)
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004 - as above
            f"rules: read {value!r}, expected a path, Rules or a mapping of its fields"
        )
    for name in value:
        if name not in Rules.__struct_fields__:
            near = difflib.get_close_matches(name, Rules.__struct_fields__, n=1)
            known = f"did you mean {near[0]!r}?" if near else "see docs/track-protocol.md"
            raise ValueError(f"there is no rule {name!r}; {known}")
    return Rules(**value)


def _allow(value: Any, folder: Path) -> tuple[str, ...]:
    patterns = tuple(_several(value, str, "allow", "the name of a finding"))
    allowed_names(patterns)
    return patterns


def _several(value: Any, one: Any, name: str, expected: str) -> Iterable[Any]:
    if isinstance(value, one):
        return [value]
    if isinstance(value, Iterable):
        return value
    raise ValueError(f"{name}: read {value!r}, expected {expected} or several")


_READERS: Final = {
    "recording": _recording,
    "speed": _speed,
    "faults": _faults,
    "rules": _rules,
    "user_file": _path,
    "allow": _allow,
}


def _expected_choice(error: str) -> str:
    """What msgspec does not say: of which words a value is one, where it is one of some."""
    name = error.rpartition("`$.")[2].rstrip("`")
    kind = get_type_hints(Settings).get(name)
    for one in (kind, *get_args(kind)):
        if get_origin(one) is Literal:
            return "; expected " + " or ".join(repr(word) for word in get_args(one))
    return ""


def _listed() -> str:
    return ", ".join(Settings.__struct_fields__)
