"""REST (manual sections 2 and 4): a function from a request to an answer, and the table of its
endpoints.
"""

from __future__ import annotations

from fake_server.rest.application import Rest
from fake_server.rest.routes import ROUTES, Parameter, Route

__all__ = ["ROUTES", "Parameter", "Rest", "Route"]
