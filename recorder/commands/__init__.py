"""The subcommands of `track-recorder`, one file each."""
