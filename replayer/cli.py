"""The command `track-replayer`."""

from __future__ import annotations

from typing import NoReturn

from recorder.console import command_group, run_command

cli = command_group(
    "track-replayer",
    "Read, explain and export recordings of a Track backend.",
    {
        "show": ("replayer.commands.show:show_command", "One line for each message."),
        "info": (
            "replayer.commands.info:info_command",
            "Counts, rates, connections, PINGs and gaps.",
        ),
        "export": (
            "replayer.commands.export:export_command",
            "The exact bytes of a connection, or a HAR.",
        ),
    },
)


def main() -> NoReturn:
    """The entry point."""
    run_command(cli)
