"""Playing a recording: what is due when, and what REST answers; moved to the present."""
