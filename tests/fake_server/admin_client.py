"""Calls of the control API, as tests make them."""

from __future__ import annotations

import json
from typing import Any

from tests.fake_server.support import Answer, Fake, Http

__all__ = ["ask", "ask_over", "no_cors"]


async def ask(
    fake: Fake, method: str, path: str = "", body: Any = None, **headers: str
) -> tuple[int, Any]:
    """A call over a connection of its own; `body` is sent as JSON, bytes as they are."""
    return await ask_over(fake.http(), method, path, body, **headers)


async def ask_over(
    http: Http, method: str, path: str = "", body: Any = None, **headers: str
) -> tuple[int, Any]:
    """A call over a connection that there is; gives the status and what the JSON says."""
    fields = {"Host": "localhost:8082", **headers}
    if body is not None:
        fields.setdefault("Content_Type", "application/json")
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await http.ask(f"/__admin{path}", method=method, body=body or b"", **fields)
    assert answer.header("Content-Type") == "application/json"
    assert no_cors(answer)
    return answer.status, answer.json


def no_cors(answer: Answer) -> bool:
    """Whether no header lets web pages read the answer."""
    return not any(name.lower().startswith("access-control-") for name, _ in answer.headers)
