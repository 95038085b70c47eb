"""The subcommands of `track-fake-server`, one file each."""
