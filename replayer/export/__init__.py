"""A recording in the form of other tools: bytes of a socket, HAR, tables, maps.

Each module takes entries and gives bytes, or writes a table row by row; the command
``track-replayer export`` does the reading and says what was left out.
"""
