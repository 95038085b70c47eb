"""The smallest recording with which a command still fails: delta debugging.

:mod:`~replayer.minimise.search` decides which parts to try, and knows neither recordings nor
processes; :mod:`~replayer.minimise.levels` says what the parts of a recording are, coarse ones
first; :mod:`~replayer.minimise.working_copy` writes what is to be tried;
:mod:`~replayer.minimise.trial` runs the command on it; :mod:`~replayer.minimise.outcomes` remembers
what came of it; :mod:`~replayer.minimise.minimiser` puts them together.
"""

from __future__ import annotations

__all__: list[str] = []
