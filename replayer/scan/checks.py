"""What is asked of each recording: a check is a picklable value, called with the files of one.

What a check gives is a verdict with one line that says what was found. Imports of what only one
check needs stand in it: each worker pays for them.
"""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache
from typing import Final, Protocol

import msgspec

from recorder.errors import RecorderError, RecordingError
from recorder.track.rules import Rules
from replayer.contract.model import decode_contract
from replayer.reading.legs import client_legs
from replayer.reading.series import SeriesReader
from replayer.reading.words import counted
from replayer.scan.finding import Found, readable
from replayer.scan.rows import Row, Verdict

__all__ = ["Check", "ConformCheck", "ContractCheck", "Finding", "examine"]


class Finding(msgspec.Struct, frozen=True):
    """What a check says of a recording: ``summary`` is one line, ``remark`` what keeps the
    recording from being whole; empty if nothing does."""

    verdict: Verdict
    summary: str
    remark: str = ""


class Check(Protocol):
    """What is asked. It crosses to other processes and machines, so it holds all that it needs."""

    @property
    def key(self) -> str:
        """What an answer depends on beside the recording: with another key, it is asked again."""

    def prepare(self) -> None:
        """Load what it needs: before other processes are forked, that each would load anew."""

    def __call__(self, parts: tuple[str, ...]) -> Finding:
        """Ask it of the recording in these files. Raises RecorderError where it cannot be read."""


class ConformCheck(msgspec.Struct, frozen=True):
    """Was the protocol kept? As ``track-replayer conform`` asks it, by these ``rules``."""

    rules: Rules = Rules()

    @property
    def key(self) -> str:
        """With a hash of the rules, if they are others than those of every backend."""
        if self.rules == Rules():
            return "conform"
        encoded = msgspec.json.encode(self.rules, order="deterministic")
        return f"conform {hashlib.sha256(encoded).hexdigest()}"

    def prepare(self) -> None:
        """Load the rules."""
        import replayer.diagnosis.fold  # noqa: F401

    def __call__(self, parts: tuple[str, ...]) -> Finding:
        """``kept``, ``broken`` or ``undecided``."""
        from replayer.diagnosis.fold import diagnose

        with SeriesReader(parts) as reader:
            diagnosis = diagnose(reader.header, reader, self.rules)
            verdict: Verdict = "kept" if diagnosis.kept else "broken"
            if not diagnosis.decided:
                verdict = "undecided"
            return Finding(verdict, diagnosis.summary, _remark(reader))


class ContractCheck(msgspec.Struct, frozen=True):
    """Does the backend still say what the contract says? As ``track-replayer contract check``
    asks it. ``data`` is the contract's file, ``name`` its name for errors."""

    data: bytes
    name: str

    @property
    def key(self) -> str:
        """With the contract's hash."""
        return f"contract {hashlib.sha256(self.data).hexdigest()}"

    def prepare(self) -> None:
        """Read the contract."""
        import replayer.contract.checking  # noqa: F401

        _contract(self.data, self.name)

    def __call__(self, parts: tuple[str, ...]) -> Finding:
        """``same``, ``drift`` or ``undecided``."""
        from replayer.contract.checking import check

        contract = _contract(self.data, self.name)
        with SeriesReader(parts) as reader:
            report = check(contract, reader.header, client_legs(reader))
            return Finding(report.verdict, report.summary, _remark(reader))


_contract: Final = lru_cache(maxsize=1)(decode_contract)
"""Read once a process, not once a recording."""


def examine(check: Check, found: Found) -> Row:
    """Ask it of one recording. What goes wrong is its row too, the verdict ``error``: a scan goes
    on. Raises nothing but what ends a process."""
    began_s, retry = time.perf_counter(), False
    try:
        finding = check(found.parts)
    except RecordingError as exc:
        finding = Finding("error", str(exc))
    except RecorderError as exc:
        # It could not be opened: perhaps it can be the next time.
        finding, retry = Finding("error", str(exc)), True
    except Exception as exc:  # noqa: BLE001 - a bug that one of a thousand files shows
        finding = Finding("error", f"a bug in the check: {type(exc).__name__}: {exc}")
        retry = True
    return Row(
        path=found.path,
        verdict=finding.verdict,
        what=readable(finding.summary),
        remark=readable(finding.remark),
        size_bytes=found.size_bytes,
        seconds=round(time.perf_counter() - began_s, 6),
        parts=len(found.parts),
        mtime_ns=found.mtime_ns,
        check=check.key,
        retry=retry,
    )


def _remark(reader: SeriesReader) -> str:
    """What keeps the recording from being whole, as far as reading it shows."""
    found = list(reader.problems)
    if reader.torn is not None:
        found.append(f"torn: {counted(reader.torn.bytes_lost, 'bytes')} lost, {reader.torn.why}")
    return "; ".join(found)
