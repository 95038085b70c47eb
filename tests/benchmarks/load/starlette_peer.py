"""`uvicorn --http h11 --loop asyncio --no-access-log` and a Starlette application that looks at the
cookie and answers.

The plan: ``path``, ``cookie`` and the ``body`` that they give.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


def main() -> None:
    """Serve until standard input ends."""
    plan = json.loads(sys.stdin.readline())
    body = plan["body"].encode()

    async def answer(request: Request) -> Response:
        if request.headers.get("cookie") != plan["cookie"]:
            return PlainTextResponse("401", 401)
        return Response(body, media_type="application/json")

    app = Starlette(routes=[Route(plan["path"], answer)])
    # As uvicorn makes it by itself: asyncio sets TCP_NODELAY only where the protocol is named, and
    # without it every answer waits for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    threading.Thread(target=end_with_input, daemon=True).start()
    config = uvicorn.Config(
        app, http="h11", loop="asyncio", access_log=False, log_level="warning", lifespan="off"
    )
    uvicorn.Server(config).run(sockets=[listener])


def end_with_input() -> None:
    """Wait for the end of standard input and end with it."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
