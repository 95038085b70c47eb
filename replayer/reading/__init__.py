"""Reading a recording: what was said, by whom and when, and how it is put into words."""
