"""A recording reverse proxy: it stands before a backend and records what its clients do.

============ ======================================================
module       what it does
============ ======================================================
``server``   listens, speaks TLS, and gives each client a relay
``relay``    the two connections of one client, byte for byte
``leg``      one of them: how it is written to, and how it ends
``heads``    what must be changed in HTTP heads; pure
``progress`` counts
============ ======================================================
"""

from __future__ import annotations

from recorder.proxy.progress import ProxyProgress
from recorder.proxy.server import Proxy

__all__ = ["Proxy", "ProxyProgress"]
