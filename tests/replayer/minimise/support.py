"""What the tests of this folder share: working copies, and a program in place of the fake server
that takes the same words and plays nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recorder.model import AnyEntry
from recorder.recording import Reader
from replayer.minimise.working_copy import WorkingCopy
from replayer.reading.series import SeriesReader
from tests.fake_server.support import said, upgrade
from tests.replayer.traffic import write_whole

PROGRAM = """#!/bin/sh
# run RECORDING [OPTION]... -- CMD...
shift
RECORDING=$1
export RECORDING
case "$*" in *--refuse*) echo "playing nothing" >&2; echo "it is refused" >&2; exit 65;; esac
while [ "$1" != -- ]; do shift; done
shift
"$@"
"""


def program(folder: Path) -> str:
    """A program that tells its command where the recording is, in RECORDING."""
    path = folder / "program"
    path.write_text(PROGRAM)
    path.chmod(0o755)
    return str(path)


def socket_of(messages: Iterable[bytes]) -> list[AnyEntry]:
    """One socket on which these were said."""
    return [*upgrade(), *(said(message, number / 10) for number, message in enumerate(messages))]


def positions(count: int, *, culprits: Iterable[int] = ()) -> list[bytes]:
    """Messages of two positions each; in that of a culprit the second has an rssi of null."""
    bad = set(culprits)
    return [
        b'{"positions":[{"id":%d,"rssi":-64},{"id":%d,"rssi":%s,"attributes":{"motion":true}}]}'
        % (2 * number, 2 * number + 1, b"null" if number in bad else b"-70.0")
        for number in range(count)
    ]


@contextmanager
def working_copy(
    entries: Iterable[AnyEntry], **of_header: Any
) -> Iterator[tuple[WorkingCopy, Path]]:
    """A working copy of a recording of these, and its folder."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = write_whole(folder / "original.track.jsonl", entries, **of_header)
        with SeriesReader([path]) as reader, WorkingCopy(reader, folder) as copy:
            yield copy, folder


def entries_of(path: Path) -> list[AnyEntry]:
    """What is in a recording, which is whole."""
    with Reader(path) as reader:
        found = list(reader)
        assert reader.complete, reader.why_incomplete
    return found


def texts_of(path: Path) -> list[Any]:
    """What the server says in a recording, parsed."""
    return [
        json.loads(entry.data)
        for entry in entries_of(path)
        if entry.kind == "frame" and getattr(entry, "sender", None) == "server"
    ]
