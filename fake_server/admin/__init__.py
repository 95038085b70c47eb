"""The control API under ``/__admin``: JSON over HTTP, for tests in any language and for people.

``docs/control.md`` describes it.
"""

from __future__ import annotations

from fake_server.admin.application import Admin

__all__ = ["Admin"]
