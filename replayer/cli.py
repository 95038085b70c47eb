"""The command `track-replayer`."""

from __future__ import annotations

from typing import NoReturn

from recorder.console import command_group, run_command

cli = command_group(
    "track-replayer",
    "Read, explain, compare and check recordings of a Track backend.",
    {
        "show": ("replayer.commands.show:show_command", "One line for each message."),
        "info": (
            "replayer.commands.info:info_command",
            "Counts, rates, connections, PINGs and gaps.",
        ),
        "rssi": ("replayer.commands.rssi:rssi_command", "A device's rssi over time."),
        "battery": ("replayer.commands.battery:battery_command", "A device's battery over time."),
        "track": ("replayer.commands.track:track_command", "A device's path."),
        "rate": ("replayer.commands.rate:rate_command", "Messages a second."),
        "pings": (
            "replayer.commands.pings:pings_command",
            "Every PING, its pong and the round trip.",
        ),
        "conform": (
            "replayer.commands.conform:conform_command",
            "Was the protocol kept, and why did it end?",
        ),
        "diff": ("replayer.commands.diff:diff_command", "Two recordings, by meaning."),
        "contract": (
            "replayer.commands.contract:contract_group",
            "Learn what the backend says, and check it.",
        ),
        "verify": (
            "replayer.commands.verify:verify_command",
            "Check a live backend against a contract.",
        ),
        "edit": (
            "replayer.commands.edit:edit_group",
            "Cut, filter, merge, rebase, speed up, annotate.",
        ),
        "minimise": (
            "replayer.commands.minimise:minimise_command",
            "The least of a recording that still fails.",
        ),
        "export": (
            "replayer.commands.export:export_command",
            "As HAR, CSV, GeoJSON, GPX, Parquet, or bytes.",
        ),
        "scan": ("replayer.commands.scan:scan_command", "Check thousands of recordings."),
    },
)


def main() -> NoReturn:
    """The entry point."""
    run_command(cli)
