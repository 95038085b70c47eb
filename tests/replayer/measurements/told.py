"""Recordings of devices and positions, and how to run a command on them in this process."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result
from hypothesis import strategies as st

from recorder.model import Entry
from replayer.cli import cli
from replayer.reading.said import Said
from tests.replayer.recordings import frame

__all__ = ["device", "objects", "position", "run_here", "said", "tellings", "told"]


def run_here(*arguments: object) -> Result:
    """`track-replayer` in this process; an error stands in ``exception``."""
    return CliRunner().invoke(cli, [str(each) for each in arguments], standalone_mode=False)


def device(device_id: int, **fields: Any) -> dict[str, Any]:
    return {"id": device_id, "name": f"device {device_id}", **fields}


def position(position_id: int, **fields: Any) -> dict[str, Any]:
    return {"id": position_id, "rssi": -64, **fields}


def told(kind: str, *objects: dict[str, Any], at: float | None = 0) -> Entry:
    """A message of the server, ``at`` milliseconds."""
    return frame("server", json.dumps({kind: objects}).encode(), at=at)


def said(kind: str, one: dict[str, Any], number: int = 0) -> Said:
    """One object as a recording tells it, ``number`` seconds after its start."""
    return Said(
        kind=kind,
        text=json.dumps(one).encode(),
        seq=number,
        offset_ns=number * 10**9,
        connection=1,
        via="socket",
    )


_VALUES = st.none() | st.integers(-90, 300) | st.floats(-90, 0) | st.just("204")


@st.composite
def objects(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    """Devices and positions in any order. Position N is of device N % 3, or of none; some say so,
    of some only the device's message does."""
    found: list[tuple[str, dict[str, Any]]] = []
    for _ in range(draw(st.integers(0, 14))):
        number = draw(st.integers(1, 9))
        owner = number % 3
        if draw(st.booleans()):
            fields: dict[str, Any] = {"rssi": draw(_VALUES), "n": draw(st.integers(0, 2))}
            if owner and number > 4:
                fields["deviceId"] = owner
            if draw(st.booleans()):
                fields["scanRssi"] = draw(_VALUES)
            if draw(st.booleans()):
                fields["attributes"] = {"scanRssi": draw(_VALUES)}
            found.append(("positions", {"id": number, **fields}))
        elif owner:
            found.append(("devices", device(owner, positionId=number)))
    return found


def tellings(found: list[tuple[str, dict[str, Any]]]) -> list[Said]:
    """The same, one a second."""
    return [said(kind, one, number) for number, (kind, one) in enumerate(found)]
