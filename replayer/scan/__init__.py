"""Thousands of recordings, checked one by one: here, in processes, or on a cluster.

:mod:`~replayer.scan.finding` says which files, :mod:`~replayer.scan.checks` what is asked of each,
:mod:`~replayer.scan.rows` what is answered and kept, :mod:`~replayer.scan.workers` who does it.
"""

from __future__ import annotations

__all__: list[str] = []
