"""The command `track-recorder`."""

from __future__ import annotations

from typing import NoReturn

from recorder.console import command_group, run_command

cli = command_group(
    "track-recorder",
    "Record the raw WebSocket traffic of a Track backend.",
    {
        "capture": (
            "recorder.commands.capture:capture_command",
            "Log in to a backend and record its socket.",
        ),
        "proxy": (
            "recorder.commands.proxy:proxy_command",
            "Stand before a backend and record what its clients do.",
        ),
        "check": (
            "recorder.commands.check:check_command",
            "Try a backend step by step, and say what is wrong.",
        ),
        "import": (
            "recorder.commands.importing:import_command",
            "Make a recording of a capture by another tool.",
        ),
        "redact": (
            "recorder.commands.redact:redact_command",
            "Make a recording of another one, with more taken out.",
        ),
        "leaks": (
            "recorder.commands.leaks:leaks_command",
            "Look for what should not be in a recording.",
        ),
    },
)


def main() -> NoReturn:
    """The entry point."""
    run_command(cli)
