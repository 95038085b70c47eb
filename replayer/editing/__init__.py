"""Recordings made of others: cut, filter, merge, rebase, speed, annotate.

Each verb is a module with a pure transform, entries in and entries out, that holds no more than
what was begun; :mod:`replayer.editing.writing` reads what they take and writes what they give. What
is not known, kinds and keys, goes through all of them.
"""
