"""Whether the protocol was kept in a recording, and what ended each connection."""
