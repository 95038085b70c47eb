"""Record the raw WebSocket traffic of a Track backend.

``recorder.wire`` knows any WebSocket and ``recorder.track`` what Track means by it, both without
I/O; ``recorder.recording`` reads and writes recordings, ``recorder.redaction`` takes secrets out of
them, ``recorder.capture`` is a client session that becomes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorder.lazy import at_first_use

if TYPE_CHECKING:
    from recorder.backend import Backend
    from recorder.capture import Capture, CaptureOptions, Outcome
    from recorder.credentials import Credentials, read_user_file
    from recorder.errors import RecorderError
    from recorder.importers import import_file
    from recorder.model import Header
    from recorder.recording import Reader, Writer
    from recorder.redaction import Redactor
    from recorder.sink import Sink
    from recorder.track import Rules, Violation, load_rules
else:
    __getattr__, __dir__ = at_first_use(
        __name__,
        {
            "Backend": "recorder.backend",
            "Capture": "recorder.capture",
            "CaptureOptions": "recorder.capture",
            "Outcome": "recorder.capture",
            "Credentials": "recorder.credentials",
            "read_user_file": "recorder.credentials",
            "RecorderError": "recorder.errors",
            "import_file": "recorder.importers",
            "Header": "recorder.model",
            "Reader": "recorder.recording",
            "Writer": "recorder.recording",
            "Redactor": "recorder.redaction",
            "Sink": "recorder.sink",
            "Rules": "recorder.track",
            "Violation": "recorder.track",
            "load_rules": "recorder.track",
        },
    )

__all__ = [
    "Backend",
    "Capture",
    "CaptureOptions",
    "Credentials",
    "Header",
    "Outcome",
    "Reader",
    "RecorderError",
    "Redactor",
    "Rules",
    "Sink",
    "Violation",
    "Writer",
    "import_file",
    "load_rules",
    "read_user_file",
]
