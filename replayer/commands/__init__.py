"""The subcommands of `track-replayer`, one file each."""
