"""What a recording amounts to in figures: rssi, batteries, paths, rates, round trips.

Each module is one pure fold that gives frozen rows, in constant memory; a command prints them, and
:mod:`replayer.plots` draws them.
"""
