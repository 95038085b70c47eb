"""A contract in the forms of other tools: JSON Schema, AsyncAPI and OpenAPI. Pure.

Each function gives a whole document as bytes: indented JSON, with a line end.
"""

from __future__ import annotations

from replayer.contract.documents.asyncapi import asyncapi
from replayer.contract.documents.json_schema import json_schema
from replayer.contract.documents.openapi import openapi

__all__ = ["asyncapi", "json_schema", "openapi"]
