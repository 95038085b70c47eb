"""REST (manual sections 2 and 4): a function from a request to an answer, and the table of its
endpoints.
"""

from __future__ import annotations

from fake_server.rest.application import MAX_BODY_BYTES, Rest
from fake_server.rest.routes import ROUTES, Parameter, Route

__all__ = ["MAX_BODY_BYTES", "ROUTES", "Parameter", "Rest", "Route"]
