"""The command `track-fake-server`."""

from __future__ import annotations

from typing import NoReturn

from recorder.console import command_group, run_command

cli = command_group(
    "track-fake-server",
    "A fake Track backend: it replays recordings and enforces the ping/pong and cookie rules.",
    {
        "serve": (
            "fake_server.commands.serve:serve_command",
            "Serve a recording, or a small synthetic fleet.",
        ),
        "run": ("fake_server.commands.run:run_command", "Serve while a program runs."),
    },
)


def main() -> NoReturn:
    """The entry point."""
    run_command(cli)
