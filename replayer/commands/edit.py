"""`track-replayer edit`: recordings made of others."""

from __future__ import annotations

from recorder.console import LazyGroup

__all__ = ["edit_group"]

edit_group = LazyGroup(
    name="edit",
    help="""Make a recording of one or several others, which stay as they are.

    Every verb takes recordings or the parts of a series and writes a whole recording to OUT, with
    an id of its own and a header that says what was done to which recordings. What is not known,
    kinds and keys, is kept.""",
    context_settings={"max_content_width": 80},
    table={
        "cut": ("replayer.commands.edit_cut:cut_command", "What stands between two moments."),
        "filter": (
            "replayer.commands.edit_filter:filter_command",
            "The messages that are meant, and what they need.",
        ),
        "merge": (
            "replayer.commands.edit_merge:merge_command",
            "Several recordings in one, by the wall clock.",
        ),
        "rebase": (
            "replayer.commands.edit_rebase:rebase_command",
            "Moved to another time, with the dates in it.",
        ),
        "speed": ("replayer.commands.edit_speed:speed_command", "The same, faster or slower."),
        "annotate": ("replayer.commands.edit_annotate:annotate_command", "With notes added."),
    },
)
