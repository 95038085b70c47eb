"""Where a test's recording lies, and whether it is replayed or made now. Pure."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

__all__ = [
    "MODES",
    "Action",
    "CannotDecide",
    "Decision",
    "Mode",
    "age_days",
    "decide",
    "parse_age",
    "recording_path",
]

Mode: TypeAlias = Literal["replay", "once", "new", "all", "live"]
"""What ``--track-mode`` may be: never record; record where there is no recording; record what the
recording does not know; record always; use the backend and record nothing.
"""
MODES: Final[tuple[Mode, ...]] = get_args(Mode)

Action: TypeAlias = Literal["replay", "record", "add", "live"]
"""What a test is run against.

``replay``: a fake that plays the recording. ``record``: the backend, by way of a recording proxy;
what was recorded takes the recording's place if the test passes. ``add``: a fake that forwards REST
requests which it does not know to the backend, and adds what was answered. ``live``: the backend,
by way of the proxy; nothing is kept unless the test fails.
"""


class CannotDecide(Exception):
    """What was asked for cannot be done. The message says why, and what to do."""


class Decision(NamedTuple):
    """What to run a test against; ``why`` in words, for a report."""

    action: Action
    why: str


# Where it lies

_TEST: Final = re.compile(r"\w+", re.ASCII)
_CLASS: Final = re.compile(r"\w+(\.\w+)*", re.ASCII)
_READABLE_BYTES: Final = 96
_SUFFIX: Final = ".track.jsonl"


def recording_path(test_file: Path, test_name: str, class_name: str | None) -> Path:
    """``recordings/<module>/<test name>.track.jsonl`` beside ``test_file``; before the test's name
    that of its class and a dot, if it has one.

    A parametrized name stays readable and gets a digest, as ``test_a-1-2~0a1b2c3d4e5f``: what may
    not stand in a file name is ``-`` there, and what is long is cut. No two tests of a module share
    a name. A name takes 125 bytes at most.
    """
    whole = test_name if class_name is None else f"{class_name}.{test_name}"
    is_plain = (
        _TEST.fullmatch(test_name) is not None
        and (class_name is None or _CLASS.fullmatch(class_name) is not None)
        and len(whole) <= _READABLE_BYTES
    )
    name = whole if is_plain else f"{_readable(whole)}~{_digest(class_name, test_name)}"
    return test_file.parent / "recordings" / test_file.stem / (name + _SUFFIX)


def _readable(name: str) -> str:
    kept = "".join(one if one.isalnum() or one in "_." else " " for one in name)
    words = "-".join(kept.split()).lstrip(".")
    return words.encode()[:_READABLE_BYTES].decode(errors="ignore")


def _digest(*names: str | None) -> str:
    # Its repr has no surrogates, which a name may have, and tells where each name ends.
    return hashlib.sha256(ascii(names).encode()).hexdigest()[:12]


# How old it is

_DAY_NS: Final = 86_400 * 10**9
_AGE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([hdw])", re.ASCII)
_DAYS: Final = {"h": 1 / 24, "d": 1.0, "w": 7.0}


def parse_age(text: str) -> float:
    """The days of ``12h``, ``30d`` or ``2w``. Raises ValueError, with these examples."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no age; expected a number and h, d or w, as 12h, 30d or 2w")
    return float(match[1]) * _DAYS[match[2]]


def age_days(started_at: str, now_ns: int) -> float | None:
    """How old a recording is whose header says ``started_at``; ``now_ns`` are nanoseconds since
    1970. None if ``started_at`` is no time. One that was made in the future is new: clocks differ.
    """
    # Every run of pytest imports this module; few ask for an age.
    from recorder.sink import wall_clock_ns

    try:
        started_ns = wall_clock_ns(started_at)
    except ValueError:
        return None
    return max(0.0, (now_ns - started_ns) / _DAY_NS)


# What to do


def decide(
    mode: Mode,
    *,
    exists: bool,
    url: str | None,
    in_ci: bool,
    told_in_ci: bool,
    age_days: float | None,
    max_age_days: float | None,
    path: Path | None = None,
) -> Decision:
    """What a test is run against.

    ``exists``: there is a recording, ``age_days`` old, None if it does not tell; ``url``: the
    backend; ``in_ci``: the variable ``CI`` is set; ``told_in_ci``: recording was allowed there all
    the same; ``path``: the recording's, for messages. Raises CannotDecide.
    """
    name = "the recording" if path is None else str(path)
    why_old = _why_too_old(age_days, max_age_days)
    if mode == "live":
        _need(url, mode)
        return Decision("live", "mode live: the backend; nothing is kept unless the test fails")
    if mode == "replay" or (in_ci and not told_in_ci):
        return _replay(mode, name, exists=exists, why_old=why_old)
    if mode == "all":
        _need(url, mode)
        return Decision("record", "mode all: recorded in any case")
    if not exists:
        _need(url, mode, f"{name}: there is none, and ")
        return Decision("record", f"mode {mode}: there was no recording")
    if why_old is not None:
        _need(url, mode, f"{name}: {why_old}, and ")
        return Decision("record", f"mode {mode}: {why_old}")
    if mode == "once":
        return Decision("replay", "mode once: there is a recording")
    _need(url, mode)
    return Decision("add", "mode new: what the recording does not know is asked of the backend")


def _replay(mode: Mode, name: str, *, exists: bool, why_old: str | None) -> Decision:
    """``mode`` is replay, or another one in CI that may not record there."""
    in_ci = "" if mode == "replay" else f"CI is set, so that mode {mode} does not record; "
    if not exists:
        raise CannotDecide(f"{name}: there is none; {in_ci}{_advice(mode, 'once')}")
    if why_old is not None:
        raise CannotDecide(f"{name}: {why_old}; {in_ci}{_advice(mode, 'all')}")
    return Decision("replay", f"{in_ci}replayed" if in_ci else "mode replay")


def _advice(mode: Mode, recording_mode: Mode) -> str:
    command = f"--track-mode={recording_mode} --track-url=URL"
    if mode == "replay":
        return f"record it with {command}"
    return (
        f"record it on a machine of your own with {command} and commit it, or allow it here with "
        "--track-record-in-ci"
    )


def _need(url: str | None, mode: Mode, because: str = "") -> None:
    if url is None:
        raise CannotDecide(
            f"{because}mode {mode} needs a backend: say which with --track-url=URL, as "
            "https://track.example.com"
        )


def _why_too_old(age_days: float | None, max_age_days: float | None) -> str | None:
    if max_age_days is None:
        return None
    limit = f"the limit (--track-max-age) is {_days(max_age_days)}"
    if age_days is None:
        return f"it does not tell its age, and {limit}"
    return f"it is {_days(age_days)} old, {limit}" if age_days > max_age_days else None


def _days(days: float) -> str:
    if days < 2:
        return f"{days * 24:.1f} h"
    return f"{days:.1f} days"
